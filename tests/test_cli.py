"""The command line is a contract: names, fields, exit statuses, one line an error."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Query
from tests.running import ROOT, answer, nftui

FIXTURE = Path(__file__).parent / "data" / "ten-flows.pcap"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds the ten flows of the fixture."""
    data = tmp_path_factory.mktemp("store")
    counts = json.loads(nftui("import", "--data", data, FIXTURE, "-o", "json").stdout)
    assert (counts["datagrams"], counts["flows"]) == (1, 10)
    return data


@pytest.mark.row("O01")
@pytest.mark.row("O03")
@pytest.mark.row("O04")
def test_the_two_top_lists_and_the_summary_of_the_fixture(store: Path) -> None:
    text = nftui("top", "--data", store, "-N", "-s", "record/packets", "-s", "record/bytes").stdout
    lines = text.splitlines()
    assert lines[:3] == [
        "Aggregated flows 10",
        "Top 10 flows ordered by packets:",
        "Date first seen          Duration  Proto  Src IP Addr:Port  Dst IP Addr:Port  Packets    Bytes  Flows",
    ]
    assert lines[3] == "2023-11-14 22:13:11.000     5.000  TCP      10.0.0.2:40001   192.168.0.1:443       20  1500000      1"
    assert "Top 10 flows ordered by bytes:" in lines
    second = lines[lines.index("Top 10 flows ordered by bytes:") + 2 :]
    assert [line.split()[-2] for line in second[:10]] == [
        "1500000",
        "50000",
        "1000",
        "400",
        "336",
        "300",
        "300",
        "128",
        "120",
        "60",
    ]
    assert lines[-4] == (
        "Summary: total flows: 10, total bytes: 1552644, total packets: 64, avg bps: 1364961, avg pps: 7, avg bpp: 24260"
    )
    assert lines[-3] == "Time window: 2023-11-14 22:13:10.000 - 2023-11-14 22:13:19.100"
    assert lines[-2].startswith("Total flows processed: 10, Records skipped: 0, Bytes read: ")
    assert int(lines[-2].rsplit(" ", 1)[1]) > 0
    assert "flows/second" in lines[-1]


@pytest.mark.row("O05")
def test_units(store: Path) -> None:
    assert "total bytes: 1.48 MiB" in nftui("summary", "--data", store, "--units", "iec").stdout
    assert "total bytes: 1.6 M" in nftui("summary", "--data", store).stdout


@pytest.mark.row("O02")
def test_summary_fields(store: Path) -> None:
    found = answer("summary", "--data", store)
    assert set(found) == {"query", "coverage", "rows"}
    (row,) = found["rows"]
    assert row.pop("coverage") == found["coverage"]
    assert row == {
        "flows": 10, "octets": 1_552_644, "packets": 64, "bps": 1_364_961, "pps": 7, "bpp": 24_260,
        "first": "2023-11-14T22:13:10.000000Z", "last": "2023-11-14T22:13:19.100000Z",
    }  # fmt: skip


def test_flow_fields_are_those_of_the_schema_and_absent_ones_are_left_out(store: Path) -> None:
    rows = answer("flows", "--data", store, "src host 10.0.0.2")["rows"]
    assert len(rows) == 1
    (row,) = rows
    assert row["flow_start"] == "2023-11-14T22:13:11.000000Z"
    assert (row["source_address"], row["destination_address"]) == ("10.0.0.2", "192.168.0.1")
    assert (row["source_port"], row["protocol"], row["octets"]) == (40001, 6, 1_500_000)
    assert "user_name" not in row
    ndjson = [json.loads(line) for line in nftui("flows", "--data", store, "-o", "ndjson").stdout.splitlines()]
    assert len(ndjson) == 10
    assert [flow["flow_start"] for flow in ndjson] == sorted(flow["flow_start"] for flow in ndjson)
    assert row in ndjson


def test_csv_and_markdown_have_the_same_rows(store: Path) -> None:
    table = list(csv.DictReader(io.StringIO(nftui("top", "--data", store, "-s", "srcip/flows", "-n", "3", "-o", "csv").stdout)))
    assert [row["source_address"] for row in table] == ["10.0.0.1", "8.8.8.8", "10.0.0.2"]
    assert table[0]["flows"] == "2"
    markdown = nftui("top", "--data", store, "-s", "srcip/flows", "-n", "3", "-o", "markdown").stdout.splitlines()
    assert markdown[0].startswith("| source_address | octets | packets | flows |")
    assert len(markdown) == 5


