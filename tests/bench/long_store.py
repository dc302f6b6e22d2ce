"""A store of a month: an hour's flows again and again, each hour as the collector leaves it behind, and two busy hours at the end.

python -m tests.bench.long_store DIR [--days N] [--flows N] [--busy N]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import polars as pl

from nftui.capture.decoder import Decoder
from nftui.engine.compaction import HOUR_US, LEVEL, ROW_GROUP
from nftui.engine.instants import END, RECEIVED, START
from nftui.engine.segments import HOUR, PartName
from nftui.engine.writer import segment_path, write_parquet
from nftui.schema import POLARS
from tests.bench import processes, traffic

BASE_FLOWS = 2_000_000
RUN_FLOWS = 400_000
"""Flows that are sorted together, as compaction does it."""
TIMES = ("flow_start", "flow_end", "received")


def base(folder: Path) -> pl.DataFrame:
    """Return an hour's flows in the order of receipt, of which all others are made."""
    recording = folder / "base.datagrams"
    traffic.record(recording, "v9", BASE_FLOWS, span_s=3590)
    decoder, frames = Decoder(), []
    for block in traffic.Recording.read(recording).blocks():
        frames += decoder.decode(block)
    for path in (recording, recording.with_suffix(".npz")):
        path.unlink()
    flows = pl.concat(frames, how="diagonal")
    flows = flows.select(pl.col(name) for name in POLARS if name in flows.columns)
    # As if received when exported, which the headers told and the end of the flow is near to.
    late = pl.duration(microseconds=(pl.int_range(pl.len()) * 7919) % 2_000_000)
    return flows.with_columns((pl.col("flow_end") + late).alias("received")).sort("received")


def hour(flows: pl.DataFrame, number: int, count: int) -> pl.DataFrame:
    """Return `count` flows, in the order of receipt; another number makes other ones."""
    copies = -(-count // flows.height)
    each = -(-count // copies)
    taken = flows.gather_every(flows.height // each, number % max(flows.height // each, 1)).head(each)
    frames = []
    for copy in range(copies):
        shift = pl.duration(microseconds=copy * 211)
        frames.append(taken.with_columns(pl.col(TIMES) + shift, pl.col("octets") + (number * 31 + copy * 7) % 97))
    return pl.concat(frames).sort("received").head(count) if copies > 1 else taken


def write(data: Path, number: int, flows: pl.DataFrame, shift: int) -> int:
    """Write one hour, moved by `shift` microseconds, as compaction does; return how many flows it has."""
    frame = flows.with_columns(pl.col(TIMES) + pl.duration(microseconds=shift))
    runs = [frame.slice(at, RUN_FLOWS).sort("source_address", maintain_order=True) for at in range(0, frame.height, RUN_FLOWS)]
    with_correction = frame if "clock_correction" in frame.columns else frame.with_columns(clock_correction=pl.lit(None, pl.Int64))
    span = with_correction.select(
        RECEIVED.min().alias("a"), RECEIVED.max().alias("b"), START.min().alias("c"), END.max().alias("d")
    ).row(0)
    name = PartName(*span, HOUR, "main", number * 1000 + 1, number * 1000 + 999)
    write_parquet(pl.concat(runs), segment_path(data, name), level=LEVEL, row_group=ROW_GROUP, statistics=True)
    return frame.height


def make(data: Path, days: int, flows: int, busy: int, now: int) -> int:
    """Make the store, up to the last whole hour before `now` (microseconds); return how many flows it has."""
    (data / "tail").mkdir(parents=True, exist_ok=True)
    source, hours, total = base(data.parent), days * 24, 0
    start = int(source.select(RECEIVED.min()).item()) - traffic.SECOND
    for number in range(hours):
        count = busy if number >= hours - 2 else (flows - 2 * busy) // (hours - 2)
        at = (now // HOUR_US - hours + number) * HOUR_US
        total += write(data, number, hour(source, number, count), at - start)
    return total


def main() -> None:
    """Make one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--flows", type=int, default=100_000_000)
    parser.add_argument("--busy", type=int, default=11_000_000, help="flows of each of the last two hours")
    options = parser.parse_args()
    began = time.perf_counter()
    total = make(options.data, options.days, options.flows, options.busy, time.time_ns() // 1000)
    print(f"{total:,} flows, {processes.size(options.data):,} octets, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
