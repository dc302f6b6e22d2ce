"""Compiled filters: the ten measured flows, a naive evaluator row by row, and the real nfdump."""

from __future__ import annotations

import operator
import random
import subprocess
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.engine.expressions import columns, expression
from nftui.engine.filter_fields import NO_NUMBERS
from nftui.engine.filters import (
    ANY,
    FIELDS,
    RELATIONS,
    AddressIn,
    And,
    Compare,
    Direction,
    Family,
    Filter,
    Flags,
    Kind,
    Not,
    OneOf,
    Operator,
    Or,
    Relation,
    Text,
    parse,
    text,
)
from nftui.schema import POLARS
from nftui.units import moment
from tests import peers
from tests.nfcapd import nfcapd, send
from tests.running import payloads

DATA = Path(__file__).parents[1] / "data"
MIDNIGHT = 1_699_999_980_000_000
"""2023-11-14 22:13:00 UTC; the flows' times count from here."""

Row = dict[str, Any]


def octets(address: str) -> bytes:
    """Return an address as stored."""
    packed = ip_address(address).packed
    return packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed


def frame(rows: list[Row]) -> pl.DataFrame:
    """Return rows, in which a missing key is an absent value, with the dtypes of the schema."""
    times = ("flow_start", "flow_end")
    dated = [{**row, **{key: moment(row[key]) for key in times if row.get(key) is not None}} for row in rows]
    return pl.DataFrame(dated, schema=POLARS)


def matching(flows: pl.DataFrame, tree: Filter, sampling: bool = True) -> list[bool]:
    """Return for each flow whether it matches; reads no column but those that the filter says it needs."""
    needed = flows.select(sorted(columns(tree, sampling)) or ["received"])
    return needed.select(pl.repeat(True, pl.len()).alias("all") & expression(tree, sampling)).to_series().to_list()


# -- the ten flows of the specification --------------------------------------------------------------------------------------

TABLE = """
    10.0.0.1:40000   192.168.0.1:80    6  10    1000 .AP.SF  0 1 2   100   200 10.000 15.000
    10.0.0.2:40001   192.168.0.1:443   6  20 1500000 .AP.SF  0 1 2   100   200 11.000 16.000
    10.0.0.3:40002   8.8.8.8:53       17   1      60 ......  0 1 3   100 15169 17.000 17.000
    8.8.8.8:53       10.0.0.3:40002   17   1     120 ......  0 3 1 15169   100 17.010 17.010
    10.0.1.4:50000   192.168.0.22:22   6   5     300 ....S. 16 1 2   100   200 12.000 13.000
    10.0.1.5:50001   192.168.0.22:22   6   6     400 .A..S. 16 1 2   100   200 12.000 13.000
    172.16.0.9:0     10.0.0.1:2048     1   4     336 ......  0 2 1   300   100 14.000 17.000
    192.168.0.1:80   10.0.0.1:40000    6  12   50000 .AP.SF  0 2 1   200   100 10.100 15.000
    10.0.0.1:53      10.0.0.1:53      17   2     128 ......  0 1 1   100   100 19.000 19.100
    10.0.0.7:1       192.168.0.9:2    47   3     300 ......  0 1 2   100   200 16.000 19.000
"""


def _flow(line: str) -> Row:
    source, destination, protocol, packets, size, flags, tos, inside, outside, source_as, destination_as, first, last = line.split()
    return {
        "exporter_address": octets("127.0.0.1"),
        "source_address": octets(source.split(":")[0]),
        "destination_address": octets(destination.split(":")[0]),
        "source_port": int(source.split(":")[1]),
        "destination_port": int(destination.split(":")[1]),
        "protocol": int(protocol),
        "packets": int(packets),
        "octets": int(size),
        "tcp_flags": sum(32 >> at for at, letter in enumerate(flags) if letter != "."),
        "tos": int(tos),
        "ingress_interface": int(inside),
        "egress_interface": int(outside),
        "source_as": int(source_as),
        "destination_as": int(destination_as),
        "flow_start": MIDNIGHT + int(first.replace(".", "")) * 1000,
        "flow_end": MIDNIGHT + int(last.replace(".", "")) * 1000,
    }


ROWS = [_flow(line) for line in TABLE.strip().splitlines()]
TEN = frame(ROWS)


def _expectation(line: str) -> tuple[str, str, bool]:
    """Return a filter, the numbers of the flows that it matches, and whether nfdump 1.7.1 agrees."""
    written, _, numbers = line[2:].rpartition(" :")
    return written, numbers.strip(), line[0] == "="


