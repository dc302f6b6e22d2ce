"""Groups: either-side keys, masks and shares against a look at each flow by itself."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui.engine import keys
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Answer, Interval, Query, Totals
from nftui.engine.sealer import Sealer
from nftui.engine.writer import StoreWriter
from nftui.errors import UsageError
from nftui.export.rows import group_rows
from nftui.schema import POLARS
from nftui.units import MAPPED_PREFIX, SECOND, address_text
from tests.engine.conftest import flows_frame
from tests.export import plain_rows

BASE = 1_700_000_000 * SECOND
ADDRESSES = [MAPPED_PREFIX + IPv4Address(one).packed for one in ("10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1", "192.168.7.200")]
ADDRESSES += [IPv6Address(one).packed for one in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "fe80::1", "::1")]
LENGTH = 60 * SECOND


def _flow(chance: random.Random) -> dict[str, Any]:
    """Return a flow that may be longer than the range, of no length, or end before it starts."""
    start = BASE + chance.randrange(-30, 90) * SECOND + chance.randrange(SECOND)
    length = chance.choice([0, 0, 1, 999, 5 * SECOND, 200 * SECOND, -3 * SECOND])
    return {
        "flow_start": start,
        "flow_end": start + length,
        "octets": chance.choice([0, 1, 7, chance.randrange(1 << 40)]),
        "packets": chance.randrange(1, 1000),
        "flow_count": chance.choice([None, None, 0, 3]),
        "sampling_interval": chance.choice([None, None, 1, 100]),
        "source_address": chance.choice([None, *ADDRESSES]),
        "destination_address": chance.choice([None, *ADDRESSES]),
        "source_port": (port := chance.choice([None, 53, 80, 443, 50000])),
        "destination_port": chance.choice([port, 53, 443]),
        "protocol": chance.choice([6, 17, None]),
        "source_mac": chance.choice([None, 1, 2]),
        "destination_mac": chance.choice([None, 1, 3]),
        "post_source_mac": chance.choice([None, 1, 2, 4]),
        "post_destination_mac": chance.choice([None, 1]),
    }


def _counted(flow: dict[str, Any], interval: Interval | None, sampling: bool) -> Totals | None:
    """Return what one flow counts within a range, None where nothing of it lies there."""
    start, end = flow["flow_start"], max(flow["flow_end"], flow["flow_start"])
    scale = (flow["sampling_interval"] or 1) if sampling else 1
    octets, packets, flows = flow["octets"] * scale, flow["packets"] * scale, max(flow["flow_count"] or 1, 1)
    if interval is None:
        return Totals(octets, packets, flows)
    if start == end:
        return Totals(octets, packets, flows) if interval.start <= start < interval.end else None
    first, last = max(start, interval.start), min(end, interval.end)
    if last <= first:
        return None

    def share(count: int) -> int:
        return count * (last - start) // (end - start) - count * (first - start) // (end - start)

    return Totals(share(octets), share(packets), flows if interval.start <= end - 1 < interval.end else 0)


def _values(flow: dict[str, Any], name: str) -> set[Any]:
    head, _, rest = name.partition("/")
    columns = keys.EITHER[head][1] if head in keys.EITHER else (head,)
    values = {flow[column] for column in columns} - {None}
    if rest:
        four, six = rest.split("/")
        values = {_masked(one, int(four), int(six)) for one in values}
    return values or {None}


def _masked(octets: bytes, four: int, six: int) -> str:
    text = address_text(octets)
    network = ip_network(f"{text}/{six if ':' in text else four}", strict=False)
    return str(network) if network.prefixlen < network.max_prefixlen else str(network.network_address)


def _reference(
    flows: Iterable[dict[str, Any]], names: tuple[str, ...], interval: Interval | None, sampling: bool
) -> tuple[dict[tuple[Any, ...], Totals], list[tuple[set[tuple[Any, ...]], Totals]]]:
    """Return the sums of each group, and of each flow its groups and what it counts."""
    groups: defaultdict[tuple[Any, ...], Totals] = defaultdict(Totals)
    each = []
    for flow in flows:
        sums = _counted(flow, interval, sampling)
        if sums is None or sums == Totals():
            continue  # the piece of it that lies in the range counts nothing
        stands: set[tuple[Any, ...]] = {()}
        for name in names:
            values = {_plain(name, one) for one in _values(flow, name)}
            stands = {(*before, one) for before in stands for one in values}
        for group in stands:
            groups[group] += sums
        each.append((stands, sums))
    return dict(groups), each


def _plain(name: str, raw: Any) -> Any:
    return raw if isinstance(raw, str) else keys.value(name, raw)


def _groups(answer: Answer) -> dict[tuple[Any, ...], Totals]:
    names = answer.query.keys
    rows = answer.groups.iter_rows(named=True)
    return {
        tuple(keys.value(name, row[name]) for name in names): Totals(row["octets"], row["packets"], row["flows"]) for row in rows
    }


NAMES = [
    ("address",),
    ("port",),
    ("mac",),
    ("either_source_mac",),
    ("address", "protocol"),
    ("protocol", "port"),
    ("address/24/64",),
    ("address/8/32", "destination_port"),
    ("source_address/0/0",),
    ("source_address/31/127", "destination_address/24/128"),
    ("source_address",),
]


@pytest.mark.parametrize("names", NAMES, ids="-".join)
def test_groups_and_others_are_those_of_a_look_at_each_flow(tmp_path: Path, names: tuple[str, ...]) -> None:
    chance = random.Random(f"{names}")
    flows = [_flow(chance) for _ in range(300)]
    writer, sealer = StoreWriter(tmp_path), Sealer(tmp_path, interval_s=8)
    for at in range(0, len(flows), 60):
        writer.append([flows_frame(flows[at : at + 60])])
        writer.write_tail()
        if chance.random() < 0.5:
            sealer.sweep(BASE + 3600 * SECOND)
    back_ends = [LocalBackEnd(tmp_path), LocalBackEnd(tmp_path, keep=False)]
    for interval in (None, Interval(BASE, BASE + LENGTH), Interval(BASE + LENGTH // 2, BASE + LENGTH), Interval(BASE - 1, BASE)):
        for sampling, limit, order in ((True, 3, "octets"), (False, None, "flows")):
            groups, each = _reference(flows, names, interval, sampling)
            total = sum((sums for _, sums in each), Totals())
            for back_end in back_ends:
                query = Query(interval=interval, keys=names, sampling=sampling, limit=limit, order=order, bins=7)
                answer = back_end.answer(query)
                shown = _groups(answer)
                assert answer.total == total
                assert answer.group_count == len(groups)
                assert shown == {group: groups[group] for group in shown}
                measured = [getattr(sums, order) for sums in groups.values()]
                assert [getattr(sums, order) for sums in shown.values()] == sorted(measured, reverse=True)[: limit or len(groups)]
                other = sum((sums for stands, sums in each if not stands & shown.keys()), Totals())
                assert answer.other == other
                _series_conserves(answer)


def _series_conserves(answer: Answer) -> None:
    assert answer.series is not None
    sums = answer.series.drop("time").sum().row(0)
    octets = [*answer.groups["octets"].to_list(), answer.other.octets]
    assert list(sums) == octets


def test_the_exporters_own_mask_makes_the_network(make_store: Any) -> None:
    rows = [
        {"source_address": address, "source_mask": length, "octets": 1, "flow_start": BASE}
        for address in ADDRESSES
        for length in (0, 1, 8, 24, 31, 32, 33, 64, 127, 128, 300, -1, None)
    ]
    answer = LocalBackEnd(make_store([rows])).answer(Query(keys=("source_network",), limit=None))
    found = {row[0]: row[1] for row in answer.groups.select("source_network", "octets").iter_rows()}
    expected: defaultdict[bytes | None, int] = defaultdict(int)
    for row in rows:
        octets, length = row["source_address"], row["source_mask"]
        if length is not None:
            bits = 32 if octets.startswith(MAPPED_PREFIX) else 128
            number = int.from_bytes(octets, "big")
            drop = bits - min(max(length, 0), bits)
            octets = (number >> drop << drop).to_bytes(16, "big")
        expected[octets if length is not None else None] += 1
    assert found == dict(expected)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("srcip4/24,srcip6/64,dstport", ("source_address/24/64", "destination_port")),
        ("srcip/24", ("source_address/24/128",)),
        ("ip/16/48", ("address/16/48",)),
        ("srcip4,dstip6/64", ("source_address", "destination_address/32/64")),
        ("none", ()),
        ("proto,proto", ("protocol",)),
        ("source_vlan", ("source_vlan",)),
        ("mpls10,router,nhbip", ("mpls_label_10", "exporter_address", "bgp_next_hop")),
    ],
)
def test_words_of_the_command_line(text: str, names: tuple[str, ...]) -> None:
    assert keys.parse(text) == names


@pytest.mark.parametrize(
    "text",
    ["srcip4/33", "srcip6/129", "srcip/-1", "srcip/24/64/3", "srcport/8", "nothing", "srcip4/x", "ip,port", "ja3", "sysid/3"],
)
def test_words_that_mean_nothing_are_said(text: str) -> None:
    with pytest.raises(UsageError, match=r"-A|either side"):
        keys.parse(text)


def test_every_word_and_every_key_has_a_value_that_can_be_grouped_by() -> None:
    # What another test registered of a file stays in the process, when the file is gone.
    own = {name for name in keys.WORDS.values() if name.partition("/")[0] not in keys._families}
    assert len(own) > 50
    for name in [*own, *keys.EITHER, "address/24/64"]:
        key = keys.key(name)
        assert key.columns and key.label
        empty = pl.LazyFrame(schema={column: POLARS[column] for column in key.columns})
        assert empty.select(side() for side in key.sides[:1]).collect().height == 0


def test_another_module_adds_a_key() -> None:
    before, families = dict(keys.WORDS), dict(keys._families)

    def family(rest: str) -> keys.Key:
        return keys.Key(f"parity/{rest}", "parity", "parity", "number", ("source_port",), (lambda: pl.col("source_port") % 2,))

    keys.register("parity", family, words=("par",))
    try:
        assert keys.parse("par") == ("parity",)
        assert keys.key("parity/a").field == "parity"
    finally:
        keys.WORDS.clear()
        keys.WORDS.update(before)
        keys._families.clear()
        keys._families.update(families)
        keys.key.cache_clear()


@pytest.mark.parametrize("order", ["bps", "pps", "bpp", "first", "last", "duration"])
def test_orders_are_those_of_what_is_printed_whatever_was_asked_before(make_store: Any, order: str) -> None:
    chance = random.Random(order)
    rows = [{**_flow(chance), "flow_count": None} for _ in range(200)]
    kept = LocalBackEnd(make_store([rows[:100], rows[100:]]))
    kept.answer(Query())
    for names in (("source_address",), ("address",), ("port", "protocol")):
        answer = kept.answer(Query(keys=names, order=order, limit=None, times=True))
        assert answer.total == kept.answer(Query()).total
        printed = []
        for row in group_rows(answer):
            first, last = (int(datetime.fromisoformat(row[name]).timestamp() * SECOND + 0.5) for name in ("first", "last"))
            printed.append({**row, "first": first, "last": last, "duration": last - first}[order])
        assert printed == sorted(printed, reverse=True)
        assert len(set(printed)) > 1
        upwards = kept.answer(Query(keys=names, order=order, ascending=True, limit=None, times=True))
        assert sorted(upwards.groups.rows(), key=repr) == sorted(answer.groups.rows(), key=repr)


@pytest.mark.parametrize("names", [*NAMES, ("exporter_address", "source_mac"), ("received", "tcp_flags"), ()])
def test_rows_of_groups_are_those_made_one_by_one(make_store: Any, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.export.rows.SLICE", 7)
    chance = random.Random(2)
    back_end = LocalBackEnd(make_store([[_flow(chance) for _ in range(60)]]), keep=False)
    for times in (False, True):
        answer = back_end.answer(Query(keys=names, limit=None, times=times))
        answer = replace(answer, groups=answer.groups.with_columns(pl.col("packets") - 1))
        listed = list(group_rows(answer))
        assert listed == plain_rows.group_rows(answer)
        assert all(list(one) == list(other) for one, other in zip(listed, plain_rows.group_rows(answer), strict=True))
        if times:
            timeless = replace(answer, groups=answer.groups.with_columns(first=pl.lit(None, dtype=pl.Int64)))
            assert list(group_rows(timeless)) == plain_rows.group_rows(timeless)


def test_several_orders_of_the_same_groups_are_one_pass(make_store: Any) -> None:
    chance = random.Random(1)
    back_end = LocalBackEnd(make_store([[_flow(chance) for _ in range(100)]]), keep=False)
    query = Query(keys=("source_address",), times=True)
    first = back_end.answer(query)
    held = back_end._last
    again = back_end.answer(replace(query, order="packets"))
    assert back_end._last is held
    assert again.total == first.total and again.groups["packets"].is_sorted(descending=True)
    assert again.coverage.octets_read == first.coverage.octets_read
