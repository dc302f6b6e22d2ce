"""Captures of traffic as files of flows: told from those of exports, imported once, and whole whatever interrupts that."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nftui.config import ProbeSettings
from nftui.engine import importing, packet_files
from nftui.engine.importing import Importer
from nftui.engine.local import LocalBackEnd
from nftui.engine.packet_files import holds_exports
from nftui.engine.query import Kind, Query, Totals
from nftui.engine.store import Store, scan_part
from tests.running import ROOT

EXPORTS = ROOT / "tests" / "data" / "ten-flows.pcap"
TRAFFIC = ROOT / "tests" / "data" / "probe" / "probe-zeek-var-services.pcap"
FLOWS, PACKETS_EACH, HEADERS = 400, 5, 28


def totals(root: Path) -> Totals:
    return LocalBackEnd(root, keep=False).answer(Query()).total


def capture(path: Path) -> None:
    """Write a capture of many flows, one after the other, a second between their packets."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for second in range(FLOWS + PACKETS_EACH):
            for flow in range(max(0, second - PACKETS_EACH + 1), min(second + 1, FLOWS)):
                source = bytes([10, 0, flow >> 8, flow & 255])
                addresses = source + bytes([10, 1, 0, 1])
                packet = struct.pack(">BBHHHBBH8sHHHH", 0x45, 0, HEADERS, 0, 0, 64, 17, 0, addresses, 5, 53, 8, 0)
                file.write(struct.pack("<IIII", 1_600_000_000 + second, flow, HEADERS, HEADERS) + packet)


def test_what_a_capture_holds_is_found_out() -> None:
    assert holds_exports(EXPORTS)
    assert not holds_exports(TRAFFIC)


def test_traffic_and_exports_may_be_told(tmp_path: Path) -> None:
    """A capture is imported once as the one, and once as the other."""
    counts = {}
    for packets in (None, True, False, None):
        importer = Importer(tmp_path)
        for _ in importer.run([EXPORTS], packets=packets):
            pass
        counts[packets] = importer.close()
    assert counts[True]["traffic"]["packets"] == counts[True]["traffic"]["frames"] > 0
    assert counts[False]["files_passed_over"] == counts[None]["files_passed_over"] == {"imported already": 1}
    versions = LocalBackEnd(tmp_path, keep=False).answer(Query(kind=Kind.FLOWS, limit=None, order="octets")).flows
    assert versions is not None and {1001} < set(versions["protocol_version"])


def test_an_import_of_traffic_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after any of its units, it ends up with the same flows, none twice."""
    monkeypatch.setattr(importing, "SEGMENT_FLOWS", 40)
    blocks = packet_files.CaptureFile
    monkeypatch.setattr(packet_files, "CaptureFile", lambda path: blocks(path, block_octets=4096))
    file = tmp_path / "traffic.pcap"
    capture(file)
    for stop in (1, 3, 2, 4):
        importer = Importer(tmp_path / "store")
        for place, _ in enumerate(importer.run([file])):
            if place == stop:
                # As a crash would: what was gathered is not stored.
                importer._batch = importing._Batch()
                break
        importer.close()
    importer = Importer(tmp_path / "store")
    places = [progress.octets for progress in importer.run([file])]
    counts = importer.close()
    assert all(a <= b for a, b in pairwise(places)) and len(places) > 3 and places[-1] == file.stat().st_size
    assert counts["traffic"]["packets"] == FLOWS * PACKETS_EACH
    found = totals(tmp_path / "store")
    assert (found.flows, found.packets, found.octets) == (FLOWS, FLOWS * PACKETS_EACH, FLOWS * PACKETS_EACH * HEADERS)
    parts = Store(tmp_path / "store").parts()
    assert len(parts) > 3
    ends = np.concatenate([scan_part(part).collect()["flow_end"].to_physical().to_numpy() for part in parts])
    starts = np.concatenate([scan_part(part).collect()["flow_start"].to_physical().to_numpy() for part in parts])
    assert set(ends - starts) == {(PACKETS_EACH - 1) * 1_000_000}


def test_settings_reach_the_meter(tmp_path: Path) -> None:
    importer = Importer(tmp_path, probe=ProbeSettings(sampling=2, address="192.0.2.9"))
    for _ in importer.run([TRAFFIC]):
        pass
    counts = importer.close()["traffic"]
    assert counts["sampled_out"] == counts["frames"] // 2
    flows = LocalBackEnd(tmp_path, keep=False).answer(Query(kind=Kind.FLOWS, limit=None, order="octets", where=Query().where)).flows
    assert flows is not None
    assert set(flows["sampling_interval"]) == {2}
    assert set(flows["exporter_address"]) == {bytes(10) + b"\xff\xff\xc0\x00\x02\x09"}