EXPECTED = [_expectation(line) for line in (DATA / "ten-flows.filters").read_text().splitlines() if line[0] != "#"]


@pytest.mark.parametrize(("written", "expected", "_agreed"), EXPECTED)
def test_ten_flows(written: str, expected: str, _agreed: bool) -> None:
    found = [str(at) for at, match in enumerate(matching(TEN, parse(written)), 1) if match]
    assert " ".join(found) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("host 192.168.0.1", "1 2 8", marks=pytest.mark.row("E01")),
        pytest.param("dst host 192.168.0.1", "1 2", marks=pytest.mark.row("E02")),
        pytest.param("src net 192.168.0.0/24", "8", marks=pytest.mark.row("E03")),
        pytest.param("(port 80) or (port 443)", "1 2 8", marks=pytest.mark.row("E04")),
        pytest.param("port not 53", "1 2 5 6 7 8 10", marks=pytest.mark.row("E05")),
        pytest.param("(port 22) and (dst host 192.168.0.1)", "", marks=pytest.mark.row("E06")),
        pytest.param("(port 22) and (dst host 192.168.0.22)", "5 6", marks=pytest.mark.row("E06")),
        pytest.param("not src host 192.168.1.240", "1 2 3 4 5 6 7 8 9 10", marks=pytest.mark.row("E07")),
        pytest.param("dst port in [80,443]", "1 2", marks=pytest.mark.row("E08")),
        pytest.param("src net 192.168.0.0/16 and dst net 192.168.0.0/16", "", marks=pytest.mark.row("E09")),
    ],
)
def test_examples(written: str, expected: str) -> None:
    assert " ".join(str(at) for at, match in enumerate(matching(TEN, parse(written)), 1) if match) == expected


def test_counters_are_compared_corrected_for_sampling() -> None:
    flows = frame([{**ROWS[0], "sampling_interval": 100}, {**ROWS[0], "sampling_interval": None}])
    assert matching(flows, parse("bytes 100k and packets 1k and pps 200 and bps 160k and bpp 100")) == [True, False]
    assert matching(flows, parse("bytes 1k and packets 10 and pps 2 and bps 1600 and bpp 100"), sampling=False) == [True, True]


def test_a_rate_of_a_huge_flow_does_not_overflow() -> None:
    flows = frame([{**ROWS[0], "octets": 2**62, "flow_start": 0, "flow_end": 10_000_000}])
    assert matching(flows, parse(f"bps {2**62 * 8000 // 10_000}")) == [True]


def test_icmp_values_come_from_their_columns_or_the_port() -> None:
    flows = frame(
        [
            {"protocol": 1, "icmp_type": 3, "icmp_code": 1, "destination_port": 2048},
            {"protocol": 58, "destination_port": 3 * 256 + 1},
            {"protocol": 17, "icmp_type": 3, "icmp_code": 1, "destination_port": 3 * 256 + 1},
            {"protocol": 1},
        ]
    )
    assert matching(flows, parse("icmp-type 3 and icmp-code 1")) == [True, True, False, False]
    assert matching(flows, parse("icmp-type >= 0 or icmp-code >= 0")) == [True, True, False, False]


def test_ipv6_networks_leave_out_what_stands_for_ipv4() -> None:
    flows = frame(
        [{"source_address": octets(text)} for text in ("10.0.0.1", "::1", "2001:db8::1", "::fffe:ffff:ffff", "::1:0:0:0")]
    )
    assert matching(flows, parse("net ::/0")) == [False, True, True, True, True]
    assert matching(flows, parse("net ::/80")) == [False, True, False, True, False]
    assert matching(flows, parse("ipv4")) == matching(flows, parse("net ::ffff:0:0/96")) == [True, False, False, False, False]
    assert matching(flows, parse("net 2001:db8::/32 or net 10/8")) == [True, False, True, False, False]


@pytest.mark.parametrize("written", ["ip in [{}]", "src net {}", "port in [{}]", "not (port {})"])
def test_long_lists(written: str) -> None:
    many = 300
    separator = " or " if "(" in written or "net" in written else " "
    values = [f"10.0.{n // 100}.{n % 100 * 2}" if "port" not in written else str(n * 2) for n in range(many)]
    tree = parse(written.format(separator.join(values)))
    flows = frame(
        [{"source_address": octets("10.0.1.4"), "source_port": 4}, {"source_address": octets("10.0.1.5"), "source_port": 5}]
    )
    assert matching(flows, tree) == ([False, True] if written.startswith("not") else [True, False])


