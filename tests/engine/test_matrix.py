"""The matrix of the top values, against a look at each flow by itself."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from nftui.engine.filters import parse
from nftui.engine.local import LocalBackEnd
from nftui.engine.matrix import ENDS, matrix
from nftui.engine.query import Interval, Measure, Query
from nftui.engine.writer import StoreWriter
from nftui.units import MAPPED_PREFIX, SECOND
from tests.engine.conftest import flows_frame

BASE = 1_700_000_000 * SECOND
HOSTS = [*(MAPPED_PREFIX + bytes([10, 0, 0, host]) for host in range(1, 6)), b"\x20\x01" + b"\0" * 14, None]
VALUES: dict[str, list[Any]] = {
    "address": HOSTS, "port": [None, 0, 22, 443, 40000], "as": [None, 64496, 64497, 64498], "vlan": [None, 1, 2],
    "interface": [None, 1, 2, 3],
}  # fmt: skip


def _flow(chance: random.Random) -> dict[str, Any]:
    start = BASE + chance.randrange(10) * SECOND
    flow: dict[str, Any] = {name: chance.choice(VALUES[key]) for key, ends in ENDS.items() for name in ends.keys}
    return flow | {
        "flow_start": start, "flow_end": start + chance.choice([0, SECOND]),
        "octets": chance.randrange(1, 10_000), "packets": chance.randrange(1, 10),
        "sampling_interval": chance.choice([None, 10]), "protocol": chance.choice([6, 17]),
    }  # fmt: skip


@pytest.mark.row("V09")
@pytest.mark.parametrize("seed", range(8))
def test_cells_are_the_sums_of_their_pairs(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    flows = [_flow(chance) for _ in range(chance.choice([0, 1, 150]))]
    writer = StoreWriter(tmp_path)
    writer.append([flows_frame(flows)])
    writer.write_tail()
    back_end = LocalBackEnd(tmp_path, keep=bool(seed % 2))
    taken = [flow for flow in flows if flow["protocol"] == 6]
    for key, ends in ENDS.items():
        for measure in Measure:
            query = Query(where=parse("proto tcp"), measure=measure)
            found = matrix(back_end, query, key, 3)
            of: dict[Any, int] = {}
            for flow in taken:
                for value in {flow[name] for name in ends.keys} - {None} or {None}:
                    of[value] = of.get(value, 0) + _counted(flow, measure)
            ranked = sorted(of.values(), reverse=True)[:3]
            assert len(found.elements) in (min(3, len(of)), min(3, len(of)) - (None in of))
            assert all(of[value] in ranked for value in found.elements)
            for row, source in enumerate(found.elements):
                for column, destination in enumerate(found.elements):
                    between = [flow for flow in taken if [flow[name] for name in ends.keys] == [source, destination]]
                    for other, cells in found.sums.items():
                        assert cells[row, column] == sum(_counted(flow, other) for flow in between)
            assert found.total.value(measure) == sum(_counted(flow, measure) for flow in taken)


def test_of_a_range_that_holds_nothing(tmp_path: Path) -> None:
    found = matrix(LocalBackEnd(tmp_path), Query(interval=Interval(0, 1)), "address", 10)
    assert (found.elements, found.total.flows) == ((), 0)
    assert all(cells.shape == (0, 0) for cells in found.sums.values())


def _counted(flow: dict[str, Any], measure: Measure) -> int:
    return 1 if measure is Measure.FLOWS else flow[measure.value] * (flow["sampling_interval"] or 1)
