"""Flow times: what is told of flows near an edge is never too little, and no more than a cell's width too much."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nftui.engine.flow_times import CELLS, FlowTimes
from nftui.engine.ground import Ground
from nftui.engine.store import Store
from nftui.engine.writer import StoreWriter
from nftui.units import SECOND
from tests.engine.conftest import flows_frame

BASE = 1_700_000_000 * SECOND


@pytest.mark.parametrize("seed", range(3))
def test_flows_near_an_edge_are_counted_to_the_cell(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    flows = []
    for _ in range(300):
        end = BASE + chance.randrange(5 * SECOND)
        flows.append((end - chance.choice([0, 1, SECOND, chance.randrange(60 * SECOND)]), end))
    writer = StoreWriter(tmp_path)
    writer.append([flows_frame([{"flow_start": start, "flow_end": end, "received": BASE + 6 * SECOND} for start, end in flows])])
    writer.write_tail()
    store, times = Store(tmp_path), FlowTimes()
    (part,) = parts = store.parts()
    times.look(Ground.of(store, None, parts, None), parts)
    cell = (part.name.max_end - part.name.min_start) // CELLS + 1

    def exact(since: int, until: int) -> int:
        return sum(start <= until and end >= since for start, end in flows)

    for _ in range(200):
        since = BASE + chance.randrange(-70 * SECOND, 10 * SECOND)
        until = since + chance.choice([0, SECOND, chance.randrange(80 * SECOND)])
        told = times.near(part.name, len(flows), since, until)
        assert exact(since, until) <= told <= exact(since - cell, until + cell)
    assert times.near(part.name, len(flows), part.name.min_start, part.name.max_end) == len(flows)


def test_parts_of_very_many_flows_have_them_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.engine.flow_times.MOST_COUNTED", 5)
    writer = StoreWriter(tmp_path)
    writer.append([flows_frame([{"flow_start": at, "flow_end": at, "received": at} for at in range(BASE, BASE + 11)])])
    writer.write_tail()
    store, times = Store(tmp_path), FlowTimes()
    (part,) = parts = store.parts()
    times.look(Ground.of(store, None, parts, None), parts)
    assert [times.near(part.name, 1000, BASE, BASE + end) for end in (1, 5, 10)] == [101, 501, 1001]
    assert times.near(part.name, 1000, BASE + 20, BASE + 30) == 0