@pytest.mark.row("C09")
@pytest.mark.parametrize(
    ("statistic", "first", "groups"),
    [
        ("srcip", "10.0.0.2", 9), ("dstip", "192.168.0.1", 6), ("srcport", 40001, 9), ("dstport", 443, 8),
        ("proto", 6, 4), ("inif", 1, 3), ("tos", 0, 2), ("record", "10.0.0.2", 10),
    ],
)  # fmt: skip
def test_each_of_the_seven_keys_groups_with_the_right_totals(store: Path, statistic: str, first: object, groups: int) -> None:
    rows = answer("top", "--data", store, "-s", f"{statistic}/bytes", "-n", "0")["rows"]
    assert next(iter(rows[0].values())) == first
    assert len(rows) == groups
    assert sum(row["octets"] for row in rows) == 1_552_644
    assert sum(row["packets"] for row in rows) == 64
    assert round(sum(row["octets_percent"] for row in rows)) == 100


@pytest.mark.row("C10")
def test_both_ways_of_a_conversation_stay_two_rows(store: Path) -> None:
    rows = answer("flows", "--data", store, "host 10.0.0.1 and host 192.168.0.1")["rows"]
    assert [(row["source_address"], row["octets"]) for row in rows] == [("10.0.0.1", 1000), ("192.168.0.1", 50_000)]


@pytest.mark.row("R03")
@pytest.mark.parametrize("by", ["srcip", "dstip", "srcport", "dstport", "proto", "none"])
@pytest.mark.parametrize("resolution", ["low", "medium", "high", "ultra", "hourly", "daily", "1", "7", "100"])
@pytest.mark.parametrize("time", ["all", "2023-11-14T22:13:12/2023-11-14T22:13:16"])
def test_a_series_sums_to_the_total(store: Path, by: str, resolution: str, time: str) -> None:
    arguments = ["--data", str(store), "-t", time]
    rows = _in_process(["series", *arguments, "--by", by, "--resolution", resolution, "-n", "3", "-o", "ndjson"])
    bins = [json.loads(line) for line in rows.splitlines()]
    total = json.loads(_in_process(["summary", *arguments, "-o", "ndjson"]))["octets"]
    if resolution in ("hourly", "daily"):
        total = 1_552_644
        assert len(bins) == 1
    else:
        assert len(bins) == {"low": 6, "medium": 12, "high": 24, "ultra": 30}.get(resolution) or int(resolution)
    assert sum(value for row in bins for name, value in row.items() if name != "time") == total
    assert set(bins[0]) <= {"time", "other", "octets"} if by == "none" else "other" in bins[0]


def _in_process(words: list[str]) -> str:
    from contextlib import redirect_stdout

    from nftui.cli import main

    out = io.StringIO()
    with redirect_stdout(out):
        assert main(words) == 0
    return out.getvalue()


@pytest.mark.parametrize("words", [["-t", "-1h"], ["-t-1h"], ["--time", "-1h"], ["--time=-1h"]])
def test_a_range_may_begin_with_a_dash(store: Path, words: list[str]) -> None:
    found = answer("summary", "--data", store, *words)
    assert found["rows"][0]["flows"] == 0
    assert found["query"]["interval"] is not None


def test_a_range_counts_in_proportion_and_contained_as_nfdump(store: Path) -> None:
    half = answer("summary", "--data", store, "-t", "2023-11-14T22:13:11.000Z/2023-11-14T22:13:13.500Z", "src host 10.0.0.2")
    assert half["rows"][0]["octets"] == 750_000
    whole = answer("summary", "--data", store, "-t", "2023-11-14T22:13:10.5Z/2023-11-14T22:13:16.5Z", "--contained")
    assert whole["rows"][0]["flows"] == 3


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["top", "port foo"], 2, "column 6"),
        (["flows", "-O", "color"], 2, "color"),
        (["top", "-s", "shape"], 2, "shape"),
        (["top", "-s", "srcip/weight"], 2, "weight"),
        (["series", "--by", "shape"], 2, "shape"),
        (["series", "--resolution", "often"], 2, "often"),
        (["series", "--resolution", "1000000000"], 2, "too many"),
        (["summary", "-t", "yesterday-ish"], 2, "yesterday-ish"),
        (["summary", "-t", "2026-13-40"], 2, "2026-13-40"),
        (["summary", "-t", "2026-01-02/2026-01-01"], 2, "ends before it starts"),
        (["summary", "-t", "-5parsecs"], 2, "-5parsecs"),
        (["summary", "-t"], 2, "-t"),
        (["summary", "--nope"], 2, "--nope; see nftui summary --help"),
        (["pairs", "-s", "srcip"], 2, "-s; see nftui pairs --help"),
        (["frobnicate"], 2, "frobnicate"),
        (["collect", "--interval", "1"], 2, "--interval 1"),
        (["collect", "--listen", "6343/tcp"], 2, "only sFlow is taken"),
        (["collect", "--listen", "9995/quic"], 2, "write /udp, /tcp or /sctp"),
        (["collect", "--listen", "here"], 2, "'here'"),
        (["import", "/nonexistent.pcap"], 1, "/nonexistent.pcap"),
        (["demo-exporters", "--to", "nowhere"], 2, "HOST:PORT"),
        (["demo-exporters", "--to", "127.0.0.1:99999"], 2, "a port from 1 to 65535"),
        (["demo", "--no-screen", "--network", "/nonexistent.toml"], 1, "/nonexistent.toml"),
        (["flows", "-O", "octts"], 2, "did you mean octets"),
    ],
)
def test_a_mistake_is_one_clear_line(store: Path, words: list[str], status: int, told: str) -> None:
    done = nftui(*words, "--data", store, check=False)
    assert done.returncode == status, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == (3 if words == ["top", "port foo"] else 1)
    assert lines[0].startswith("nftui: ")