def test_any_reads_nothing() -> None:
    assert columns(ANY) == frozenset()
    assert TEN.filter(expression(ANY)).height == 10


def test_columns_are_those_of_the_schema_that_the_filter_reads() -> None:
    assert columns(parse("src port 80 or dst ip 10.0.0.1")) == {"source_port", "destination_address"}
    assert columns(parse("bytes > 1")) == {"octets", "sampling_interval"}
    assert columns(parse("bytes > 1"), sampling=False) == {"octets"}
    assert columns(parse("flags S")) == {"protocol", "tcp_flags"}


def test_statistics_prune_a_rare_host(tmp_path: Path) -> None:
    """The first row group is damaged: only a scan that skips it by its statistics succeeds."""
    count, group = 1000, 100
    rows = [{"source_address": octets(str(ip_address(0x0A000000 + n))), "source_port": 1} for n in range(count)]
    path = tmp_path / "sorted.parquet"
    frame(rows).select("source_address", "source_port").write_parquet(
        path, row_group_size=group, compression="uncompressed", statistics=True
    )
    damaged = bytearray(path.read_bytes())
    damaged[4:1000] = bytes(996)
    path.write_bytes(damaged)
    tree = parse("src ip 10.0.3.200 or src net 10.0.3.128/28")
    assert pl.scan_parquet(path).filter(expression(tree)).select(pl.len()).collect().item() == 17
    with pytest.raises(Exception, match=r"."):
        pl.scan_parquet(path).filter(expression(parse("src ip 10.0.0.1"))).collect()


# -- a naive evaluator -------------------------------------------------------------------------------------------------------

COMPARE: dict[Operator, Callable[[int, int], bool]] = {
    Operator.EQ: operator.eq,
    Operator.LT: operator.lt,
    Operator.GT: operator.gt,
    Operator.LE: operator.le,
    Operator.GE: operator.ge,
}


def quotient(value: int | None, divisor: int | None) -> int | None:
    if value is None or divisor is None:
        return None
    return value // divisor if divisor > 0 else 0


def divided(row: Row, column: str, divisor: int, modulus: int = 2**63) -> int | None:
    return None if row.get(column) is None else row[column] // divisor % modulus


def values_of(row: Row, name: str, direction: Direction, sampling: bool) -> list[int | None]:
    """Return the values of a field, any one of which may match."""

    def counter(column: str, factor: int = 1) -> int | None:
        interval = row.get("sampling_interval") if sampling else 1
        return None if row.get(column) is None else row[column] * (1 if interval is None else interval) * factor

    absent = row.get("flow_start") is None or row.get("flow_end") is None
    milliseconds = None if absent else (row["flow_end"] - row["flow_start"]) // 1000
    wire = row.get("destination_port")
    is_icmp = row.get("protocol") in (1, 58)
    kind = row["icmp_type"] if row.get("icmp_type") is not None else None if wire is None else wire >> 8
    code = row["icmp_code"] if row.get("icmp_code") is not None else None if wire is None else wire & 255
    computed: dict[str, int | None] = {
        "bytes": counter("out_octets" if direction else "octets"),
        "packets": counter("out_packets" if direction else "packets"),
        "flows": max(row.get("flow_count") or 1, 1),
        "duration": milliseconds,
        "bps": quotient(counter("octets", 8000), milliseconds),
        "pps": quotient(counter("packets", 1000), milliseconds),
        "bpp": quotient(counter("octets"), counter("packets")),
        "dscp": divided(row, "destination_tos" if direction else "tos", 4),
        "engine-type": divided(row, "observation_domain", 256, 256),
        "engine-id": divided(row, "observation_domain", 1, 256),
        "mpls eos": next((row[label] for label in reversed(LABELS) if row.get(label) is not None), None),
        "icmp-type": kind if is_icmp else None,
        "icmp-code": code if is_icmp else None,
        "flags": row["tcp_flags"] & 255 if row.get("protocol") == 6 and row.get("tcp_flags") is not None else None,
    }
    if name in computed:
        return [computed[name]]
    if name in ("acl", "ace", "xace"):
        parts = {"acl": (0, 1, 2), "ace": (1,), "xace": (2,)}[name]
        octets = row.get(f"{direction.value}_acl") or b""
        return [int.from_bytes(octets[4 * part : 4 * part + 4], "big") for part in parts if len(octets) >= 4 * part + 4]
    return [row.get(column) for column in FIELDS[name].columns[direction]]


