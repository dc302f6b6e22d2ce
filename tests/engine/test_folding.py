"""Both directions as one group, and filters over groups, against a look at each flow by itself."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from nftui.engine import having, keys
from nftui.engine.filters import parse
from nftui.engine.folding import twins
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import RECORD_KEYS, Folding, Interval, Query, Totals
from nftui.engine.writer import StoreWriter
from nftui.errors import UsageError
from nftui.units import MAPPED_PREFIX, SECOND
from tests.engine.conftest import flows_frame

BASE = 1_700_000_000 * SECOND
HOSTS = [*(MAPPED_PREFIX + bytes([10, 0, net, host]) for net in (0, 1) for host in (1, 2)), b"\x20\x01" + b"\0" * 14, None]
PORTS = [None, 0, 22, 443, 1023, 1024, 40000, 50000]
ADDRESSES = ("source_address", "destination_address")


def _flow(chance: random.Random) -> dict[str, Any]:
    start = BASE + chance.randrange(20) * SECOND
    return {
        "flow_start": start,
        "flow_end": start + chance.choice([0, SECOND, 5 * SECOND]),
        "octets": chance.randrange(1, 10_000),
        "packets": chance.randrange(1, 10),
        "sampling_interval": chance.choice([None, 10]),
        "source_address": chance.choice(HOSTS),
        "destination_address": chance.choice(HOSTS),
        "source_port": chance.choice(PORTS),
        "destination_port": chance.choice(PORTS),
        "protocol": chance.choice([1, 6, 17, None]),
    }


def _reference(flows: list[dict[str, Any]], names: tuple[str, ...], guess: bool) -> dict[tuple[Any, ...], list[int]]:
    """Return group -> octets, packets each way (in, out), flows."""
    ports = "source_port" in names
    both: defaultdict[frozenset[Any], list[tuple[tuple[Any, ...], dict[str, Any]]]] = defaultdict(list)
    for flow in flows:
        group = tuple(flow[name] for name in names)
        foldable = not ports or "protocol" not in names or flow["protocol"] in (6, 17)
        both[frozenset([group, _back(group, names)]) if foldable else frozenset([("as it is", group)])].append((group, flow))
    found = {}
    for members in both.values():
        groups = {group for group, _ in members}
        first = min(members, key=lambda member: member[1]["flow_start"])[1]["flow_start"]
        began = {group for group, flow in members if flow["flow_start"] == first}
        named = max(began, key=lambda group: _preferred(group, names)) if len(began) > 1 else next(iter(began))
        assert len(groups) <= 2
        sums = [0, 0, 0, 0, 0]
        for group, flow in members:
            scale = flow["sampling_interval"] or 1
            at = 0 if group == named else 2
            sums[at] += flow["octets"] * scale
            sums[at + 1] += flow["packets"] * scale
            sums[4] += 1
        if guess and ports:
            row = dict(zip(names, named, strict=True))
            source, destination = row["source_port"], row["destination_port"]
            if row.get("protocol", 6) in (6, 17) and None not in (source, destination) and source < 1024 < destination:
                named, sums = _back(named, names), [*sums[2:4], *sums[:2], sums[4]]
        found[named] = sums
    return found


def _back(group: tuple[Any, ...], names: tuple[str, ...]) -> tuple[Any, ...]:
    row = dict(zip(names, group, strict=True))
    other = {"source": "destination", "destination": "source"}
    return tuple(row[f"{other[side]}_{rest}"] if (side := name.partition("_")[0]) in other and (rest := name.partition("_")[2]) else row[name] for name in names)  # fmt: skip  # noqa: E501


def _preferred(group: tuple[Any, ...], names: tuple[str, ...]) -> tuple[Any, ...]:
    """Of directions that start together, the one towards the lower port; then from the lower end, what is absent first."""
    row = dict(zip(names, group, strict=True))
    source, destination = row.get("source_port"), row.get("destination_port")
    towards = source is not None and destination is not None and source > destination
    away = source is not None and destination is not None and source < destination
    ends = [(row[name] is not None, row[name] or 0) for name in names if name.startswith("source_")]
    return (towards, not away, [_Lower(end) for end in ends])


class _Lower:
    """Turns an order around."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Lower) -> bool:
        return bool(_number(other.value) < _number(self.value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Lower) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]


def _number(end: tuple[bool, Any]) -> tuple[int, bool]:
    held, value = end
    return (int.from_bytes(value, "big") if isinstance(value, bytes) else value, held)


@pytest.mark.parametrize("names", [ADDRESSES, RECORD_KEYS, RECORD_KEYS[2:], RECORD_KEYS[:4]], ids=len)
@pytest.mark.parametrize("folding", [Folding.FIRST, Folding.GUESS])
def test_both_directions_are_one_group(tmp_path: Path, names: tuple[str, ...], folding: Folding) -> None:
    chance = random.Random(f"{names} {folding}")
    flows = [_flow(chance) for _ in range(400)]
    writer = StoreWriter(tmp_path)
    for at in range(0, 400, 50):
        writer.append([flows_frame(flows[at : at + 50])])
        writer.write_tail()
    expected = _reference(flows, names, folding is Folding.GUESS)
    for keep in (True, False):
        answer = LocalBackEnd(tmp_path, keep=keep).answer(Query(keys=names, folding=folding, limit=None))
        found = {
            tuple(row[name] for name in names): [
                *(row[name] for name in ("in_octets", "in_packets", "out_octets", "out_packets")),
                row["flows"],
            ]
            for row in answer.groups.iter_rows(named=True)
        }
        assert found == expected
        assert answer.group_count == len(expected)
        assert any(sums[0] and sums[2] for sums in found.values())
        assert answer.groups["octets"].sum() == answer.total.octets == sum(sums[0] + sums[2] for sums in expected.values())


