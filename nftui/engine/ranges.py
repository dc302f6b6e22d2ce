"""Ranges of time as people type them: `-15m`, `-2h30m`, `2026-11-23T10:00/2026-11-23T11:00`, `2026-11-23`, `all`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from nftui.engine.query import Interval
from nftui.errors import UsageError
from nftui.units import SECOND

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
HINT = "write -15m, -2h, 2026-11-23T10:00/2026-11-23T11:00, 2026-11-23 or all"
LONGEST = 100 * 365 * 86_400 * SECOND
_RELATIVE = re.compile(r"-?((?:[0-9]{1,12}(?:\.[0-9]{1,6})?[smhdw])+)", re.IGNORECASE)
_MOMENT = re.compile(
    r"(\d{4})(?:[-/](\d\d?)(?:[-/](\d\d?)(?:[T .](\d\d?)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?)?)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII
)


def parse_range(text: str, now: int) -> Interval | None:
    """Return the interval that a text means; None for `all`.

    Args:
        text: A length before now, one moment (the day, hour, minute or second it names), or two with a `/` or a ` - ` between; an
            empty side or `now` is now. Moments are local time unless a zone (`Z`, `+01:00`) stands behind.
        now: The end of relative ranges, microseconds.
    Raises:
        UsageError: It is no range, or ends before it starts.
    """
    text = text.strip()
    if text.lower() == "all":
        return None
    length = parse_length(text)
    if length is not None:
        return Interval(now - length, now)
    start_text, separator, end_text = text.partition("/")
    if not separator or not _looks_like_moment(start_text):
        start, end = _moment(text)
        return Interval(start, end)
    start = _edge(start_text, now)[0]
    end = _edge(end_text, now)[0]
    if end <= start:
        raise UsageError(f"the range {text!r} ends before it starts")
    return Interval(start, end)


def parse_length(text: str) -> int | None:
    """Return a length such as `15m`, `-1h30m` or `1.5h` in microseconds, or None where the text is none.

    Raises:
        UsageError: It is longer than a hundred years.
    """
    match = _RELATIVE.fullmatch(text.strip())
    if match is None:
        return None
    pieces = re.findall(r"([0-9.]+)([smhdw])", match[1], re.IGNORECASE)
    length = int(sum(Decimal(number) * UNITS[unit.lower()] for number, unit in pieces) * SECOND)
    if length > LONGEST:
        raise UsageError(f"{text!r} is out of reach: a hundred years at most")
    return length or None


def _edge(text: str, now: int) -> tuple[int, int]:
    text = text.strip()
    if text.lower() in ("", "now"):
        return now, now
    length = parse_length(text) if text.startswith("-") else None
    return (now - length, now - length) if length is not None else _moment(text)


def _looks_like_moment(text: str) -> bool:
    text = text.strip()
    return text.startswith("-") or text.lower() in ("", "now") or len(text) > 4 or not text.isdigit()


def _moment(text: str) -> tuple[int, int]:
    """Return the first microsecond of a moment and the first behind it: a day is as long as what it leaves open."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no time range; {HINT}")
    *numbers, fraction, zone = match.groups()
    named = [int(number) for number in numbers if number is not None]
    try:
        year, month, day, hour, minute, second = named + [1, 1, 1, 0, 0, 0][len(named) :]
        start = datetime(year, month, day, hour, minute, second, tzinfo=_zone(zone))
        if fraction is not None:
            start = end = start.replace(microsecond=int(fraction.ljust(6, "0")))
        elif len(named) > 2:
            end = start + (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))[len(named) - 3]
        elif len(named) == 2:
            end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
        else:
            end = start.replace(year=start.year + 1)
        return _microseconds(start), _microseconds(end)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{text!r} is no time: {error}; {HINT}") from error


def _zone(text: str | None) -> timezone | None:
    if text is None or text == "Z":
        return UTC if text else None
    hours, minutes = int(text[1:3]), int(text[4:6])
    return timezone((timedelta(hours=hours, minutes=minutes)) * (-1 if text[0] == "-" else 1))


def _microseconds(edge: datetime) -> int:
    whole = edge.replace(microsecond=0)
    return int(whole.timestamp()) * SECOND + edge.microsecond
