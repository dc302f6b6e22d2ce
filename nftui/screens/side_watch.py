"""Looks now and then, off the screen's thread, whether only one direction of the traffic is seen."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from nftui.engine.one_sided import Sidedness
from nftui.screens.widgets.painted import Part

FIRST_S, EACH_S = 20.0, 60.0
"""Seconds until the first look, and between two: what is found changes when somebody sets a switch."""


@dataclass
class Looked(Message):
    """What was seen at each place; None where that couldn't be told this time."""

    found: tuple[Sidedness, ...] | None


def label(known: tuple[Sidedness, ...]) -> list[Part]:
    """Return what the first line says."""
    return [Part("one-sided  ", "warn")] if any(one.one_sided for one in known) else []
