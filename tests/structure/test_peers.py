"""Tests that want a real program are skipped without it, and fail where it is required."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import peers
from tests.structure.source import ROOT


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(peers, "SYSTEM", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("required", "outcome"), [("", pytest.skip.Exception), ("0", pytest.skip.Exception), ("1", pytest.fail.Exception)]
)
def test_missing(
    required: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, require_peer: Callable[[str], str]
) -> None:
    monkeypatch.setenv("NFTUI_REQUIRE_PEERS", required)
    with pytest.raises(outcome, match=r"^install the Debian package nfdump$"):
        require_peer("nfcapd")


def test_found(nothing_installed: Path, require_peer: Callable[[str], str]) -> None:
    program = nothing_installed / "nfcapd"
    program.write_text("#!/bin/sh\n", "ascii")
    program.chmod(0o755)
    assert require_peer("nfcapd") == str(program)


def test_unknown_program_is_a_mistake(require_peer: Callable[[str], str]) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"not in tests/peers\.txt"):
        require_peer("no-such-program")


def test_tests_look_for_programs_in_one_way() -> None:
    own = {ROOT / "tests" / "peers.py", ROOT / "tests" / "structure" / "test_peers.py"}
    found = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path not in own and re.search(r"shutil\.which|from shutil import .*which", path.read_text("utf-8"))
    ]
    assert found == [], "use tests.peers.require or the marker peer: the others are skipped silently where peers are required"
