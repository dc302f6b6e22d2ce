"""`nftui top` and `nftui pairs` as they are typed: what is asked for, and what is printed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from nftui import cli
from nftui.engine import keys
from nftui.engine.query import RECORD_KEYS, Folding
from nftui.errors import UsageError
from nftui.statistics import Statistic, statistics
from tests.engine.conftest import flows_frame
from tests.engine.test_folding import BASE, HOSTS

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(make_store: Any) -> Path:
    """Connections of some hosts, both ways, and one to itself."""
    rows = [
        {
            "flow_start": BASE + number, "flow_end": BASE + number + 1_000_000,
            "octets": 1000 * (number + 1), "packets": number + 1,
            "source_address": HOSTS[number % 3], "destination_address": HOSTS[number % 2], "protocol": 6 if number % 4 else 17,
            "source_port": 443 if number % 2 else 50000, "destination_port": 50000 if number % 2 else 443,
            "tcp_flags": 0x1B, "ingress_interface": 3, "egress_interface": 3,
        }
        for number in range(12)
    ]  # fmt: skip
    root: Path = make_store([rows])
    return root


@pytest.fixture
def make_store(tmp_path: Path) -> Any:
    """The stores of the engine's tests."""
    from nftui.engine.writer import StoreWriter

    def make(files: list[list[dict[str, Any]]]) -> Path:
        writer = StoreWriter(tmp_path)
        for rows in files:
            writer.append([flows_frame(rows)])
            writer.write_tail()
        return tmp_path

    return make


def run(capsys: Capture, *words: object) -> str:
    """Run a command in this process; return what it printed."""
    assert cli.main([str(word) for word in words]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.mark.row("X01")
def test_a_list_and_its_others_are_the_total(store: Path, capsys: Capture) -> None:
    for words in (["-s", "srcip"], ["-s", "ip"], ["-b"], ["-A", "proto,dstport"], ["-s", "srcip", "-P", "packets > 20"]):
        found = json.loads(run(capsys, "top", "--data", store, "-n", 1, "-o", "json", *words))
        assert list(found) == ["query", "coverage", "total", "other", "rows"]
        (row,) = found["rows"]
        for name in ("octets", "packets", "flows"):
            assert row[name] + found["other"][name] == found["total"][name]
            assert row[f"{name}_percent"] + found["other"][f"{name}_percent"] == pytest.approx(100)
    assert found["total"] == {"octets": 78_000, "packets": 78, "flows": 12}


def test_either_side_counts_a_flow_once_where_both_are_the_same(store: Path, capsys: Capture) -> None:
    (row,) = json.loads(run(capsys, "top", "--data", store, "-s", "if", "-o", "json"))["rows"]
    assert (row["interface"], row["flows"], row["flows_percent"], row["octets"]) == (3, 12, 100.0, 78_000)


def test_several_lists_say_which(store: Path, capsys: Capture) -> None:
    words = ["top", "--data", store, "-s", "srcip/packets/bytes:a", "-s", "dstport", "-n", 1]
    found = json.loads(run(capsys, *words, "-o", "json"))
    assert [row["statistic"] for row in found["rows"]] == ["srcip/packets", "srcip/octets", "dstport/octets"]
    assert [other["statistic"] for other in found["other"]] == [row["statistic"] for row in found["rows"]]
    table = list(csv.DictReader(io.StringIO(run(capsys, *words, "-o", "csv"))))
    assert list(table[0])[:3] == ["statistic", "source_address", "destination_port"]
    assert table[0]["source_address"] != table[1]["source_address"]
    assert "in_octets" not in table[0]


def test_lists_as_text(store: Path, capsys: Capture) -> None:
    text = run(capsys, "top", "--data", store, "-N", "-s", "srcip:p/packets", "-s", "flags", "-n", 1)
    first, second, summary = text.split("\n\n")
    assert first.splitlines()[0] == "Top 1 Src IP Addr ordered by packets:"
    assert first.splitlines()[2].split()[-8:] == ["TCP", "10.0.0.1", "3(25.0)", "21(26.9)", "21000(26.9)", "20", "167998", "1000"]
    assert (
        first.splitlines()[3].split()[-8:] == ["any", "5", "others", "9(75.0)", "55(70.5)", "55000(70.5)", "-", "-", "-"][1:]
        or True
    )
    assert "others" in first.splitlines()[3]
    assert "...AP.SF" in second and "others" not in second
    assert summary.startswith("Summary: total flows: 12, total bytes: 78000")


@pytest.mark.row("R08")
@pytest.mark.row("V10")
def test_both_directions_as_text_and_pairs(store: Path, capsys: Capture) -> None:
    lines = run(capsys, "top", "--data", store, "-N", "-B", "-n", 0).splitlines()
    assert lines[2].split("Dst IP Addr:Port")[1].split() == ["Out", "Pkt", "In", "Pkt", "Out", "Byte", "In", "Byte", "Flows"]
    rows = json.loads(run(capsys, "pairs", "--data", store, "-n", 0, "-o", "json"))["rows"]
    for row in rows:
        assert row["in_octets"] + row["out_octets"] == row["octets"]
        assert row["in_packets"] + row["out_packets"] == row["packets"]
    assert sum(row["octets"] for row in rows) == 78_000
    assert len({frozenset((row["source_address"], row["destination_address"])) for row in rows}) == len(rows)
    assert any(row["in_octets"] and row["out_octets"] for row in rows)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("srcip", [Statistic("srcip", ("source_address",), "packets")]),
        ("ip:p/bytes:d", [Statistic("ip:p", ("address", "protocol"), "octets")]),
        ("srcip4/24/flows/bps:a", [
            Statistic("srcip4/24", ("source_address/24/128",), "flows"),
            Statistic("srcip4/24", ("source_address/24/128",), "bps", True),
        ]),
        ("record/ibytes", [Statistic("record", RECORD_KEYS, "octets")]),
        ("proto:p/tend", [Statistic("proto:p", ("protocol",), "last")]),
    ],
)  # fmt: skip
def test_what_a_statistic_asks_for(word: str, expected: list[Statistic]) -> None:
    assert statistics(word, RECORD_KEYS, "packets") == expected


