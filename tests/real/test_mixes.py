"""Mixes of traffic: tshark, softflowd and the meter count the same. `python -m tests.real.mixes` compares as many as wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real import mixes


@pytest.mark.row("B01")
@pytest.mark.peer("tshark", "softflowd", "nfcapd", "nfdump")
@pytest.mark.parametrize("seed", [1, 2])
def test_mix(seed: int, tmp_path: Path) -> None:
    assert mixes.differences(seed, tmp_path) == []


def test_mix_has_everything() -> None:
    """A mix of a few seeds has each link layer, packets that softflowd does not know, padding, and frames that are not IP."""
    some = [mixes.made(seed) for seed in range(2)]
    types = {frame[12:14] for mix in some for frame in mix.frames}
    assert {bytes.fromhex(kind) for kind in ("0800", "86dd", "8100", "88a8", "8847", "8864", "0806", "88cc")} <= types
    assert {known for mix in some for known in mix.known} == {True, False}
    assert max(padding for mix in some for padding in mix.padding) > 10
