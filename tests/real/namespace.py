"""A network or a disk of one's own, which nobody else sees, and that is gone with the test."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import peers

_CLONE_NEWNET = 0x40000000


def inside(run: Callable[[], None]) -> None:
    """Run a function in a new network, which this thread and the processes it starts are in; the thread has to end afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        pytest.skip(f"making a network namespace is for root: {os.strerror(ctypes.get_errno())}")
    ip("link", "set", "lo", "up")
    run()


def link() -> tuple[str, str]:
    """Make a link in the present network, and return the names of its ends."""
    near, far = "near0", "far0"
    ip("link", "add", near, "mtu", "9000", "type", "veth", "peer", "name", far, "mtu", "9000")
    for end in (near, far):
        ip("link", "set", end, "up")
    return near, far


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run([peers.require("ip"), *words], check=True, capture_output=True, text=True)


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of a size, `8m`, at a folder, for the length of a block."""
    folder.mkdir()
    done = subprocess.run(
        [peers.require("mount"), "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"mounting a disk is for root: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([peers.require("umount"), "--lazy", str(folder)], check=True)
