"""whois: what the command tells comes as printable lines; what goes wrong as one line; nothing but an address reaches it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nftui.engine import whois
from nftui.errors import UsageError

pytestmark = pytest.mark.row("X03")


def _command(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_lines_are_printable_and_remarks_are_left_out(tmp_path: Path) -> None:
    command = _command(
        tmp_path / "whois", r"""printf '%% a remark\r\n# too\r\n\r\nnetname:\tEXAMPLE\r\nevil: \033]52;c;eA==\007\n'; echo "$@" """
    )
    assert whois.told("8.8.8.8", command) == ("netname:        EXAMPLE", "evil: \\x1b]52;c;eA==\\x07", "8.8.8.8")


def test_what_goes_wrong_is_one_line(tmp_path: Path) -> None:
    assert whois.told("8.8.8.8", "no-such-whois") == ("no-such-whois isn't installed; on Debian and Ubuntu: apt install whois",)
    began = time.monotonic()
    assert "no answer within 0.2 s" in whois.told("8.8.8.8", _command(tmp_path / "slow", "exec sleep 20"), 0.2)[0]
    assert time.monotonic() - began < 5
    assert whois.told("8.8.8.8", _command(tmp_path / "failing", "echo no route >&2; exit 2")) == ("no route",)
    assert "exit status 3" in whois.told("2001:4860::8888", _command(tmp_path / "silent", "exit 3"))[0]


def test_an_endless_answer_ends(tmp_path: Path) -> None:
    lines = whois.told("8.8.8.8", _command(tmp_path / "long", "seq 1 100000"))
    assert len(lines) == whois.MOST_LINES + 1 and lines[-1].endswith("more lines")


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "fe80::1", "ff02::1", "224.0.0.1"])
def test_nobody_is_asked_about_addresses_of_ones_own(address: str) -> None:
    assert "nobody was asked" in whois.told(address, "no-such-whois")[0]


@pytest.mark.parametrize("text", ["-h evil.example", "example.com", "8.8.8.8; true", "", "8.8.8.8\n"])
def test_nothing_but_an_address_is_asked_for(text: str) -> None:
    with pytest.raises(UsageError):
        whois.told(text, "no-such-whois")
