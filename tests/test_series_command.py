"""The data table on the command line: what its rows and statistics say, and of which time."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from nftui.cli import main
from nftui.engine.keys import WORDS
from nftui.engine.writer import StoreWriter
from nftui.units import SECOND
from tests.engine.conftest import flows_frame

HOUR = 3600 * SECOND
BASE = 1_700_000_000 * SECOND // HOUR * HOUR
RANGE = ["-t", "2023-11-14T22:00:00Z/2023-11-14T23:00:00Z"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of flows: a minute's each, from two users and over two interfaces."""
    data = tmp_path_factory.mktemp("series")
    rows = []
    for minute in range(-60, 60):
        start = BASE + minute * 60 * SECOND
        rows.append(
            {
                "flow_start": start,
                "flow_end": start + 59 * SECOND,
                "octets": 60_000 + minute,
                "packets": 60,
                "source_address": minute % 3 + 1,
                "destination_address": 2,
                "source_port": 1000 + minute % 2,
                "destination_port": 443,
                "protocol": 6,
                "ingress_interface": minute % 2,
                "egress_interface": 1,
                "source_as": 64496,
                "destination_as": 64496 + minute % 2,
                "user_name": "other" if minute % 2 else "time",
            }
        )
    writer = StoreWriter(data)
    writer.append([flows_frame(rows)])
    writer.write_tail()
    return data


def _asked(capsys: pytest.CaptureFixture[str], store: Path, *words: str) -> str:
    assert main(["series", "--data", str(store), *words]) == 0
    out, told = capsys.readouterr()
    assert told == ""
    return out


def _answer(capsys: pytest.CaptureFixture[str], store: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_asked(capsys, store, "-o", "json", *words))
    return found


