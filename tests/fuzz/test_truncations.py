"""Every truncation of every captured datagram decodes or is counted.

All truncations of one datagram are one block, twice: once each from an exporter of its own, so that the counters tell which of them
left a trace; and once from the exporter of the capture, whose templates are known by then, each received at a time of its own, so
that flows tell which of them they came from.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nftui.capture.datagrams import MAPPED_PREFIX, DatagramBlock
from nftui.capture.decoder import Decoder
from nftui.capture.pcap import read_capture
from tests.capture import corpus
from tests.fuzz.accounting import SFLOW, asks, counters, moved

STALE = 0xAA
MOST = 5
"""Datagrams of one capture, spread over it; NFTUI_EVERY_DATAGRAM=1 takes all, for minutes."""


def name_of(golden: Path) -> str:
    return golden.name.removesuffix(".golden.json")


def truncations(block: DatagramBlock, row: int) -> DatagramBlock:
    """Return a datagram cut at every place, from nothing of it to all, as datagrams received a microsecond after each other."""
    size = int(block.length[row])
    length = np.arange(size + 1)
    payload = np.full((size + 1, max(size, 1)), STALE, np.uint8)
    payload[:, :size] = np.where(np.arange(size) < length[:, None], block.payload[row, :size], STALE)
    return DatagramBlock(
        payload,
        length,
        np.broadcast_to(block.exporter[row], (size + 1, 16)),
        np.full(size + 1, block.source_port[row]),
        block.received[row] + length,
        block.local_port,
    )


@pytest.mark.timeout(400)
@pytest.mark.parametrize("golden", corpus.golden_files(), ids=name_of)
def test_every_truncation_decodes_or_is_counted(golden: Path) -> None:
    blocks = list(read_capture(corpus.capture_of(golden)))
    known = Decoder()
    for block in blocks:
        known.decode(block)
    datagrams = [(block, row) for block in blocks for row in range(len(block.length))]
    if "NFTUI_EVERY_DATAGRAM" not in os.environ:
        datagrams = datagrams[:: -(-len(datagrams) // MOST)]
    for block, row in datagrams:
        cut = truncations(block, row)
        asking = np.array([asks(cut.payload[at, :at].tobytes(), cut.local_port) for at in range(len(cut.length))])
        each_from_its_own_exporter(cut, asking)
        all_from_one_exporter(known, cut, asking)


def each_from_its_own_exporter(cut: DatagramBlock, asking: np.ndarray) -> None:
    decoder = Decoder()
    own = np.frombuffer(b"".join(MAPPED_PREFIX + bytes([10, 0, at >> 8, at & 0xFF]) for at in range(len(cut.length))), np.uint8)
    own = own.reshape(-1, 16)
    frames = decoder.decode(replace(cut, payload=with_agents(cut, own), exporter=own))
    exporters = {one["address"]: one for one in decoder.status(int(cut.received[-1]))["exporters"]}
    assert len(exporters) == len(cut.length)
    assert all(one["datagrams"] == 1 for one in exporters.values())
    assert sum(one["flows"] for one in exporters.values()) == sum(map(len, frames))
    traces = [counters({"exporters": [exporters[f"10.0.{at >> 8}.{at & 0xFF}"]]}) for at in range(len(cut.length))]
    silent = [at for at, trace in enumerate(traces) if asking[at] and not any(trace.values())]
    assert silent == [], "these lengths leave no trace"


def with_agents(cut: DatagramBlock, own: np.ndarray) -> np.ndarray:
    """Return the octets of datagrams, with the address of each where one of sFlow names its agent: that is its exporter."""
    payload = cut.payload.copy()
    kind = payload[-1, 4:8].tobytes() if payload[-1, :4].tobytes() == SFLOW else b""
    if kind == b"\0\0\0\1":
        payload[:, 8:12] = own[:, 12:]
    elif kind == b"\0\0\0\2":
        payload[:, 8:24] = own
    return payload


def all_from_one_exporter(decoder: Decoder, cut: DatagramBlock, asking: np.ndarray) -> None:
    now = int(cut.received[-1])
    before = decoder.status(now)
    frames = decoder.decode(cut)
    after = decoder.status(now)
    assert after["datagrams"] - before["datagrams"] == len(cut.length)
    assert after["flows"] - before["flows"] == sum(map(len, frames))
    gave = np.zeros(len(cut.length), bool)
    for frame in frames:
        place = frame["received"].to_physical().to_numpy() - cut.received[0]
        gave[place[(place >= 0) & (place < len(gave))]] = True
    was, now_is = counters(before), counters(after)
    others = moved({**was, "flows": 0}, {**now_is, "flows": 0})
    assert others >= int((asking & ~gave).sum()), "some of those that gave no flow left no trace"