def holds(tree: Filter, row: Row, sampling: bool) -> bool:
    """Return whether a flow matches, the slow and plain way."""
    match tree:
        case And(terms):
            return all(holds(term, row, sampling) for term in terms)
        case Or(terms):
            return any(holds(term, row, sampling) for term in terms)
        case Not(term):
            return not holds(term, row, sampling)
        case Family(version):
            ends = [row.get("source_address"), row.get("destination_address")]
            return any(end is not None and (end[:12] == octets("0.0.0.0")[:12]) == (version == 4) for end in ends)
        case AddressIn(networks, direction):
            found = [ip_address(row[name]) for name in FIELDS["ip"].columns[direction] if row.get(name) is not None]
            plain = [getattr(address, "ipv4_mapped", None) or address for address in found]
            return any(address in network for address in plain for network in networks)
        case Flags(mask, exact):
            flags = row.get("tcp_flags")
            return row.get("protocol") == 6 and flags is not None and (flags & 255 if exact else flags & mask) == mask
        case Compare(name, comparison, value, direction):
            return any(one is not None and COMPARE[comparison](one, value) for one in values_of(row, name, direction, sampling))
        case OneOf(name, values, direction):
            return any(one in values for one in values_of(row, name, direction, sampling))
        case Text(name, value, direction, contains):
            found = [row[column].lower() for column in FIELDS[name].columns[direction] if row.get(column) is not None]
            return any(value in one if contains else value == one for one in found)
        case Relation(name, direction):
            lowest, highest = row.get("minimum_ttl"), row.get("maximum_ttl")
            first, last = row.get("port_block_start"), row.get("port_block_end")
            if name == "ttl equal":
                return lowest is not None and lowest == highest
            ports = [row.get(column) for column in FIELDS["port"].columns[direction]]
            return first is not None and last is not None and any(one is not None and first <= one <= last for one in ports)
    return tree == ANY


SOME_ADDRESSES = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.1.1",
    "192.168.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "::",
    "::1",
    "2001:db8::1",
    "2001:db8::2",
]
SOME_NETWORKS = [IPv4Network(n) for n in ("10.0.0.1", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "255.255.255.255")] + [
    *(IPv6Network(n) for n in ("::/0", "::/80", "2001:db8::1", "2001:db8::/32", "::1"))
]
SMALL = st.integers(0, 6)
NUMBERS: dict[str, st.SearchStrategy[int]] = {
    "protocol": st.sampled_from([1, 6, 17, 58]),
    "source_port": st.sampled_from([0, 1, 2, 53, 65535]),
    "destination_port": st.sampled_from([0, 1, 2, 53, 256, 513, 65535]),
    "tcp_flags": st.sampled_from([0, 2, 16, 18, 27, 258]),
    "sampling_interval": st.sampled_from([1, 2, 3]),
    "octets": st.integers(0, 30),
    "packets": SMALL,
    "flow_start": st.sampled_from([MIDNIGHT, MIDNIGHT + 1000, MIDNIGHT + 1999]),
    "flow_end": st.sampled_from([MIDNIGHT, MIDNIGHT + 2000, MIDNIGHT + 5_000_000]),
    **dict.fromkeys(("tos", "destination_tos", "icmp_type", "icmp_code", "out_octets", "out_packets", "flow_count"), SMALL),
    **dict.fromkeys(("ingress_interface", "egress_interface", "source_as", "destination_as", "previous_as", "next_as"), SMALL),
    **dict.fromkeys(("source_mask", "destination_mask", "source_vlan", "destination_vlan"), SMALL),
    **dict.fromkeys(("source_mac", "destination_mac", "post_source_mac", "post_destination_mac"), SMALL),
}
LABELS = [f"mpls_label_{n}" for n in range(1, 11)]
NUMBERS.update(
    {
        **dict.fromkeys(LABELS, SMALL),
        **dict.fromkeys(("ethernet_type", "minimum_ttl", "maximum_ttl", "flow_direction", "nat_event", "firewall_event"), SMALL),
        **dict.fromkeys(("ingress_vrf", "egress_vrf", "application_id", "firewall_extended_event"), SMALL),
        **dict.fromkeys(("post_nat_source_port", "post_nat_destination_port", "port_block_start", "port_block_end"), SMALL),
        "forwarding_status": st.sampled_from([0, 6, 64, 131]),
        "observation_domain": st.sampled_from([0, 5, 256 + 2, 2**32 - 1]),
        "outer_protocol": st.sampled_from([1, 6, 17, 47]),
    }
)
ACLS = st.sampled_from([b"", b"\0\0\0\1", bytes([0, 0, 0, 2] * 2), bytes([0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5])])
NAMES = st.sampled_from(["dns", "Web Browsing", "web", "DNS over TLS", ""])
ADDRESSES = (
    *("post_nat_source_address", "post_nat_destination_address", "outer_source_address", "outer_destination_address"),
    *("source_address", "destination_address", "next_hop", "bgp_next_hop", "exporter_address"),
)
FLOWS = st.fixed_dictionaries(
    {
        **{name: st.none() | numbers for name, numbers in NUMBERS.items()},
        **{name: st.none() | st.sampled_from(SOME_ADDRESSES).map(octets) for name in ADDRESSES},
        **dict.fromkeys(("ingress_acl", "egress_acl"), st.none() | ACLS),
        **dict.fromkeys(("user_name", "application_name"), st.none() | NAMES),
    }
)
USUAL: dict[str, st.SearchStrategy[int]] = {
    "port": NUMBERS["destination_port"],
    "proto": NUMBERS["protocol"],
    "flags": st.sampled_from([0, 2, 18, 27]),
    "seen": NUMBERS["flow_end"],
    "bps": st.sampled_from([0, 8, 16, 80, 4000, 80000]),
    "pps": st.sampled_from([0, 1, 2, 500, 1000]),
    "duration": st.sampled_from([0, 1, 2, 5000]),
}
COMPARED = [(name, way) for name, field in FIELDS.items() if field.kind not in NO_NUMBERS for way in field.columns]
TEXTS = [(name, way) for name, field in FIELDS.items() if field.kind is Kind.TEXT for way in field.columns]


