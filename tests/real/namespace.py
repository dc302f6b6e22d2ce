"""A network of one's own: a namespace of the kernel that one thread enters, and that is gone with it and its processes."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable

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
