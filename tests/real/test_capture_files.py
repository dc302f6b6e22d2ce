"""Capture files that others wrote: frames and times are what scapy reads in them, and what tcpdump pipes comes while it runs."""

from __future__ import annotations

import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scapy.packet import Raw
from scapy.utils import PcapReader, wrpcap

from nftui.capture.probe.capture_file import CaptureFile
from tests import peers
from tests.capture.packing import PROBE
from tests.capture.probe.capture_writing import Frame, frames_of, rest_of
from tests.real import namespace

pytestmark = pytest.mark.row("C11")
CASES = sorted(PROBE.glob("*.pcap"))


def read_by_scapy(path: Path) -> list[tuple[bytes, int, int]]:
    """Return octets, microseconds and length on the wire of each frame."""
    with PcapReader(str(path)) as reader:
        return [(bytes(one), int(one.time * 1_000_000), one.wirelen) for one in reader]


def seen(frames: list[Frame]) -> list[tuple[bytes, int, int]]:
    """Return the same of what was read here."""
    return [(one.octets, one.time, one.length) for one in frames]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_frames_are_what_scapy_reads(path: Path) -> None:
    found = rest_of(CaptureFile(path))
    assert found
    assert seen(found) == read_by_scapy(path)


@pytest.mark.peer("editcap")
@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng"])
@pytest.mark.parametrize("cut", ["", "-s64"])
def test_files_of_editcap(kind: str, cut: str, tmp_path: Path) -> None:
    for path in CASES:
        made = tmp_path / path.name
        subprocess.run([peers.require("editcap"), *([cut] if cut else []), "-F", kind, str(path), str(made)], check=True)
        assert seen(rest_of(CaptureFile(made))) == read_by_scapy(made)


@pytest.mark.peer("mergecap", "editcap")
def test_interfaces_of_mergecap(tmp_path: Path) -> None:
    """Files of different link types become interfaces of one file."""
    raw = tmp_path / "raw.pcap"
    subprocess.run([peers.require("editcap"), "-C14", "-T", "rawip", str(CASES[0]), str(raw)], check=True)
    made = tmp_path / "merged.pcapng"
    subprocess.run([peers.require("mergecap"), "-I", "none", "-w", str(made), *map(str, CASES), str(raw)], check=True)
    found = rest_of(CaptureFile(made))
    parts = [rest_of(CaptureFile(path)) for path in (*CASES, raw)]
    assert {one.link for one in found} == {1, 101}
    assert sorted(found) == sorted(one for part in parts for one in part)


def test_files_of_scapy(tmp_path: Path) -> None:
    frames = [Raw(bytes([n]) * n) for n in range(200)]
    for n, one in enumerate(frames):
        one.time = 1_700_000_000 + n / 1000
    for made, more in (("a.pcap", {}), ("b.pcap.gz", {"gz": True}), ("c.pcap", {"nano": True}), ("d.pcap", {"endianness": ">"})):
        wrpcap(str(tmp_path / made), frames, linktype=1, **more)
        assert [one.octets for one in rest_of(CaptureFile(tmp_path / made))] == [bytes(one) for one in frames]


@pytest.mark.peer("tcpdump", "ip")
def test_pipe_of_tcpdump() -> None:
    """`tcpdump -w - | …`: a frame is handed over within a tenth of a second, and what tcpdump saw is all there in the end."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(namespace.inside, _piped).result()


def _piped() -> None:
    command = [peers.require("tcpdump"), "-i", "lo", "-n", "-U", "--immediate-mode", "-w", "-", "udp", "port", "9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as dump:
        assert dump.stdout is not None
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with CaptureFile(Path(f"/proc/self/fd/{dump.stdout.fileno()}")) as file, sender:
            deadline, found, delays = time.monotonic() + 20, list[Frame](), list[float]()
            while len(delays) < 8 and time.monotonic() < deadline:
                before, began = len(found), time.monotonic()
                sender.sendto(b"hello", ("127.0.0.1", 9))
                while len(found) == before and time.monotonic() < began + 1:
                    part = file.take()
                    found += [] if part is None else frames_of(part)
                    time.sleep(0.002)
                if len(found) > before:
                    delays.append(time.monotonic() - began)
            dump.terminate()
            found += rest_of(file)
            # A loaded machine may be late now and then; a reader that waits for a full block always is.
            assert sorted(delays)[4] < 0.1
            assert all(one.octets.endswith(b"hello") for one in found)
            assert len(found) >= 8
