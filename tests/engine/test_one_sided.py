"""One-sided views: recognised where one direction is missing, and not where something else looks alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui.engine.local import LocalBackEnd
from nftui.engine.one_sided import LATE, Sides, question
from nftui.engine.query import Interval
from nftui.engine.writer import StoreWriter
from nftui.schema import POLARS
from nftui.units import SECOND, address_octets

NOW = 1_795_467_605 * SECOND
Row = dict[str, Any]
ACK, SYN, SYN_ACK = 0x18, 0x02, 0x12


def flow(source: str, sport: int, destination: str, dport: int, **more: Any) -> Row:
    start = NOW - LATE - 30 * SECOND
    row = {
        "flow_start": start, "flow_end": start + SECOND, "exporter_address": "192.0.2.1", "observation_domain": 2, "protocol": 6,
        "source_address": source, "source_port": sport, "destination_address": destination, "destination_port": dport,
        "tcp_flags": ACK, "packets": 20, "octets": 20_000, "sampling_interval": 1, **more,
    }  # fmt: skip
    return {name: address_octets(value) if name.endswith("_address") else value for name, value in row.items()}


def requests(count: int = 40, hosts: int = 8, **more: Any) -> Iterator[Row]:
    """Yield what clients send to servers."""
    for n in range(count):
        yield flow(f"10.0.0.{1 + n % hosts}", 40_000 + n, f"203.0.113.{1 + n % 3}", 443, **more)


def answers(count: int = 40, hosts: int = 8, **more: Any) -> Iterator[Row]:
    """Yield what these send back."""
    for n in range(count):
        yield flow(f"203.0.113.{1 + n % 3}", 443, f"10.0.0.{1 + n % hosts}", 40_000 + n, **more)


def one_sided(root: Path, *rows: Row) -> list[tuple[int | None, bool]]:
    """Return each observation domain, and whether only one direction is seen there."""
    frame = pl.DataFrame(list(rows))
    writer = StoreWriter(root)
    writer.append([frame.cast({name: POLARS[name] for name in frame.columns})])
    writer.write_tail()
    return [(one.domain, one.one_sided) for one in Sides(LocalBackEnd(root, keep=False)).look(NOW)]


SEEN_WELL: dict[str, Callable[[], list[Row]]] = {
    "both directions": lambda: [*requests(), *answers()],
    "both directions, most of the answers short": lambda: [*requests(), *answers(packets=3, octets=180)],
    "answers at another card of the same exporter": lambda: [*requests(), *answers(observation_domain=3)],
    "a few answers pass elsewhere": lambda: [*requests(40), *answers(36)],
    "most answers pass elsewhere, but not nearly all": lambda: [*requests(40), *answers(8)],
    "addresses translated between both": lambda: [
        *requests(), *(flow(f"203.0.113.{1 + n % 3}", 443, "198.51.100.1", 50_000 + n) for n in range(40)),
    ],
    "a scan": lambda: list(requests(2000, 200, tcp_flags=SYN, packets=3, octets=180)),
    "answers to what others forged": lambda: list(answers(2000, 200, tcp_flags=SYN_ACK, packets=7, octets=7 * 60)),
    "few connections": lambda: list(requests(19)),
    "one pair of hosts": lambda: list(requests(90, 1))[::3],
    "sampled": lambda: list(requests(sampling_interval=100)),
    "no TCP": lambda: list(requests(protocol=17, tcp_flags=0)),
}  # fmt: skip


@pytest.mark.row("B04")
@pytest.mark.parametrize("case", SEEN_WELL)
def test_no_word_where_all_may_be_well(tmp_path: Path, case: str) -> None:
    assert [domain for domain, sided in one_sided(tmp_path, *SEEN_WELL[case]()) if sided] == []


@pytest.mark.row("B04")
@pytest.mark.parametrize("rows", [list(requests()), list(answers()), [*requests(), *answers(2)]], ids=["to", "from", "nearly"])
def test_one_direction_is_recognised(tmp_path: Path, rows: list[Row]) -> None:
    assert one_sided(tmp_path, *rows) == [(2, True)]


@pytest.mark.row("B04")
def test_each_interface_is_judged_by_itself(tmp_path: Path) -> None:
    mirror = [flow("10.9.0.1", 30_000 + n, f"10.9.1.{n % 9}", 22, observation_domain=7) for n in range(30)]
    unanswered = [flow(f"10.9.1.{n % 9}", 50_000 + n, f"198.51.100.{n % 9}", 443, observation_domain=7) for n in range(30)]
    assert one_sided(tmp_path, *requests(), *answers(), *mirror, *unanswered) == [(2, False), (7, True)]


def test_a_flood_hides_nothing_and_makes_no_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.engine.one_sided.MOST", 100)
    flood = [flow(f"198.51.100.{n % 200}", n, "10.0.0.1", 80, packets=9, octets=9000) for n in range(3000)]
    heavy = list(requests(packets=5000, octets=5_000_000))
    assert one_sided(tmp_path, *flood, *heavy, *answers(packets=4000, octets=200_000)) == [(2, False)]


def test_the_range_is_short_where_much_comes() -> None:
    at_rest, busy = question(NOW, None).interval, question(NOW, {"flows_per_s": 200_000.0}).interval
    assert at_rest == Interval(NOW - LATE - 600 * SECOND, NOW - LATE)
    assert busy == Interval(NOW - LATE - 5 * SECOND, NOW - LATE)
    assert question(NOW, {"flows_per_s": "many"}).interval == at_rest


def test_an_empty_store_says_nothing(tmp_path: Path) -> None:
    assert Sides(LocalBackEnd(tmp_path)).look(NOW) == ()
