"""Real programs as peers: a test that wants one is skipped without it, and fails without it when NFTUI_REQUIRE_PEERS=1."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

LIST = Path(__file__).with_name("peers.txt")
SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin"
"""Daemons stand here, which is not on everybody's PATH."""


def packages() -> dict[str, str]:
    """Return program -> Debian package, in the order of `peers.txt`."""
    return dict(line.split() for line in LIST.read_text("ascii").splitlines() if line and not line.startswith("#"))


def required() -> bool:
    """Return whether a missing peer is a failure."""
    return os.environ.get("NFTUI_REQUIRE_PEERS", "") not in ("", "0")


def require(program: str) -> str:
    """Return the path of a program of `peers.txt`; skip the test, or fail it, when it is not installed."""
    package = packages().get(program)
    if package is None:
        pytest.fail(f"{program} is not in tests/peers.txt; add it with its Debian package", pytrace=False)
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM}")
    return found or _missing(package)


def _missing(package: str) -> NoReturn:
    reason = f"install the Debian package {package}"
    if required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