@st.composite
def comparisons(draw: st.DrawFn) -> Filter:
    name, direction = draw(st.sampled_from(COMPARED))
    values = USUAL.get(name, SMALL)
    if name not in ("flags", "seen") and draw(st.booleans()):
        few = draw(st.sets(values, min_size=2, max_size=3))
        return OneOf(name, tuple(few | (set(range(10, 20)) if draw(st.booleans()) else set())), direction)
    return Compare(name, draw(st.sampled_from(Operator)), draw(values), direction)


ADDRESS_LEAVES = st.builds(
    AddressIn,
    st.lists(st.sampled_from(SOME_NETWORKS), min_size=1, max_size=3).map(tuple),
    st.sampled_from(list(FIELDS["ip"].columns)),
)
LEAVES = st.one_of(
    st.just(ANY),
    st.sampled_from([Family(4), Family(6)]),
    ADDRESS_LEAVES,
    st.builds(Flags, st.sampled_from([2, 16, 18]), st.booleans()),
    st.sampled_from([Relation(name, way) for name, ways in RELATIONS.items() for way in ways]),
    st.builds(
        lambda field, value, contains: Text(field[0], value, field[1], contains),
        st.sampled_from(TEXTS),
        st.sampled_from(["dns", "WEB", "web browsing", "s"]),
        st.booleans(),
    ),
    comparisons(),
    comparisons(),
)


def grown(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    terms = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(And, terms), st.builds(Or, terms), st.builds(Not, inner))


TREES = st.recursive(LEAVES, grown, max_leaves=6)


@settings(deadline=None, max_examples=80)
@given(st.lists(FLOWS, min_size=1, max_size=20), TREES, st.booleans())
def test_agrees_with_the_plain_evaluator(rows: list[Row], tree: Filter, sampling: bool) -> None:
    assert matching(frame(rows), tree, sampling) == [holds(tree, row, sampling) for row in rows]


@settings(deadline=None, max_examples=40)
@given(st.lists(FLOWS, min_size=1, max_size=10), TREES, TREES)
def test_de_morgan_holds_where_columns_are_absent(rows: list[Row], one: Filter, other: Filter) -> None:
    flows = frame([*rows, {}])
    assert matching(flows, Not(And((one, other)))) == matching(flows, Or((Not(one), Not(other))))
    assert matching(flows, Not(Or((one, other)))) == matching(flows, And((Not(one), Not(other))))
    assert matching(flows, Not(Not(one))) == matching(flows, one)


