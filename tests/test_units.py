"""Numbers and times as people read them: short, rounded once, and never a thousand of a unit that has a next."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nftui.units import (
    SECOND,
    bits_per_second,
    duration,
    flows_per_second,
    moment,
    octets,
    packets_per_second,
    rfc3339,
    scaled,
)

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
FACTOR = {"": 1, **{s: 1000**n for n, s in enumerate("kMGTPE", 1)}, **{s + "i": 1024**n for n, s in enumerate("KMGTPE", 1)}}


@pytest.mark.parametrize(
    ("value", "base", "shown"),
    [
        (0, 1000, "0"),
        (0.25, 1000, "0.2"),
        (7, 1000, "7"),
        (7.5, 1000, "7.5"),
        (12.4, 1000, "12"),
        (999, 1000, "999"),
        (999.5, 1000, "1.0k"),
        (1000, 1000, "1.0k"),
        (12_345, 1000, "12.3k"),
        (99_949, 1000, "99.9k"),
        (99_950, 1000, "100k"),
        (999_499, 1000, "999k"),
        (999_500, 1000, "1.0M"),
        (2**63 - 1, 1000, "9.2E"),
        (1023, 1024, "1023"),
        (1024, 1024, "1.0Ki"),
        (1536, 1024, "1.5Ki"),
        (1023.6 * 1024, 1024, "1.0Mi"),
        (-1500, 1000, "-1.5k"),
    ],
)
def test_scaled(value: float, base: int, shown: str) -> None:
    assert scaled(value, base) == shown


@given(st.one_of(st.floats(0, 2**63), st.integers(0, 2**63 - 1)), st.sampled_from([1000, 1024]))
def test_scaled_is_short_and_near(value: float, base: int) -> None:
    shown = scaled(value, base)
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", shown)
    assert match and len(shown) <= 6
    assert float(match[1]) < base
    assert float(match[1]) * FACTOR[match[2]] == pytest.approx(value, rel=0.051, abs=0.051)


def test_units() -> None:
    assert octets(1_600_000) == "1.6 MB"
    assert octets(1_572_864, iec=True) == "1.5 MiB"
    assert octets(1024, iec=True) == "1.0 KiB"
    assert octets(17) == "17 B"
    assert bits_per_second(412_300_000) == "412 Mb/s"
    assert packets_per_second(51_200) == "51.2 kp/s"
    assert flows_per_second(0) == "0 f/s"


@pytest.mark.parametrize(
    ("microseconds", "shown"),
    [
        (0, "0ms"),
        (250_000, "250ms"),
        (999_400, "999ms"),
        (999_600, "1.0s"),
        (3_200_000, "3.2s"),
        (9_940_000, "9.9s"),
        (9_960_000, "10s"),
        (58 * SECOND, "58s"),
        (59_600_000, "1m"),
        (12 * MINUTE, "12m"),
        (12 * MINUTE + 5 * SECOND, "12m05s"),
        (HOUR - 400_000, "1h"),
        (5 * HOUR + 30 * MINUTE, "5h30m"),
        (3 * DAY, "3d"),
        (9 * DAY + 23 * HOUR, "9d23h"),
        (365 * DAY + HOUR, "365d"),
    ],
)
def test_duration(microseconds: int, shown: str) -> None:
    assert duration(microseconds) == shown


@given(st.integers(0, 99_999 * DAY))
def test_duration_is_short(microseconds: int) -> None:
    assert len(duration(microseconds)) <= 6


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_survive(when: datetime) -> None:
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86_400 + since.seconds) * SECOND + since.microseconds
    if microseconds <= 253_402_300_799 * SECOND:
        assert moment(microseconds) == when
        assert datetime.fromisoformat(rfc3339(microseconds)) == when
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", rfc3339(microseconds))


@pytest.mark.parametrize(
    ("microseconds", "shown"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_467_605_000_001, "2026-11-23T21:00:05.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (-(10**30), "0001-01-01T00:00:00.000000Z"),
        (10**30, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_rfc3339(microseconds: int, shown: str) -> None:
    assert rfc3339(microseconds) == shown
