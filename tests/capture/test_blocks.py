"""What a flow becomes does not depend on how datagrams happen to fall into blocks."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from nftui.capture.datagrams import DatagramBlock
from nftui.capture.decoder import Decoder
from nftui.capture.pcap import read_capture

CAPTURES = sorted((Path(__file__).parent.parent / "data" / "corpus").glob("*.pcap"))


def _decoded(capture: Path, rows: int) -> pl.DataFrame:
    decoder, frames = Decoder(), []
    for block in read_capture(capture):
        for first in range(0, len(block.length), rows):
            cut = slice(first, first + rows)
            parts = (block.payload[cut], block.length[cut], block.exporter[cut], block.source_port[cut], block.received[cut])
            frames += decoder.decode(DatagramBlock(*parts, block.local_port))
    if not frames:
        return pl.DataFrame()
    frame = pl.concat(frames, how="diagonal")
    return frame.select(sorted(frame.columns)).sort(sorted(frame.columns))


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_blocks_of_any_size_give_the_same_flows(capture: Path) -> None:
    whole = _decoded(capture, 10_000)
    for rows in (1, 2, 7):
        assert _decoded(capture, rows).equals(whole), rows


def test_a_start_told_anew_holds_from_its_datagram_on(corpus: Path) -> None:
    """This exporter tells when it started 30 times, a millisecond or two apart."""
    capture = corpus / "flow" / "ipfix-pmacct-401b.pcap"
    whole = _decoded(capture, 10_000)
    for rows in (1, 7, 50, 100, 300):
        assert _decoded(capture, rows).equals(whole), rows
