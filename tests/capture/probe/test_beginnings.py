"""Beginnings of connections: what is remembered is right, and a full table forgets some, and invents none."""

from __future__ import annotations

import numpy as np
import pytest

from nftui.capture.probe.beginnings import Beginnings

pytestmark = pytest.mark.row("B01")


@pytest.mark.parametrize(("places", "known"), [(1 << 16, 1.0), (1 << 12, 0.5)])
def test_what_is_remembered_is_right(places: int, known: float) -> None:
    dice = np.random.default_rng(3)
    numbers = dice.permutation(np.unique(dice.integers(1, 1 << 32, 6100)))[:6000]
    table, batches = Beginnings(places), np.array_split(numbers, 60)
    for time, some in enumerate(batches, 1):
        table.note(some, time)
    times = np.repeat(np.arange(1, 61), 100)
    found = table.of(numbers, forget=False)
    assert ((found == times) | (found == 0)).all()
    assert (found > 0).mean() >= known
    assert (table.of(numbers, forget=True) == found).all()
    assert not table.of(numbers, forget=True).any()
    assert not table.of(np.array([-1, 0]), forget=True).any()
    assert not table._numbers.any()