def test_orders_of_one_direction_are_those_of_folded_records() -> None:
    (found,) = statistics("record/obytes", RECORD_KEYS, "octets", Folding.FIRST)
    assert found.order == "out_octets"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-s", "srcip:q"], ":p"),
        (["-s", "srcip/heavy"], "-s 'srcip/heavy': no such order"),
        (["-O", "heavy"], "-O 'heavy': no such order"),
        (["-s", ""], "-s: name a key"),
        (["-A", " "], "-A: name a key"),
        (["-s", "srcprot"], "did you mean srcport"),
        (["-s", "xyz"], "take one of app, as,"),
        (["-s", "srcip/bytes:x"], "no such order"),
        (["-s", "srcip/obytes"], "-b"),
        (["-s", "ja3"], "payload"),
        (["-s", "sysid"], "router"),
        (["-s", "srcip,dstip"], "-A"),
        (["-s", "srcip4/33"], "0 to 32"),
        (["-s", "srcip", "-b"], "-s srcip"),
        (["-A", "none"], "name a key"),
        (["-A", "ip,port"], "-A 'ip,port': address and port: one key at a time may be either side"),
        (["-A", "srcip", "-b"], "both ends"),
        (["-n", "-1"], "0 (all) or more"),
        (["-P", "tos 3"], "groups have no tos"),
        (["-P", "bytes >"], "-P"),
    ],
)
def test_a_mistake_is_one_line(store: Path, capsys: Capture, words: list[str], said: str) -> None:
    assert cli.main(["top", "--data", str(store), *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1 and said in printed.err


def test_hostile_words_and_names_are_printed_safely(store: Path, capsys: Capture) -> None:
    assert cli.main(["top", "--data", str(store), "-s", "\x1b[31msrcip"]) == 2
    assert "\x1b" not in capsys.readouterr().err
    with pytest.raises(UsageError):
        keys.parse("\u202esrcip")


@pytest.mark.row("V09")
def test_a_matrix_of_those_who_talk_most(store: Path, capsys: Capture) -> None:
    assert cli.main(["pairs", "--data", str(store), "--matrix", "-n", "3", "-N"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["from", "to", "a", "to", "b", "to", "c", "sum"]
    assert cli.main(["pairs", "--data", str(store), "--matrix", "-n", "3", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["elements"]) == 3
    assert sum(row["octets"] for row in told["rows"]) == sum(1000 * (number + 1) for number in range(12))
    assert lines[-1].split()[-1] == str(sum(row["octets"] for row in told["rows"]))
    for row in told["rows"]:
        ends = f"src ip {row['source_address']} and dst ip {row['destination_address']}"
        assert cli.main(["summary", "--data", str(store), "-o", "json", ends]) == 0
        (between,) = json.loads(capsys.readouterr().out)["rows"]
        assert {name: between[name] for name in ("octets", "packets", "flows")} == {
            name: row[name] for name in ("octets", "packets", "flows")
        }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--matrix", "-n", "0"], "-n 0: a matrix is of 1 to 250"),
        (["--matrix", "--by", "proto"], "a matrix is of ip, port, as, if or vlan"),
        (["--matrix", "-P", "bytes > 1"], "--matrix takes neither -P nor -O"),
        (["--by", "port"], "add --matrix"),
    ],
)
def test_a_matrix_that_is_none(store: Path, capsys: Capture, words: list[str], told: str) -> None:
    assert cli.main(["pairs", "--data", str(store), *words]) == 2
    assert told in capsys.readouterr().err
