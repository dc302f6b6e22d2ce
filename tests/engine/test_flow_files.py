"""Files that are asked without importing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nftui.capture.nfdump.files import NfdumpFile
from nftui.engine.file_kinds import flow_files
from nftui.engine.filters import parse
from nftui.engine.flow_files import FlowFiles
from nftui.engine.importing import decode_captures
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Answer, Interval, Kind, Query
from nftui.errors import CaptureFileError
from tests.capture import nfdump_encoding as made
from tests.running import ROOT, answer, nftui

FIXTURE = ROOT / "tests" / "data" / "ten-flows.pcap"
BASE_US = made.BASE_MS * 1000
EACH = 100


def file(path: Path, number: int, *, told: tuple[int, int, int] | bool | None = True, codec: int = 0) -> Path:
    """Write a file of flows of which each starts a millisecond after the one before it."""
    numbers = range(number * EACH, (number + 1) * EACH)
    account = (EACH, made.BASE_MS + numbers[0], made.BASE_MS + numbers[-1] + 500)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        made.file_17([[made.flow(one) for one in numbers]], codec=codec, told=account if told is True else told or None)
    )
    return path


def asked(*paths: Path, **query: Any) -> Answer:
    return LocalBackEnd(FlowFiles(paths, decode_captures), keep=False).answer(Query(**query))


def octets(numbers: range) -> int:
    return sum(100 * (number + 1) for number in numbers)


@pytest.mark.row("O06")
def test_totals_groups_and_series(tmp_path: Path) -> None:
    for number in range(4):
        file(tmp_path / f"nfcapd.{number}", number, codec=(0, 3)[number % 2], told=number != 2)
    found = asked(tmp_path, keys=("destination_address",), bins=7)
    assert (found.total.flows, found.total.octets) == (400, octets(range(400)))
    assert found.group_count == 2
    assert found.groups["octets"].sum() == found.total.octets
    assert found.series is not None
    assert found.series.select("g0", "g1", "other").sum().sum_horizontal()[0] == found.total.octets
    assert (found.first, found.last) == (BASE_US, BASE_US + (399 + 500) * 1000 + 999)
    assert found.coverage.flows_scanned == 400
    assert found.coverage.unread == ()
    few = asked(tmp_path, where=parse("src net 10.0.0.0/30"))
    assert (few.total.flows, few.total.octets) == (4, octets(range(4)))


@pytest.mark.parametrize(("limit", "times"), [(None, 1), (3, 2)])
def test_either_side_is_decoded_once_and_once_more_for_what_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None, times: int
) -> None:
    for number in range(3):
        file(tmp_path / f"nfcapd.{number}", number)
    decoded = []
    frames = NfdumpFile.frames

    def counted(one: NfdumpFile, *words: Any) -> Any:
        decoded.append(one.path)
        return frames(one, *words)

    monkeypatch.setattr(NfdumpFile, "frames", counted)
    found = asked(tmp_path, keys=("address",), limit=limit)
    assert len(decoded) == 3 * times
    assert (found.total.flows, found.total.octets) == (300, octets(range(300)))
    # Each flow has another source, and one of two destinations.
    assert found.group_count == 302
    assert found.groups["flows"][:2].sum() == 300
    assert (found.other.flows, found.other.octets) == (0, 0)


def test_a_range_reads_only_what_may_have_flows_in_it(tmp_path: Path) -> None:
    for number in range(40):
        file(tmp_path / f"nfcapd.{number:02d}", number)
    found = asked(tmp_path, interval=Interval(BASE_US + 3000 * 1000 - 1, BASE_US + 10**12), contained=True)
    assert found.total.flows == 1000
    assert found.coverage.parts < 20


def test_lists(tmp_path: Path) -> None:
    for number in range(3):
        file(tmp_path / f"nfcapd.{number}", number)
    found = asked(tmp_path, kind=Kind.FLOWS, order="flow_start", limit=5)
    assert found.flows is not None
    assert found.flows["octets"].to_list() == [100 * (one + 1) for one in range(299, 294, -1)]
    assert "source_address" in found.flows.columns
    assert "vrf_name" not in found.flows.columns
    everything = asked(tmp_path, kind=Kind.FLOWS, order="octets", limit=None)
    assert everything.flows is not None
    assert everything.flows.height == 300


@pytest.mark.parametrize("lie", [(EACH, made.BASE_MS + 40, made.BASE_MS + 50), (1, made.BASE_MS + 20_000, made.BASE_MS + 30_000)])
def test_an_account_that_is_wrong_changes_no_answer(tmp_path: Path, lie: tuple[int, int, int]) -> None:
    file(tmp_path / "nfcapd.0", 0, told=lie)
    file(tmp_path / "nfcapd.1", 1)
    found = asked(tmp_path, bins=3)
    assert (found.total.flows, found.coverage.flows_scanned) == (200, 200)
    assert found.series is not None
    assert found.series["g0"].sum() == octets(range(200))
    assert (found.first, found.last) == (BASE_US, BASE_US + (199 + 500) * 1000)


def test_several_kinds_together(tmp_path: Path) -> None:
    file(tmp_path / "in" / "nfcapd.0", 0)
    (tmp_path / "in" / "README").write_text("no flows")
    nftui("import", "--data", tmp_path / "store", FIXTURE)
    nftui("flows", "-r", FIXTURE, "-o", "json")
    found = asked(tmp_path / "in", FIXTURE, tmp_path / "store")
    assert found.total.flows == 120
    (segment,) = (tmp_path / "store" / "flows").rglob("*.parquet")
    segment.rename(tmp_path / "other.parquet")
    assert asked(tmp_path / "other.parquet", FIXTURE).total.flows == 20


def test_what_can_not_be_read_is_told(tmp_path: Path) -> None:
    file(tmp_path / "nfcapd.0", 0)
    whole = file(tmp_path / "nfcapd.1", 1, told=None).read_bytes()
    (tmp_path / "nfcapd.1").write_bytes(whole[:-50])
    (tmp_path / "nfcapd.2").write_bytes(made.file_17([], layout=9))
    found = asked(tmp_path)
    assert found.total.flows == 199
    assert found.coverage.unread == (
        "nfcapd.2: a file of nfdump of layout 9; 1 and 2 are read",
        "nfcapd.1: 1 block ends within a record, 1 file ends within a block",
    )
    with pytest.raises(CaptureFileError, match="no such file or directory"):
        asked(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptureFileError, match="no files of flows there"):
        asked(tmp_path / "empty")
    with pytest.raises(CaptureFileError, match="no file of nfdump, no capture"):
        asked(Path(__file__))


def test_from_a_file_to_another(tmp_path: Path) -> None:
    for day in (1, 2):
        for number in range(3):
            file(tmp_path / f"{day}" / f"nfcapd.{day}{number}", day * 3 + number)
    names = [path.name for path in flow_files([tmp_path / "1" / "nfcapd.11:nfcapd.12"])]
    assert names == ["nfcapd.11", "nfcapd.12"]
    names = [path.name for path in flow_files([Path(f"{tmp_path}/1/nfcapd.12:../2/nfcapd.20")])]
    assert names == ["nfcapd.12", "nfcapd.20"]
    assert len(flow_files([tmp_path])) == 6
    with pytest.raises(CaptureFileError, match="no such file"):
        flow_files([tmp_path / "1" / "nfcapd.11:nfcapd.19"])


def test_commands(tmp_path: Path) -> None:
    file(tmp_path / "nfcapd.0", 0)
    for command in ("top", "series", "summary", "flows"):
        assert answer(command, "-r", tmp_path)["rows"]
    top = answer("top", "-s", "dstip", "-r", tmp_path / "nfcapd.0", "-r", tmp_path / "nfcapd.0")
    assert sum(row["flows"] for row in top["rows"]) == 200
    done = nftui("summary", "-r", tmp_path / "none", check=False)
    assert (done.returncode, done.stderr) == (1, f"nftui: {tmp_path / 'none'}: no such file or directory\n")