@pytest.mark.row("V04")
@pytest.mark.parametrize("by", [*sorted(WORDS), "none", "srcip,dstport", "srcip4/24", "protocol_version"])
def test_every_dimension_conserves(store: Path, by: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = _answer(capsys, store, *RANGE, "--by", by, "-n", "50", "--resolution", "7")
    total = sum(60_000 + minute for minute in range(60))
    groups = {group["name"]: group for group in found["groups"]}
    assert (groups["total"] if by != "none" else groups["octets"])["sum"] == total
    for name, group in groups.items():
        if name != "total":
            assert sum(row[name] for row in found["rows"]) == group["sum"]
    if by not in ("ip", "port", "as", "if"):
        assert sum(value for row in found["rows"] for name, value in row.items() if name != "time") == total


@pytest.mark.row("R04")
@pytest.mark.row("R06")
def test_so_many_groups_and_the_others(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _answer(capsys, store, *RANGE, "--by", "srcip,srcport", "-n", "5", "--resolution", "high")
    assert (len(found["rows"]), len(found["rows"][0])) == (24, 1 + 5 + 1)
    assert sum(row["other"] for row in found["rows"]) > 0
    cells = (value for row in found["rows"] for name, value in row.items() if name != "time")
    assert sum(cells) == sum(60_000 + minute for minute in range(60))


@pytest.mark.row("V08")
def test_statistics_stand_in_json_and_below_tables(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _answer(capsys, store, *RANGE, "--by", "if", "--resolution", "20")
    assert [group["name"] for group in found["groups"]] == ["1", "0", "other", "total"]
    one, total = found["groups"][0], found["groups"][-1]
    values = [row["1"] for row in found["rows"]]
    assert len(values) == 20
    assert (one["interface"], one["minimum"], one["maximum"], one["last"]) == (1, min(values), max(values), values[-1])
    assert (one["percentile_95"], one["average"]) == (sorted(values)[18], round(sum(values) / 20, 3))
    # Groups of either side overlap: the total is that of the flows.
    assert total["average"] == sum(60_000 + minute for minute in range(60)) / 20
    table = list(
        csv.DictReader(io.StringIO(_asked(capsys, store, *RANGE, "--by", "if", "--resolution", "20", "-o", "csv", "--stats")))
    )
    assert [row["time"] for row in table[20:]] == ["minimum", "average", "maximum", "last", "percentile_95"]
    assert float(table[24]["1"]) == one["percentile_95"]
    text = _asked(capsys, store, *RANGE, "--by", "if", "--resolution", "20", "--stats", "-N").splitlines()
    assert [line.split()[0] for line in text[21:]] == ["min", "avg", "max", "last", "95th"]
    assert text[23].split()[1] == str(one["maximum"])


@pytest.mark.parametrize(("words", "shift"), [((), HOUR), (("30m",), HOUR // 2), (("1d",), 24 * HOUR)])
def test_the_previous_period_has_the_same_groups(
    store: Path, words: tuple[str, ...], shift: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _answer(capsys, store, *RANGE, "--by", "srcip", "-n", "1", "--resolution", "6", "--previous", *words, "src port 1001")
    before = (BASE - shift) // SECOND, (BASE - shift + HOUR) // SECOND
    interval = "/".join(f"{_utc(edge)}Z" for edge in before)
    again = _answer(capsys, store, "-t", interval, "--by", "srcip", "-n", "50", "--resolution", "6", "src port 1001")
    label = found["groups"][0]["name"]
    assert len(found["rows"]) == 6
    for row, earlier in zip(found["rows"], again["rows"] or [{}] * 6, strict=True):
        if earlier:
            assert row["previous_time"] == earlier["time"]
        shown = {name: value for name, value in earlier.items() if name != "time"}
        assert row[f"previous {label}"] == shown.pop(label, 0)
        assert row["previous other"] == sum(shown.values())


def _utc(second: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def test_rates_are_of_the_time_that_a_bin_covers(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-t", "2023-11-14T22:00:00Z/2023-11-14T22:00:50Z", "--by", "none", "--resolution", "2"]
    sums, rates = _answer(capsys, store, *words), _answer(capsys, store, *words, "--rate")
    assert (sums["unit"], rates["unit"]) == ("octets", "bit/s")
    assert [row["octets"] for row in rates["rows"]] == [row["octets"] * 8 / 25 for row in sums["rows"]]
    flows = _answer(capsys, store, *RANGE, "--by", "none", "--resolution", "1", "--rate", "--metric", "flows")
    assert (flows["unit"], flows["rows"][0]["flows"]) == ("flows/s", round(60 / 3600, 3))


def test_labels_that_look_like_columns_of_ours_are_told_apart(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _answer(capsys, store, *RANGE, "--by", "user", "--resolution", "1")
    assert set(found["rows"][0]) == {"time", "time (2)", "other (2)", "other"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--by", "shape"], "--by 'shape'"),
        (["--by", "ip,port"], "--by 'ip,port': address and port: one key at a time may be either side"),
        (["--by", ""], "--by: name a key"),
        (["-n", "0"], "-n 0"),
        (["--previous"], "name a range with -t"),
        ([*RANGE, "--previous=soon"], "soon"),
    ],
)
def test_a_mistake_is_one_line(store: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["series", "--data", str(store), *words]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert told in error
    assert error.count("\n") == 1


def test_protocols_have_their_names_in_the_table_alone(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["series", "--data", str(store), *RANGE, "--by", "proto", "--resolution", "2", "--previous"]
    assert main(asked) == 0
    table = capsys.readouterr().out.splitlines()
    assert main([*asked, "-o", "csv"]) == 0
    numbers = [name for name in capsys.readouterr().out.splitlines()[0].split(",") if name.isdigit()]
    assert numbers, "the flows of this store have a protocol"
    named = {"6": "TCP", "17": "UDP"}
    for number in numbers:
        assert f" {named[number]} " in table[0]
        assert f" previous {named[number]} " in table[0]
        assert f" {number} " not in table[0]
