"""The choice of interfaces whose packets become flows: whether it is to be asked for, and what is made of it. All on threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message
from textual.message_pump import MessagePump

from nftui.screens import errands


@dataclass
class Emptiness(Message):
    """Whether this is a first start: nothing stored, nothing said."""

    first: bool


@dataclass
class Kept(Message):
    """The choice was written, or (`problem`) could not be."""

    names: tuple[str, ...]
    problem: str = ""


def look_whether_first(to: MessagePump, path: Path, empty: Callable[[], bool]) -> None:
    """Have it found out whether this is a first start: nothing in the store, nothing said in the configuration."""

    def first() -> Emptiness:
        from nftui.engine.local_interfaces import undecided

        return Emptiness(undecided(path) and empty())

    errands.send("first", to, first, lambda words: Emptiness(first=False))


def keep(to: MessagePump, path: Path, names: tuple[str, ...], then: Callable[[], None] | None) -> None:
    """Have a choice written to the configuration, and the collector take it up (`then`), where it is ours."""

    def kept() -> Kept:
        from nftui.engine import local_interfaces

        local_interfaces.keep(path, names)
        if then is not None:
            then()
        return Kept(names)

    errands.send("interfaces", to, kept, lambda words: Kept(names, words))
