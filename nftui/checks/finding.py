"""What a check is given and what it finds: a patient, and findings; and what a status says, read with distrust."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nftui.config import Config
from nftui.units import SECOND

if TYPE_CHECKING:
    from nftui.engine.store import Store

STALE_S = 5.0
"""A collector writes its status every second."""
CLOCK_S = 1.0
"""How far the clock of this machine may be off without a word."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; how to mend it, where it isn't well."""

    level: Level
    found: str
    mend: str = ""


def ok(found: str) -> Finding:
    """Return that all is well."""
    return Finding(Level.OK, found)


def warning(found: str, mend: str) -> Finding:
    """Return that something could be better."""
    return Finding(Level.WARNING, found, mend)


def problem(found: str, mend: str) -> Finding:
    """Return that something doesn't work, or loses flows."""
    return Finding(Level.PROBLEM, found, mend)


@dataclass
class Patient:
    """What is looked at.

    Attributes:
        config_path: The configuration file.
        config: What it says; the defaults where it can't be used.
        mistake: Why it can't be used.
        data: The data directory.
    """

    config_path: Path
    config: Config
    mistake: str
    data: Path
    moment: float = field(default_factory=time.time)
    """Seconds since 1970 at which the status was read."""

    @cached_property
    def store(self) -> Store:
        """The store; only now is Polars loaded."""
        from nftui.engine.store import Store

        return Store(self.data)

    @property
    def readable(self) -> bool:
        """Whether the data directory is there for us to look into."""
        return self.data.is_dir() and os.access(self.data, os.R_OK | os.X_OK)

    @cached_property
    def running(self) -> bool:
        """Whether a collector holds the store."""
        return self.store.collector_running()

    @cached_property
    def status(self) -> dict[str, Any]:
        """The collector's last account; empty where there is none."""
        self.moment = time.time()
        return self.store.status() or {}

    @property
    def age(self) -> float:
        """Seconds since the account was written; below 0 where that is to come."""
        written = number(self.status.get("now")) / SECOND
        return self.moment - written

    @property
    def fresh(self) -> bool:
        """Whether the account tells of a collector at work."""
        return self.running and -CLOCK_S <= self.age < STALE_S

    @property
    def listens(self) -> list[dict[str, Any]]:
        """What the account says of sockets."""
        return tables(self.status.get("listen"))


Check = Callable[[Patient], Iterator[Finding]]


def counted(number: int, noun: str) -> str:
    """Return a number of things: `no ports`, `1 port`, `2 ports`."""
    return f"{number} {noun}" if number == 1 else f"{number or 'no'} {noun}s"


def user(number: int) -> str:
    """Return a user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def number(value: object) -> float:
    """Return a number of a status; 0 for what is none, or beyond all sense."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 2**63:  # so that NaN is none either
        return 0.0
    return float(value)


def tables(value: object) -> list[dict[str, Any]]:
    """Return the tables of what should be a list of them."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def me() -> str:
    """Return the name of who runs this."""
    return user(os.geteuid())
