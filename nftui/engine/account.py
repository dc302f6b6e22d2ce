"""Accounts: what a collector says of itself, read with distrust: each value may be absent, of another kind, or hostile."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from nftui.engine.files import ASKED
from nftui.engine.store import STATUS_LIMIT, Store
from nftui.units import SECOND

STALE = 5 * SECOND
"""A collector writes its status every second; one older than this can't be trusted."""
CLOCK_S = 2.0
"""Seconds that a clock may be off without a word: headers tell whole seconds."""
INTERFACES = "interfaces*.json"
"""What was asked of exporters (`ASKED`) stands behind what they told of themselves."""
MOST = 2**63 - 1
_WORDS = ("name", "description", "speed")
Interfaces = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Exporter -> index -> what is known of the interface."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a collector says of itself.

    Attributes:
        status: The content of `status.json`; None where there is none that can be read.
        problem: Why there is none that can be read, in a sentence; empty where there is one, or no file.
        running: Whether a collector holds the store's lock.
        interfaces: Of the exporters, as the files say.
    """

    status: dict[str, Any] | None = None
    problem: str = ""
    running: bool = False
    interfaces: Interfaces = field(default_factory=dict)


class AccountReader:
    """Reads the accounts in a store, for one thread at a time; a file that did not change is not read again."""

    def __init__(self, store: Store) -> None:
        """Begin without having read anything.

        Args:
            store: Where they are.
        """
        self._store = store
        self._read: dict[Path, tuple[tuple[int, int, int], dict[str, Any] | None, str]] = {}
        self._merged: tuple[list[dict[str, Any]], Interfaces] = [], {}
        self._lock = threading.Lock()

    def account(self) -> Account:
        """Return the account as it stands now."""
        with self._lock:
            status, problem = self._file(self._store.root / "status.json")
            return Account(status, problem, self._store.collector_running(), self._interfaces())

    def _interfaces(self) -> Interfaces:
        found = sorted(self._store.root.glob(INTERFACES), key=lambda path: (path.name != ASKED, path.name))
        trees = [tree for path in found if (tree := self._file(path)[0])]
        before = self._merged[0]
        if len(trees) != len(before) or any(tree is not one for tree, one in zip(trees, before, strict=True)):
            merged: dict[str, dict[str, dict[str, Any]]] = {}
            for tree in trees:
                for address, indices in entries(tree.get("exporters")):
                    for index, known in entries(indices):
                        if isinstance(known, dict):
                            # What is empty or 0 tells nothing of a name or a speed, and takes nothing away.
                            told = {name: value for name, value in known.items() if value or name not in _WORDS}
                            merged.setdefault(address, {}).setdefault(index, {}).update(told)
            self._merged = trees, merged
        return self._merged[1]

    def _file(self, path: Path) -> tuple[dict[str, Any] | None, str]:
        """Return what a file says, or why it can't be understood; neither where there is no file."""
        try:
            with path.open("rb") as file:
                about = path.stat()
                version = about.st_mtime_ns, about.st_ino, about.st_size
                known = self._read.get(path)
                if known is None or known[0] != version:
                    known = self._read[path] = (version, *_understood(file.read(STATUS_LIMIT + 1), path.name))
        except FileNotFoundError:
            return None, ""
        except OSError as error:
            return None, f"{path.name} can't be read: {error.strerror}"
        return known[1:]


def _understood(octets: bytes, name: str) -> tuple[dict[str, Any] | None, str]:
    if len(octets) > STATUS_LIMIT:
        return None, f"{name} is longer than {STATUS_LIMIT:,} octets"
    try:
        value = msgspec.json.decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return None, f"{name} can't be understood: {error}"
    return (value, "") if isinstance(value, dict) else (None, f"{name} holds something else than an account")


def entries(value: object) -> list[tuple[str, Any]]:
    """Return the entries of what should be a table."""
    return list(value.items()) if isinstance(value, dict) else []


def dicts(value: object) -> list[dict[str, Any]]:
    """Return the tables of what should be a list of them."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def dropped_packets(status: Mapping[str, Any]) -> int:
    """Return for how many packets, of all probes, the kernel had no room; events of connection tracking among them."""
    return sum(max(integer(one.get("drops")), 0) for one in dicts(status.get("probes")))


def counts(value: object) -> list[tuple[str, int]]:
    """Return names and numbers of what should be a table of counts, the highest first."""
    return sorted(((name, integer(number)) for name, number in entries(value)), key=lambda one: -one[1])


def numbers(value: object) -> list[int]:
    """Return the numbers of what should be a list of them."""
    return [integer(one) for one in value if _is_number(one)] if isinstance(value, list) else []


def integer(value: object) -> int:
    """Return a whole number of 64 bits; 0 for what is none."""
    return max(min(int(value), MOST), -MOST) if _is_number(value) else 0  # type: ignore[call-overload]


def real(value: object) -> float:
    """Return a number; 0 for what is none, or beyond all sense."""
    return float(value) if _is_number(value) and abs(value) <= 1e12 else 0.0  # type: ignore[arg-type]


def instant(value: object) -> int:
    """Return a time of RFC 3339 as microseconds since 1970; 0 for what is none."""
    return _instant(value) if isinstance(value, str) and 20 <= len(value) <= 40 else 0


@lru_cache(maxsize=50_000)
def _instant(value: str) -> int:
    try:
        when = datetime.fromisoformat(value)
        return round(when.replace(tzinfo=when.tzinfo or UTC).timestamp() * SECOND)
    except (ValueError, OverflowError):
        return 0


def _is_number(value: object) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and math.isfinite(value))
