"""The interfaces of this host on which packets may be taken, and whether that is permitted."""

from __future__ import annotations

from nftui.capture.probe import rights
from nftui.capture.probe.interfaces import Interface, interfaces

__all__ = ["Interface", "offered", "refusal"]


def offered() -> list[Interface]:
    """Return the interfaces, those that lead somewhere now first, the loopback last."""
    return sorted(interfaces(), key=lambda one: (one.loopback, not one.up, not one.running, not one.addresses, one.index))


def refusal() -> str:
    """Return what has to be granted before packets can be taken; empty where nothing has."""
    return "" if rights.permitted() else rights.how_to_grant()
