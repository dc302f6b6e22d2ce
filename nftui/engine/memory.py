"""The memory of this machine, which bounds what no configuration does."""

from __future__ import annotations

import os


def octets() -> int:
    """Return how many octets there are."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
