"""The same flows in a store of ours and in nfcapd's files, both made from the same datagrams."""

from __future__ import annotations

import ipaddress
import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nftui.capture.decoder import Decoder
from nftui.engine.writer import SEGMENT_FLOWS, StoreWriter
from tests.bench import collectors, processes, traffic
from tests.bench.collectors import Nfcapd

END = 1_700_003_600 * traffic.SECOND
"""When the last flow was exported: always the same, so that a store that was kept can be compared with a new one."""
SPAN = 3600 * traffic.SECOND
PACE = 600_000
"""Flows a second towards nfcapd; less where it loses some."""


@dataclass(frozen=True)
class Truth:
    """What the flows sum up to, as they were made.

    Attributes:
        flows: Flows in all.
        packets: Packets in all.
        octets: Octets in all.
        rare: The IPv4 host with the fewest flows.
        rare_flows: Its flows.
    """

    flows: int
    packets: int
    octets: int
    rare: str
    rare_flows: int


@dataclass(frozen=True)
class Stores:
    """Where the flows are.

    Attributes:
        ours: nftui's data directory.
        peer: nfcapd's folder; None where there is no nfcapd.
        truth: What the flows sum up to.
    """

    ours: Path
    peer: Path | None
    truth: Truth


def make(folder: Path, flows: int, nfcapd: Nfcapd | None) -> Stores:
    """Make both stores in a folder, or take those that are there.

    Args:
        folder: Where they stand.
        flows: How many.
        nfcapd: The peer.
    """
    ours, peer, told = folder / "nftui", folder / "nfcapd", folder / "truth.json"
    if told.exists() and (truth := Truth(**json.loads(told.read_text()))).flows == flows and (peer.exists() or nfcapd is None):
        return Stores(ours, peer if nfcapd else None, truth)
    for path in (ours, peer):
        shutil.rmtree(path, ignore_errors=True)
    recording = folder / "v9.datagrams"
    truth = _record(recording, flows)
    fill(recording, ours)
    if nfcapd:
        _feed(nfcapd, recording, peer, flows)
    recording.unlink()
    recording.with_suffix(".npz").unlink()
    told.write_text(json.dumps(asdict(truth)))
    return Stores(ours, peer if nfcapd else None, truth)


def _record(path: Path, flows: int) -> Truth:
    began, recorder = time.perf_counter(), traffic.Recorder(path, "v9")
    seen = np.zeros(traffic.HOSTS, np.int64)
    packets = octets = 0
    hosts = traffic.Hosts(traffic.HOSTS, 1)
    for made, datagrams in traffic.chunks("v9", flows, END, SPAN, hosts):
        recorder.add(datagrams)
        packets += int(made.columns["packets"].sum())
        octets += int(made.columns["octets"].sum())
        for side in (made.source, made.destination):
            seen += np.bincount(side[~made.six], minlength=traffic.HOSTS)
    recorder.close()
    rare = int(np.where(seen > 0, seen, np.iinfo(np.int64).max).argmin())
    _tell("datagrams", flows, began)
    address = str(ipaddress.IPv4Address(hosts.four[rare, 12:].tobytes()))
    return Truth(flows, packets, octets, address, int(seen[rare]))


def fill(recording: Path, data: Path) -> None:
    """Decode a recording into a store of ours, as if it had been received when it was exported."""
    began, decoder, writer = time.perf_counter(), Decoder(), StoreWriter(data)
    for block in traffic.Recording.read(recording).blocks():
        writer.append(decoder.decode(block))
        if writer.pending >= SEGMENT_FLOWS:
            writer.write_segments()
    writer.write_segments()
    _tell("nftui's store", writer.flows, began)


def _feed(nfcapd: Nfcapd, recording: Path, data: Path, flows: int) -> None:
    pace, began = PACE, time.perf_counter()
    while True:
        done = collectors.ingest(nfcapd, recording, data, rate=pace, seconds=0)
        if done.stored == flows:
            break
        print(f"  nfcapd stored {done.stored:,} of {flows:,} flows at {pace:,} flows/s: again, slower", file=sys.stderr)
        if pace < 50_000:
            raise RuntimeError("nfcapd can't be fed without loss on this machine")
        shutil.rmtree(data)
        pace //= 2
    _tell("nfcapd's files", done.stored, began)


def _tell(what: str, flows: int, began: float) -> None:
    print(f"  {what}: {flows:,} flows in {time.perf_counter() - began:.1f} s", flush=True)


def sizes(stores: Stores) -> tuple[float, float | None]:
    """Return octets a flow on disk, ours and the peer's."""
    peer = None if stores.peer is None else processes.size(stores.peer) / stores.truth.flows
    return processes.size(stores.ours) / stores.truth.flows, peer