def test_a_range_cuts_each_direction_like_any_flow(tmp_path: Path) -> None:
    there = {"flow_start": BASE, "flow_end": BASE + 10 * SECOND, "octets": 1000, "source_address": HOSTS[0], "destination_address": HOSTS[1]}  # fmt: skip  # noqa: E501
    back = {**there, "source_address": HOSTS[1], "destination_address": HOSTS[0], "octets": 500, "flow_start": BASE + SECOND}
    writer = StoreWriter(tmp_path)
    writer.append([flows_frame([there, back])])
    writer.write_tail()
    query = Query(interval=Interval(BASE, BASE + 5 * SECOND), keys=ADDRESSES, folding=Folding.FIRST)
    (row,) = LocalBackEnd(tmp_path).answer(query).groups.iter_rows(named=True)
    assert (row["in_octets"], row["out_octets"], row["octets"]) == (500, 500 * 4 // 9, 500 + 500 * 4 // 9)


def test_masked_ends_fold_too(make_store: Any) -> None:
    rows = [
        {"flow_start": BASE, "octets": 1, "source_address": HOSTS[0], "destination_address": HOSTS[2]},
        {"flow_start": BASE + 1, "octets": 2, "source_address": HOSTS[3], "destination_address": HOSTS[1]},
        {"flow_start": BASE + 2, "octets": 4, "source_address": HOSTS[0], "destination_address": HOSTS[1]},
    ]
    names = keys.parse("srcip4/24,dstip4/24")
    answer = LocalBackEnd(make_store([rows])).answer(Query(keys=names, folding=Folding.FIRST, times=True))
    found = [[*(keys.value(name, row[name]) for name in names), row["in_octets"], row["out_octets"]] for row in answer.groups.to_dicts()]  # fmt: skip  # noqa: E501
    assert found == [["10.0.0.0/24", "10.0.0.0/24", 4, 0], ["10.0.0.0/24", "10.0.1.0/24", 1, 2]]


def test_a_series_has_one_direction() -> None:
    with pytest.raises(ValueError, match="bins"):
        Query(keys=ADDRESSES, folding=Folding.FIRST, bins=3)


@pytest.mark.parametrize("names", [("source_address",), ("protocol",), ("source_address/24/64", "destination_address")])
def test_folding_needs_both_ends(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="both ends"):
        twins(names)


def _rows(chance: random.Random) -> list[dict[str, Any]]:
    return [_flow(chance) for _ in range(300)]


@pytest.mark.parametrize(
    ("words", "takes"),
    [
        ("bytes > 50000", lambda row, ms: row["octets"] > 50_000),
        ("packets <= 100 or flows >= 9", lambda row, ms: row["packets"] <= 100 or row["flows"] >= 9),
        ("not duration > 10000", lambda row, ms: not ms > 10_000),
        ("bps > 50000", lambda row, ms: ms > 0 and row["octets"] * 8000 // ms > 50_000),
        ("pps < 5", lambda row, ms: ms == 0 or row["packets"] * 1000 // ms < 5),
        ("bpp > 1000", lambda row, ms: row["octets"] // row["packets"] > 1000),
        ("src net 10.0.1.0/24", lambda row, _: row["source_address"] in HOSTS[2:4]),
        ("dst port 22 and flows > 1", lambda row, _: row["destination_port"] == 22 and row["flows"] > 1),
    ],
)  # fmt: skip
def test_groups_are_filtered_by_what_they_sum_to(make_store: Any, words: str, takes: Any) -> None:
    rows = _rows(random.Random(words))
    names = ("source_address", "destination_port")
    back_end = LocalBackEnd(make_store([rows[:150], rows[150:]]))
    every = Query(keys=names, limit=None, times=True)
    everything = back_end.answer(every)
    query = Query(keys=names, limit=3, having=parse(words), times=True)
    having.check(query)
    answer = back_end.answer(query)
    taken = [row for row in everything.groups.to_dicts() if takes(row, (row["last"] - row["first"]) // 1000)]
    assert 0 < len(taken) < everything.group_count
    assert answer.groups.to_dicts() == taken[:3]
    assert (answer.group_count, answer.left_out) == (len(taken), everything.group_count - len(taken))
    shown = Totals(*(sum(row[name] for row in taken[:3]) for name in ("octets", "packets", "flows")))
    assert (answer.total, answer.other) == (everything.total, everything.total - shown)
    assert back_end.answer(every).groups.to_dicts() == everything.groups.to_dicts()


def test_a_filter_over_groups_says_what_they_dont_have() -> None:
    with pytest.raises(UsageError, match="groups have no tos"):
        having.check(Query(keys=("source_address",), having=parse("tos 4")))
    having.check(Query(keys=("address",), having=parse("ip 10.0.0.1 and bytes > 1")))