def test_a_store_that_is_not_there_and_a_config_that_is_wrong(tmp_path: Path) -> None:
    missing = nftui("summary", "--data", tmp_path / "none", check=False)
    assert (missing.returncode, "no such data directory" in missing.stderr) == (1, True)
    other = nftui("summary", "--data", tmp_path, check=False)
    assert (other.returncode, other.stdout, "nothing was ever stored there" in other.stderr) == (1, "", True)
    config = tmp_path / "nftui.toml"
    config.write_text("[collector]\nintervall = 5\n")
    wrong = nftui("summary", "--config", config, check=False)
    assert (wrong.returncode, "intervall" in wrong.stderr, str(config) in wrong.stderr) == (1, True, True)


def test_escapes_in_arguments_are_shown_not_sent(store: Path) -> None:
    done = nftui("flows", "--data", store, "-O", "\x1b]52;c;eA==\x07", check=False)
    assert "\x1b" not in done.stderr
    assert "\\x1b" in done.stderr


def test_a_reader_that_goes_away_is_no_error(store: Path) -> None:
    command = f"{sys.executable} -m nftui flows --data {store} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("Date first seen")


def test_version_and_help() -> None:
    from nftui import __version__

    assert nftui("--version").stdout == f"nftui {__version__}\n"
    shown = nftui("--help").stdout
    for command in ("collect", "demo", "import", "flows", "top", "series", "summary", "status", "doctor"):
        assert command in shown
        assert "usage: nftui " + command in nftui(command, "--help").stdout


def test_status_tells_when_there_is_no_collector(store: Path, tmp_path: Path) -> None:
    done = nftui("status", "--data", store, check=False)
    assert (done.returncode, "nftui collect" in done.stderr) == (1, True)
    (tmp_path / "status.json").write_text(
        '{"pid": "\\u001b[2J", "now": "x", "listen": [3, {"transport": "\\u001b[2J", "address": ["\\u001b"], "connections": 1}, '
        '{"connections": {"open": "x", "refused": 7, "closed": {"\\u001b[2J": "many", "c": 1}}}], '
        '"exporters": [1, {"address": "\\u001b]52;"}]}'
    )
    untrusted = nftui("status", "--data", tmp_path, check=False)
    assert untrusted.returncode == 1
    assert "not running" in untrusted.stdout
    assert "\x1b" not in untrusted.stdout


@pytest.mark.row("C14")
def test_a_store_moved_elsewhere_answers_the_same(store: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", str(store), str(tmp_path / "copy")], check=True)
    assert LocalBackEnd(tmp_path / "copy").answer(Query()).total == LocalBackEnd(store).answer(Query()).total


@pytest.mark.parametrize(("perspective", "octets"), [("all", 1_552_644), ("ingress", 1_552_644), ("egress", 0), ("boundary", 180)])
def test_a_perspective_narrows_every_question(store: Path, tmp_path: Path, perspective: str, octets: int) -> None:
    told = nftui("summary", "--data", store, "--perspective", perspective, "-o", "json").stdout
    assert json.loads(told)["rows"][0]["octets"] == octets, "only the two flows with 8.8.8.8 leave the private networks"
    ours = tmp_path / "nftui.toml"
    ours.write_text("[network]\nhome = ['192.168.0.0/24']\n")
    told = nftui("summary", "--data", store, "--config", ours, "--perspective", "boundary", "-o", "json", "proto gre").stdout
    assert json.loads(told)["rows"][0]["octets"] == 300
