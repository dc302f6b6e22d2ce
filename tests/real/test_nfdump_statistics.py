"""Statistics are those of the real nfdump, where it is right; and where it isn't, that is known."""

from __future__ import annotations

import csv
import io
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nftui.export.netflow import Columns
from tests import peers
from tests.real import nfdump_flows, statistics
from tests.real.statistics import EITHER, ONE_SIDE

pytestmark = pytest.mark.peer("nfcapd", "nfdump")


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[object], Path]:
    """Where nftui, and nfdump, find flows whose two ends never have the same value."""
    data, peer = nfdump_flows.store(nfdump_flows.flows(1500, 1, same=0), tmp_path_factory.mktemp("apart"))
    return ["--data", data], peer


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[object], Path, Columns]:
    """The same of flows of which many have the same value at both ends; and the flows."""
    columns = nfdump_flows.flows(1000, 2)
    data, peer = nfdump_flows.store(columns, tmp_path_factory.mktemp("alike"))
    return ["--data", data], peer, columns


@pytest.mark.parametrize("files", [False, True], ids=["store", "files"])
def test_statistics_have_nfdumps_values_order_and_shares(apart: tuple[list[object], Path], files: bool) -> None:
    source, peer = apart
    source = ["-r", peer] if files else source
    every = ONE_SIDE + EITHER
    theirs = statistics.theirs(peer, every)
    assert len(theirs) == len(every) * 6
    assert sum(map(len, theirs.values())) > 5_000
    assert statistics.differences(theirs, statistics.ours(source, every)) == []


def test_statistics_of_some_flows_have_nfdumps_values(apart: tuple[list[object], Path]) -> None:
    source, peer = apart
    some = ("srcip", "port", "outif:p")
    for words in ("proto tcp and bytes > 100000", "src net 10.0.0.0/23 or dst port < 100"):
        theirs = statistics.theirs(peer, some, 20, words)
        assert statistics.differences(theirs, statistics.ours(source, some, 20, words), whole=False) == []


@pytest.mark.parametrize("name", ["if", "as", "port", "ip"])
def test_nfdump_counts_a_flow_twice_of_which_both_values_are_the_same(alike: tuple[list[object], Path, Columns], name: str) -> None:
    source, peer, columns = alike
    assert statistics.differences(statistics.theirs(peer, [name]), statistics.ours(source, [name]))
    sides = {
        "if": ("ingress_interface", "egress_interface"), "as": ("source_as", "destination_as"),
        "port": ("source_port", "destination_port"), "ip": ("source_address", "destination_address"),
    }[name]  # fmt: skip
    once: Counter[str] = Counter()
    twice: Counter[str] = Counter()
    write: Callable[[Any], str] = str if name != "ip" else _address
    for octets, *ends in zip(columns["octets"].tolist(), *(columns[side] for side in sides), strict=True):
        values = [write(end) for end in ends]
        for value in values:
            twice[value] += octets
        for value in set(values):
            once[value] += octets
    theirs = statistics.theirs(peer, [name])[name, "bytes"]
    found = statistics.ours(source, [name])[name, "bytes"]
    assert {line.group[0]: line.sums["octets"] for line in theirs} == dict(twice)
    assert {line.group[0]: line.sums["octets"] for line in found} == dict(once)
    assert once != twice
    assert max(line.shares[2] for line in found) <= 100


def test_nfdump_has_shares_above_all_and_nftui_has_not(tmp_path: Path) -> None:
    columns = nfdump_flows.flows(100, 3)
    columns = {**columns, "ingress_interface": np.full(100, 7), "egress_interface": np.full(100, 7)}
    data, peer = nfdump_flows.store(columns, tmp_path)
    (theirs,), (found,) = statistics.theirs(peer, ["if"])["if", "bytes"], statistics.ours(["--data", data], ["if"])["if", "bytes"]
    assert (theirs.shares, theirs.sums["flows"]) == ((200.0, 200.0, 200.0), 200)
    assert (found.shares, found.sums["flows"]) == ((100.0, 100.0, 100.0), 100)


