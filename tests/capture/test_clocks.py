"""Clocks: exported times are kept, a correction stands beside them; how late flows come is measured; old templates expire."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nftui.capture.clocks import Clock, Watermark
from nftui.capture.decoder import Decoder, Rules
from nftui.units import SECOND
from tests.capture import build
from tests.capture.build import PROTOCOL_AND_OCTETS, netflow9, one_set, small, template
from tests.capture.corpus import joined
from tests.capture.test_netflow5 import simple

MINUTE = 60 * SECOND


def decoded(decoder: Decoder, ahead: int, uptime: int = 1000) -> pl.DataFrame:
    """Decode a flow whose exporter's clock is off by some microseconds, a second after it was exported."""
    block = build.block([build.netflow5([simple(octets=1, first=uptime - 5000, last=uptime)], uptime=uptime)])
    block.received[:] += SECOND + 500_000 - ahead
    return joined(decoder.decode(block))


@pytest.mark.parametrize("ahead", [3600 * SECOND, -3700 * SECOND, -26 * 365 * 86_400 * SECOND, 70 * SECOND])
def test_a_clock_that_is_off_is_corrected_beside_the_times(ahead: int) -> None:
    flows = decoded(Decoder(Rules(clock_threshold=MINUTE)), ahead, uptime=10_000)
    assert flows["flow_end"].cast(pl.Int64).to_list() == [(build.NOW * 1000 + 500) * 1000]
    assert flows["clock_correction"].to_list() == [SECOND - ahead]


def test_within_the_threshold_nothing_is_corrected() -> None:
    decoder = Decoder(Rules(clock_threshold=MINUTE))
    assert decoded(decoder, 59 * SECOND, uptime=10_000)["clock_correction"].to_list() == [None]
    status = build.exporter_of(decoder)
    assert (status["clock_skew_s"], status["clock_correction_s"]) == (-58.0, 0.0)


def test_files_are_never_corrected() -> None:
    assert decoded(Decoder(), 3600 * SECOND, uptime=10_000)["clock_correction"].to_list() == [None]


def measured(*skews: tuple[float, float]) -> list[float]:
    """Return the correction after each of some measurements: (seconds of receipt, skew)."""
    clock = Clock()
    corrections = []
    for at, skew in skews:
        clock.measure(int(skew * SECOND), MINUTE, int(at * SECOND))
        corrections.append(clock.correction / SECOND)
    return corrections


def test_a_correction_stays_while_the_skew_is_about_the_same() -> None:
    assert measured((0, -3600), (1, -3599.2), (2, -3601.5), (3, -3606), (4, -10)) == [-3600, -3600, -3600, -3606, 0]


def test_a_clock_behind_by_less_than_an_hour_has_to_be_so_for_some_seconds() -> None:
    assert measured((0, 300), (1, 301), (4, 299.5), (5, 300), (9, 301)) == [0, 0, 0, 300, 300]


def test_what_is_sent_late_is_no_clock_that_is_off() -> None:
    """Fifteen minutes of what an exporter held back come within some seconds."""
    assert measured(*((step / 10, 900 - 15 * step) for step in range(60))) == [0] * 60


def test_a_clock_that_is_off_stays_so_while_a_backlog_comes() -> None:
    assert measured((0, 7200), (10, 7800), (11, 7500), (12, 7201)) == [7200, 7800, 7500, 7201]
    assert measured((0, -300), (10, 500), (11, 200), (12, -299)) == [-300, -300, -300, -300]


def test_a_correction_is_told() -> None:
    decoder = Decoder(Rules(clock_threshold=MINUTE))
    decoded(decoder, 3600 * SECOND, uptime=10_000)
    assert [text for _, text in decoder.events if "clock" in text] == ["192.0.2.1: clock off by 3599 s, corrected by -3599 s"]


def test_the_least_of_a_block_is_the_skew() -> None:
    """A datagram may be late; none is early."""
    clock = Clock()
    decoder = Decoder(Rules(clock_threshold=MINUTE))
    block = build.block([build.netflow5([simple(octets=n)], uptime=10_000, sequence=n) for n in range(3)])
    block.received[:] += np.array([200, 90, 100]) * SECOND + 500_000
    decoder.decode(block)
    assert build.exporter_of(decoder)["clock_skew_s"] == 90.0
    assert not clock.measure(5, 10, 0)


@given(st.lists(st.integers(0, 86_400 * SECOND), min_size=1, max_size=300))
def test_the_watermark_is_the_99th_percentile_rounded_up(lags: list[int]) -> None:
    watermark = Watermark()
    watermark.add(np.array(lags, np.int64))
    found = watermark.microseconds()
    assert found is not None
    exact = sorted(lags)[int(np.ceil(len(lags) * 0.99)) - 1]
    assert exact <= found <= max(exact * 1.19 + 2, SECOND)


def test_the_watermark_follows_the_exporter() -> None:
    watermark = Watermark()
    watermark.add(np.full(19_000, 1800 * SECOND))
    for _ in range(200):
        watermark.add(np.full(1000, 60 * SECOND))
    found = watermark.microseconds()
    assert found is not None
    assert 60 * SECOND <= found <= 80 * SECOND


def test_the_watermark_of_an_exporter_takes_its_clock_into_account() -> None:
    decoder = Decoder(Rules(clock_threshold=MINUTE))
    decoded(decoder, 3600 * SECOND, uptime=10_000)
    mark = build.exporter_of(decoder)["watermark_s"]
    assert isinstance(mark, float)
    assert 5.0 <= mark <= 7.0


def test_a_template_that_is_not_said_again_expires() -> None:
    said = netflow9(one_set(0, template(300, PROTOCOL_AND_OCTETS)))
    decoder = Decoder(Rules(template_lifetime=10 * MINUTE))

    def at(minutes: int, *datagrams: bytes) -> int:
        block = build.block(datagrams)
        block.received[:] += minutes * MINUTE
        return sum(len(frame) for frame in decoder.decode(block))

    at(0, said)
    at(9, said)
    assert at(18, netflow9(one_set(300, small(1, 1)), sequence=2)) == 1
    at(30, netflow9(sequence=3))
    status = build.exporter_of(decoder)
    assert (status["templates"], status["templates_expired"]) == (0, 1)
    assert at(31, netflow9(one_set(300, small(1, 1)), sequence=4)) == 0
    assert at(32, said) == 1


def test_templates_of_a_session_do_not_expire() -> None:
    from dataclasses import replace

    decoder = Decoder(Rules(template_lifetime=10 * MINUTE))
    decoder.decode(replace(build.block([netflow9(one_set(0, template(300, PROTOCOL_AND_OCTETS)))]), lasting=True))
    block = build.block([netflow9(one_set(300, small(1, 1)), sequence=1)])
    block.received[:] += 100 * MINUTE
    assert sum(map(len, decoder.decode(block))) == 1
