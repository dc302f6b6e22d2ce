"""The interfaces of this host whose packets may become flows: which there are, whether that is permitted, and which were chosen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nftui.capture.probe import rights
from nftui.capture.probe.interfaces import Interface, interfaces, own_address
from nftui.engine import settings
from nftui.errors import NftuiError

__all__ = ["Interface", "keep", "offered", "own_address", "refusal", "undecided"]

CHOSEN = "probe.interfaces"
DECIDING = (CHOSEN, "probe.conntrack", "collector.listen", "collector.enabled")
"""Keys by which somebody says what is to be collected."""


def offered() -> list[Interface]:
    """Return the interfaces, those that lead somewhere now first, the loopback last."""
    return sorted(interfaces(), key=lambda one: (one.loopback, not one.up, not one.running, not one.addresses, one.index))


def refusal() -> str:
    """Return what has to be granted before packets can be taken; empty where nothing has."""
    return "" if rights.permitted() else rights.how_to_grant()


def undecided(path: Path) -> bool:
    """Tell whether nobody has said yet what is to be collected, and whether what is said now can be kept.

    A file that the environment names is somebody's arrangement, even where it is not there.
    """
    if os.environ.get("NFTUI_CONFIG"):
        return False
    try:
        said = {one.name for one in settings.settings(path) if one.origin != settings.DEFAULT}
    except NftuiError:
        return False
    return said.isdisjoint(DECIDING) and not settings.refusal(path)


def keep(path: Path, names: Sequence[str]) -> None:
    """Write to the configuration whose packets become flows; none for no interface.

    Raises:
        ConfigError: The file can't be edited; nothing has changed then.
    """
    settings.change(path, CHOSEN, ", ".join(names))
