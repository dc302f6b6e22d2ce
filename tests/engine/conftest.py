"""Flows and stores for the engine's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui.engine.segments import TAIL
from nftui.engine.store import Store
from nftui.engine.writer import StoreWriter, seal
from nftui.schema import POLARS

MakeFlows = Callable[[list[dict[str, Any]]], pl.DataFrame]


def address(text_or_number: str | int) -> bytes:
    """Return an IPv4 address as 16 octets, from text or from a number below 10.0.0.0/8."""
    if isinstance(text_or_number, int):
        octets = (0x0A000000 + text_or_number).to_bytes(4, "big")
    else:
        octets = bytes(int(part) for part in text_or_number.split("."))
    return b"\x00" * 10 + b"\xff\xff" + octets


def flows_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return flows with the given values; receipt, exporter and octets are filled in where they are missing."""
    filled = []
    for row in rows:
        one = {"exporter_address": address("192.0.2.1"), "observation_domain": 0, "octets": 0, "packets": 1, **row}
        one.setdefault("received", row.get("flow_end", row.get("flow_start", 0)))
        for side in ("source_address", "destination_address"):
            if side in one and one[side] is not None and not isinstance(one[side], bytes):
                one[side] = address(one[side])
        filled.append(one)
    names = [name for name in POLARS if any(name in row for row in filled)]
    schema = {name: pl.Int64 if POLARS[name].is_temporal() else POLARS[name] for name in names}
    frame = pl.DataFrame([{name: row.get(name) for name in names} for row in filled], schema=schema)
    return frame.with_columns(pl.col(name).cast(POLARS[name]) for name in names)


@pytest.fixture
def make_flows() -> MakeFlows:
    """A function that makes a frame of flows of rows."""
    return flows_frame


def tail_of(root: Path, stream: str = "main") -> list[Any]:
    """Return a stream's tail files that are not superseded."""
    return [part for part in Store(root).parts() if part.name.level == TAIL and part.name.stream == stream]


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Path]:
    """A function that makes a store: each list of rows becomes a tail file; those before `sealed` are sealed, two at a time."""

    def make(files: list[list[dict[str, Any]]], sealed: int = 0, name: str = "store") -> Path:
        root = tmp_path / name
        writer = StoreWriter(root)
        for number, rows in enumerate(files, 1):
            writer.append([flows_frame(rows)])
            writer.write_tail()
            parts = tail_of(root)
            if number <= sealed and (len(parts) == 2 or number == sealed) and parts:
                seal(root, parts)
                for part in parts:
                    part.path.unlink()
        return root

    return make
