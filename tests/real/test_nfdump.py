"""Files that the real nfcapd wrote, and what the real nfdump says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nftui.capture.nfdump.files import NfdumpFile
from tests.real import nfdump_files
from tests.running import answer, nftui

pytestmark = pytest.mark.peer("nfcapd", "nfdump")
CODECS = {"lzo": "-z", "lz4": "-y", "bzip2": "-j"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What nfcapd made of all captures of the corpus that the repository holds."""
    return nfdump_files.collect(tmp_path_factory.mktemp("nfcapd") / "plain", *nfdump_files.captures())


def test_each_flow_is_read_as_nfdump_reads_it(stored: Path) -> None:
    flows, counts = nfdump_files.read(stored)
    theirs, ours = nfdump_files.theirs(stored), nfdump_files.ours(flows)
    assert sum(theirs.values()) == counts.flows > 700
    assert not counts.malformed
    assert not counts.unread
    # Of a flow with addresses of both kinds, of which one is zero, nfdump 1.7.1 prints zero for both.
    place = nfdump_files.COLUMNS.index("source_address")
    assert {flow[place] for flow in theirs - ours} <= {"0.0.0.0"}
    assert sum((theirs - ours).values()) < 10


@pytest.mark.parametrize("codec", CODECS)
def test_codecs(stored: Path, tmp_path: Path, codec: str) -> None:
    packed = tmp_path / "packed"
    nfdump_files.nfdump("-r", stored, CODECS[codec], "-w", packed)
    assert packed.stat().st_size < stored.stat().st_size
    plain, _ = nfdump_files.read(stored)
    flows, counts = nfdump_files.read(packed)
    assert nfdump_files.ours(flows) == nfdump_files.ours(plain)
    assert not counts.malformed
    account, ours = NfdumpFile(packed).account, NfdumpFile(stored).account
    assert account == ours


def test_the_file_that_nfcapd_is_writing(tmp_path: Path) -> None:
    """And what it wrote with each codec of its own, an interval long."""
    capture = nfdump_files.captures()[0]
    for option in ("-z", "-y", "-j"):
        stored = nfdump_files.collect(tmp_path / option, capture, words=(option,))
        flows, counts = nfdump_files.read(stored)
        assert flows.height > 0
        assert not counts.malformed
        assert nfdump_files.ours(flows) == nfdump_files.theirs(stored)


@pytest.mark.row("O06")
@pytest.mark.row("O07")
def test_questions_and_imports_agree(stored: Path, tmp_path: Path) -> None:
    told = nfdump_files.totals("-r", stored)
    flows, _ = nfdump_files.read(stored)
    # nfdump's summary adds up what was sent on, too.
    told["octets"] -= int(flows["out_octets"].sum())
    told["packets"] -= int(flows["out_packets"].sum())
    nftui("import", "--data", tmp_path / "store", stored.parent)
    for where in (("-r", stored), ("-r", stored.parent), ("--data", tmp_path / "store")):
        row = answer("summary", *where, "--raw")["rows"][0]
        assert {name: row[name] for name in told} == told
    both = ("-r", stored), ("--data", tmp_path / "store")
    for statistic in ("proto", "srcip", "dstport"):
        asked = [answer("top", "-s", statistic, "-n", "0", *where, "--raw")["rows"] for where in both]
        assert asked[0] == asked[1]
        assert len(asked[0]) > 2
