"""One's own SSH session: from the environment, from tmux, from the processes above."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nftui.engine import filters, session
from nftui.engine.session import Session, own, understood

SAID = "192.0.2.7 51234 198.51.100.1 22"
WANTED = Session("192.0.2.7", 51234, "198.51.100.1", 22)


def test_the_environment_names_it() -> None:
    assert own({"SSH_CONNECTION": SAID}) == WANTED
    filters.parse(WANTED.filter)
    assert understood("::ffff:192.0.2.7 51234 fe80::1%eth0 22") == Session("192.0.2.7", 51234, "fe80::1", 22)


@pytest.mark.parametrize(
    "text", ["", "x", "192.0.2.7 1 192.0.2.8", "192.0.2.7 a 192.0.2.8 22", "nowhere 1 192.0.2.8 22", "1 2 3 4 5"]
)
def test_what_names_none_is_none(text: str) -> None:
    assert understood(text) is None


def listed(proc: Path, process: int, parent: int, environ: dict[str, str]) -> None:
    (proc / str(process)).mkdir()
    (proc / str(process) / "stat").write_text(f"{process} (a (b) c) S {parent} 1 1 0 -1")
    (proc / str(process) / "environ").write_bytes(b"\0".join(f"{key}={value}".encode() for key, value in environ.items()) + b"\0")


def test_the_processes_above_still_know_it(tmp_path: Path) -> None:
    listed(tmp_path, 300, 200, {})
    listed(tmp_path, 200, 100, {"PATH": "/bin"})
    listed(tmp_path, 100, 1, {"SSH_CONNECTION": SAID})
    assert own({}, tmp_path, 300) == WANTED
    assert own({}, tmp_path, 100) is None
    assert own({}, tmp_path, 999) is None


def tmux(folder: Path, says: str, status: int = 0) -> dict[str, str]:
    program = folder / "tmux"
    program.write_text(f"#!/bin/sh\n[ \"$*\" = 'show-environment SSH_CONNECTION' ] && echo '{says}'\nexit {status}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"TMUX": "/tmp/x,1,0", "PATH": f"{folder}:{os.environ['PATH']}"}


def test_tmux_knows_who_attached_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = {"SSH_CONNECTION": "203.0.113.9 1 198.51.100.1 22"}
    environ = tmux(tmp_path, f"SSH_CONNECTION={SAID}")
    monkeypatch.setenv("PATH", environ["PATH"])
    assert own({**stale, **environ}) == WANTED
    assert own({**stale, **tmux(tmp_path, "-SSH_CONNECTION")}) is None
    assert own({"SSH_CONNECTION": SAID, **tmux(tmp_path, "", 1)}) == WANTED
    monkeypatch.setattr(session, "TMUX_S", 0.0001)
    assert own({"SSH_CONNECTION": SAID, **environ}) == WANTED