def some_rows(count: int) -> list[Row]:
    """Return flows that have about every other column, of few values each."""
    choose = random.Random(20231114)
    numbers = [0, 1, 2, 3, 5, 6, 17, 53, 58, 64, 131, 256, 513]
    whole = [name for name, dtype in POLARS.items() if dtype.is_integer()]
    rows: list[Row] = []
    for _ in range(count):
        row: Row = {name: choose.choice(numbers) for name in whole if choose.random() < 0.6}
        row["sampling_interval"] = choose.choice([None, 1, 2, 3])
        row |= {name: octets(choose.choice(SOME_ADDRESSES)) for name in ADDRESSES if choose.random() < 0.7}
        row |= {name: choose.choice(["dns", "Web", ""]) for name in ("user_name", "application_name") if choose.random() < 0.7}
        for side in ("ingress", "egress"):
            row[f"{side}_acl"] = bytes([0, 0, 0, choose.choice([1, 2, 3])] * choose.randrange(4))
        for name in ("flow_start", "flow_end"):
            row[name] = choose.choice([None, MIDNIGHT, MIDNIGHT + 1000, MIDNIGHT + 2_000_000])
        rows.append(row)
    return [*rows, {}]


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.kind not in (Kind.COUNTRY, Kind.ORGANISATION)])
def test_every_field_agrees_with_the_plain_evaluator(name: str) -> None:
    rows = some_rows(80)
    flows = frame(rows)
    field = FIELDS[name]
    trees: list[Filter] = []
    for direction in field.columns:
        if field.kind is Kind.ADDRESS:
            trees += [AddressIn((network,), direction) for network in SOME_NETWORKS]
        elif field.kind is Kind.TEXT:
            trees += [Text(name, value, direction, contains) for value in ("dns", "we", "web") for contains in (False, True)]
        else:
            values = (0, 1, 2, 16) if field.kind is not Kind.TIME else (MIDNIGHT, MIDNIGHT + 1000)
            trees += [Compare(name, comparison, value, direction) for comparison in Operator for value in values]
            if field.kind not in (Kind.TIME, Kind.FLAGS):
                trees += [OneOf(name, tuple(range(at, at + 12)), direction) for at in (0, 1)]
    for tree in (*trees, *map(Not, trees)):
        assert matching(flows, tree) == [holds(tree, row, True) for row in rows], text(tree)
    assert any(any(matching(flows, tree)) for tree in trees)
    assert any(not all(matching(flows, tree)) for tree in trees)


# -- the real nfdump ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def nfdump(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[bool]]:
    """Return the real nfdump over the ten flows, which the real nfcapd received."""
    peers.require("nfdump")
    store = tmp_path_factory.mktemp("nfcapd")
    ((_, payload),) = payloads(DATA / "ten-flows.pcap")
    with nfcapd(store) as port:
        send([payload], port)
    place = {(row["source_address"], row["destination_address"]): at for at, row in enumerate(ROWS)}

    def run(written: str) -> list[bool]:
        command = ["nfdump", "-q", "-6", "-R", str(store), "-o", "fmt:%sa %da", written]
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        assert result.returncode == 0, f"nfdump refuses {written!r}: {result.stdout} {result.stderr}"
        lines = [line.split() for line in result.stdout.splitlines() if line.strip() and not line.startswith("No match")]
        found = {place[octets(pair[0]), octets(pair[1])] for pair in lines}
        return [at in found for at in range(len(ROWS))]

    assert run("any") == [True] * 10
    return run


def test_agrees_with_nfdump(nfdump: Callable[[str], list[bool]]) -> None:
    filters = [written for written, _, agreed in EXPECTED if agreed]
    assert len(filters) >= 60
    differing = [written for written in filters if matching(TEN, parse(written)) != nfdump(written)]
    assert differing == []


def test_nfdump_reads_what_is_printed(nfdump: Callable[[str], list[bool]]) -> None:
    sugar = [
        "port 80-90",
        "tcp port 80 or http",
        "port not in [53 80]",
        "port != 53",
        "net 10 and not net 192.168",
        "src and dst port 53",
    ]
    trees = [parse(written) for written in sugar]
    differing = [text(tree) for tree in trees if matching(TEN, tree) != nfdump(text(tree))]
    assert differing == []


def test_time_is_compared_to_the_microsecond() -> None:
    start = moment(MIDNIGHT + 10_000_000)
    late = frame([{"flow_start": MIDNIGHT + 10_000_000}, {"flow_start": MIDNIGHT + 10_000_001}, {}])
    later = (start + timedelta(microseconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%f")
    assert matching(late, parse(f"first seen >= {later}")) == [False, True, False]
