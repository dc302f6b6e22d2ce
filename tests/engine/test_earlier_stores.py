"""A store that an earlier version wrote opens, is gone on with, compacted, and keeps its totals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui.engine.compaction import Compactor
from nftui.engine.leaving import Leaving
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Kind, Query
from nftui.engine.segments import HOUR
from nftui.engine.set_aside import SetAside
from nftui.engine.store import Store
from nftui.units import SECOND
from tests.running import answer, collecting, payloads, send

STORES = Path(__file__).parent.parent / "data" / "stores"
FIXTURE = STORES.parent / "ten-flows.pcap"
LATER = 1_900_000_000 * SECOND


@pytest.fixture
def early(tmp_path: Path) -> Path:
    """A copy of the earliest store."""
    return Path(shutil.copytree(STORES / "early", tmp_path / "store"))


def _sums(root: Path, stat: str, key: str) -> dict[str, list[int]]:
    rows = answer("top", "--data", root, "-s", stat, "-n", "500")["rows"]
    return {str(row[key]): [row["octets"], row["packets"], row["flows"]] for row in rows}


def _answers(root: Path) -> dict[str, Any]:
    return {"router": _sums(root, "router", "exporter_address"), "proto": _sums(root, "proto", "protocol")}


def test_an_earlier_store_is_read_gone_on_with_and_compacted(early: Path, tmp_path: Path) -> None:
    told = json.loads((STORES / "early.json").read_text())
    assert _answers(early) == told
    (tmp_path / "nftui.toml").write_text("[store]\nmax_lifespan = 0\n")
    with collecting(early, "--config", str(tmp_path / "nftui.toml")) as collector:
        send(collector.port, payloads(FIXTURE))
        collector.wait_for(lambda: collector.status().get("flows_stored") == 10)
    assert not list((early / "tail").iterdir())
    assert not (early / "damaged").exists()
    # The fixture came from the address that the first exporter had then.
    first = "127.1.0.1"
    expected = {**told["router"], first: [a + b for a, b in zip(told["router"][first], [1_552_644, 64, 10], strict=True)]}
    assert _answers(early)["router"] == expected
    compactor = Compactor(early, Leaving(), SetAside(early))
    while compactor.step(LATER, 1 << 50):
        pass
    assert {part.name.level for part in Store(early).parts()} == {HOUR}
    assert _answers(early)["router"] == expected


def test_columns_that_an_earlier_version_had_not_are_null(early: Path) -> None:
    (segment, *_) = (early / "flows").rglob("*.parquet")
    answer_now = LocalBackEnd(early, keep=False).answer(Query(kind=Kind.FLOWS, limit=None, order="received"))
    assert answer_now.flows is not None and answer_now.flows.height == 341
    without = pl.read_parquet(segment).drop("protocol_version")
    without.write_parquet(segment)
    again = LocalBackEnd(early, keep=False).answer(Query(kind=Kind.FLOWS, limit=None, order="received")).flows
    assert again is not None
    assert again["protocol_version"].null_count() - answer_now.flows["protocol_version"].null_count() == without.height
