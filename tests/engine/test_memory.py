"""Memory: what questions over many flows and many groups take, beside what the library takes for itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Interval, Query
from nftui.engine.writer import StoreWriter
from nftui.schema import POLARS
from nftui.units import SECOND

BASE = 1_700_000_000 * SECOND
PARTS, FLOWS, EVERY = 10, 100_000, 6 * SECOND
"""A minute of 17,000 flows a second, sealed every six seconds."""
HOSTS = pl.Series([bytes(10) + b"\xff\xff\x0a" + number.to_bytes(3, "big") for number in range(700)], dtype=pl.Binary)
MOST_MB = 350
"""More than the process has before its first question; some 200 are taken, and were 600 to 800 when edges were read freely."""

ASK = """
import json, sys
from pathlib import Path
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Interval, Query
from nftui.engine.watch import Watch

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

root, second, ends, keys = Path(sys.argv[1]), 1_000_000, json.loads(sys.argv[2]), tuple(sys.argv[3].split(","))
back_end, counts = LocalBackEnd(root), []
back_end.answer(Query(Interval(0, 1), keys=keys, bins=2))
bare = resident()
for end in ends:
    query = Query(Interval(end - 60 * second, end), keys=keys, bins=30, limit=20)
    answer = back_end.answer(query, Watch(lambda answer: None))
    counts.append([answer.total.octets, answer.total.flows, answer.group_count])
print(json.dumps({"counts": counts, "bare": bare, "most": resident()}))
"""


def _part(number: int, chance: np.random.Generator) -> pl.DataFrame:
    received = BASE + number * EVERY + np.sort(chance.integers(0, EVERY, FLOWS))
    end = received - chance.integers(SECOND, 17 * SECOND, FLOWS)
    # Some flows are as long as flows are: each part reaches back beyond the range.
    length = np.where(chance.random(FLOWS) < 0.002, chance.integers(0, 60 * SECOND, FLOWS), chance.exponential(2 * SECOND, FLOWS))
    columns = {
        "flow_start": end - length.astype(np.int64), "flow_end": end, "received": received,
        "octets": chance.integers(40, 100_000, FLOWS), "packets": chance.integers(1, 100, FLOWS),
    }  # fmt: skip
    sides = {name: HOSTS.gather(chance.integers(0, len(HOSTS), FLOWS)) for name in ("source_address", "destination_address")}
    exporter = pl.lit(bytes(10) + b"\xff\xff\x7f\x00\x00\x01").alias("exporter_address")
    frame = pl.DataFrame({**columns, **sides}).with_columns(exporter)
    return frame.select(pl.col(name).cast(POLARS[name]) for name in frame.columns)


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of a busy minute."""
    root, chance = tmp_path_factory.mktemp("minute"), np.random.default_rng(1)
    writer = StoreWriter(root)
    for number in range(PARTS):
        writer.append([_part(number, chance)])
        writer.write_segments()
    return root


@pytest.mark.row("C09")
@pytest.mark.parametrize("keys", ["source_address,destination_address", "address"])
def test_a_minute_that_moves_on_takes_no_more_memory_than_it_has_groups_for(minute: Path, keys: str) -> None:
    ends = [BASE + PARTS * EVERY + moved * SECOND for moved in (0, 2, 4, 6)]
    command = [sys.executable, "-c", ASK, str(minute), json.dumps(ends), keys]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    assert told["most"] - told["bare"] < MOST_MB
    back_end = LocalBackEnd(minute, keep=False)
    once = [back_end.answer(Query(Interval(end - 60 * SECOND, end), keys=tuple(keys.split(",")))) for end in ends[-1:]]
    assert told["counts"][-1:] == [[one.total.octets, one.total.flows, one.group_count] for one in once]
    assert once[-1].group_count >= (300_000 if "," in keys else 700)