def _address(octets: Any) -> str:
    from nftui.units import address_text

    return address_text(octets.tobytes())


def _nfdump(peer: Path, *words: str) -> list[dict[str, str]]:
    command = [peers.require("nfdump"), "-R", str(peer), *words, "-o", "csv"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return list(csv.DictReader(io.StringIO(printed.partition("\nSummary")[0])))


def _rows(source: list[object], *words: str) -> list[dict[str, Any]]:
    return statistics.answered("top", *source, "-n", "0", *words, "-o", "json")


@pytest.mark.parametrize(("order", "theirs", "ours"), [("bytes", "ibyt", "octets"), ("packets", "ipkt", "packets")])
def test_records_are_ranked_as_nfdump_does(apart: tuple[list[object], Path], order: str, theirs: str, ours: str) -> None:
    source, peer = apart
    expected = [int(row[theirs]) for row in _nfdump(peer, "-s", f"record/{order}", "-n", "40")]
    assert [row[ours] for row in _rows(source, "-s", f"record/{order}")[:40]] == expected
    assert len(expected) == 40


PROTOCOLS = {"TCP": 6, "UDP": 17, "GRE": 47}


@pytest.mark.parametrize("word", ["-b", "-B"])
def test_both_directions_are_the_records_of_nfdump(apart: tuple[list[object], Path], word: str) -> None:
    source, peer = apart
    theirs = {
        (PROTOCOLS[row["pr"].strip()], row["sa"], int(row["sp"]), row["da"], int(row["dp"])): tuple(
            int(row[name]) for name in ("ibyt", "ipkt", "obyt", "opkt")
        )
        for row in _nfdump(peer, word, "-O", "bytes")
    }
    names = ("protocol", "source_address", "source_port", "destination_address", "destination_port")
    rows = _rows(source, word)
    found = {
        tuple(row[name] for name in names): tuple(row[name] for name in ("in_octets", "in_packets", "out_octets", "out_packets"))
        for row in rows
    }
    assert any(sums[0] and sums[2] for sums in found.values())
    assert found == theirs
    assert sum(row["octets"] for row in rows) == sum(sums[0] + sums[2] for sums in theirs.values())


AGGREGATES = {
    "proto,srcip,srcport,dstip,dstport": ("pr", "sa", "sp", "da", "dp"),
    "srcip4/24": ("sa",),
    "srcip,dstport": ("sa", "dp"),
    "dstip,proto,inif": ("da", "pr", "in"),
    "srcas,dstas": ("sas", "das"),
    "srcvlan,dstvlan,srctos": ("svln", "dvln", "stos"),
    "insrcmac,outdstmac": ("ismc", "odmc"),
    "srcmask,dstmask,outif": ("smk", "dmk", "out"),
}


@pytest.mark.parametrize("keys", AGGREGATES)
def test_aggregates_are_those_of_nfdump(apart: tuple[list[object], Path], keys: str) -> None:
    """IPv4 alone: what nfdump 1.7.1 does to IPv6 addresses beside a mask for IPv4 is no mask of theirs."""
    source, peer = apart
    theirs = defaultdict[tuple[str, ...], list[int]](lambda: [0, 0])
    for row in _nfdump(peer, "-A", keys, "ipv4"):
        sums = theirs[tuple(str(PROTOCOLS[row["pr"].strip()]) if name == "pr" else row[name] for name in AGGREGATES[keys])]
        sums[0] += int(row["ibyt"])
        sums[1] += int(row["ipkt"])
    fields = len(AGGREGATES[keys])
    found = {
        tuple(str(value).removesuffix("/24") for value in list(row.values())[:fields]): [row["octets"], row["packets"]]
        for row in _rows(source, "-A", keys, "ipv4")
    }
    assert found == dict(theirs)
