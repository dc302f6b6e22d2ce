"""Ranges of time and breakdowns that are offered by name."""

from __future__ import annotations

from datetime import datetime, timedelta

from nftui.engine import keys
from nftui.engine.query import KEYS, Interval
from nftui.errors import UsageError
from nftui.screens.view import Range, parse_range
from nftui.units import SECOND, moment

LENGTHS = {
    "-5m": "last 5 minutes", "-15m": "last 15 minutes", "-1h": "last hour", "-6h": "last 6 hours", "-24h": "last 24 hours",
    "-7d": "last 7 days", "-15d": "last 15 days", "-30d": "last 30 days",
}  # fmt: skip
CALENDAR = {
    "this week": "since Monday",
    "past week": "Monday to Sunday",
    "this month": "since the first",
    "past month": "all of it",
}
DIMENSIONS = {
    "srcip": "source", "dstip": "destination", "srcport": "source port", "dstport": "destination port", "proto": "protocol",
    "none": "all flows",
}  # fmt: skip
FIRST = ("ip", "port", "as", "srcas", "dstas", "if", "inif", "outif", "router", "tos", "vlan", "app", "geo", "srcgeo", "dstgeo")
"""Words of keys that are offered before the others."""


def ranges() -> list[tuple[str, str]]:
    """Return text and label of each range that is offered."""
    lengths = [(text, f"{text:<12}{label}") for text, label in LENGTHS.items()]
    return [*lengths, *((text, f"{text:<12}{label}") for text, label in CALENDAR.items()), ("all", f"{'all':<12}all that is held")]


def read_range(text: str, now: int) -> Range:
    """Return the range that a text means: one of the offered, or as `view.parse_range` reads it.

    Args:
        text: What was picked or typed.
        now: Microseconds since 1970: weeks and months are those of the local calendar then.
    Raises:
        UsageError: It is no range.
    """
    words = " ".join(text.lower().split())
    if words not in CALENDAR:
        return parse_range(text)
    today = moment(now).astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    if words.endswith("week"):
        first = today - timedelta(days=today.weekday())
        before = first - timedelta(days=7)
    else:
        first = today.replace(day=1)
        before = (first - timedelta(days=1)).replace(day=1)
    start = _microseconds(first)
    if words.startswith("this"):
        return Range(interval=Interval(start, max(now // SECOND * SECOND, start + SECOND)))
    return Range(interval=Interval(_microseconds(before), start))


def read_limit(text: str) -> int:
    """Return a number of groups that was typed.

    Raises:
        UsageError: It is none from 1 to 250.
    """
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or not 1 <= int(digits[:9]) <= 250:
        raise UsageError(f"{text!r} is no number from 1 to 250")
    return int(digits)


def breakdowns() -> list[tuple[str, str]]:
    """Return name and label of each breakdown that is offered: those of `query.KEYS`, then a word for every other key."""
    found = {name: DIMENSIONS[name] for name in KEYS}
    taken = {names[0] for names in KEYS.values() if names}
    for word in (*FIRST, *sorted(keys.WORDS)):
        name = keys.WORDS.get(word)
        if name is not None and name not in taken:
            taken.add(name)
            found[word] = _meaning(name)
    return [(name, f"{name:<10}{label}") for name, label in found.items()]


def _meaning(name: str) -> str:
    key = keys.key(name)
    return f"{key.label}, either side" if key.either else key.label


def _microseconds(day: datetime) -> int:
    return round(day.astimezone().timestamp()) * SECOND
