"""Packet captures: the packets of one flow, both directions, written to capture files of bounded size until somebody stops it.

Nothing else in nftui keeps what packets carry; this does, and only while it was asked for.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nftui.capture.probe import interfaces
from nftui.capture.probe.frames import FrameSource
from nftui.capture.probe.interface_source import InterfaceSettings, opened
from nftui.capture.probe.pcap_files import PcapFiles
from nftui.engine.account import dicts, integer
from nftui.errors import NftuiError
from nftui.units import address_text

OCTETS = 20_000_000
"""Of the files together, at most."""
LONGEST_S = 3600.0
"""After which it ends by itself."""
SNAP = (1 << 17) - 256
"""Octets taken of a packet: those that the kernel joined may have 64 KiB and more."""
RING_OCTETS = 8 << 20
WAIT_S = 0.1
AT_ONCE = 16
"""Blocks that are written between two looks whether it is over."""
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6", 132: "sctp"}
WITH_PORTS = (6, 17, 132)
TCP, OVER = 6, 0x05
"""Of TCP's flags FIN and RST, which end a connection."""


class PacketCapture:
    """A capture under way, on a thread of its own. What it says may be read from any thread.

    Attributes:
        interface: Where packets are taken.
        filter: Which, as tcpdump has it.
        problem: Why there is nothing, or nothing at present; empty where all is well.
        packets: Taken so far.
        octets: Of the files.
        dropped: Packets for which the kernel had no room.
        files: Those there are, the one with the older packets first.
        running: Whether more may come.
    """

    def __init__(self, interface: str, filter: str, stem: Path, *, octets: int = OCTETS, longest_s: float = LONGEST_S) -> None:
        """Begin.

        Args:
            interface: Its name.
            filter: As tcpdump has it.
            stem: The path of the files, without `-1.pcap`.
            octets: Of the files together, at most.
            longest_s: After which it ends by itself.
        """
        self.interface, self.filter, self.problem = interface, filter, ""
        self.packets = self.octets = self.dropped = 0
        self.files: tuple[Path, ...] = ()
        self.running = True
        self.most = octets
        self._stem, self._until = stem, time.monotonic() + longest_s
        self._stop = threading.Event()
        # What opening needs is put in force on that thread alone.
        self._thread = threading.Thread(target=self._run, name="nftui-capture", daemon=True)
        self._thread.start()

    def stop(self, wait_s: float = 2.0) -> None:
        """End it, and wait until the files are complete."""
        self._stop.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        try:
            self._capture()
        except NftuiError as error:
            self.problem = str(error)
        except OSError as error:
            self.problem = f"{error.filename or self._stem}: {error.strerror}"
        except Exception as error:  # noqa: BLE001  the edge of a thread: whatever it was, the screen says so
            self.problem = f"{type(error).__name__}: {error}"
        finally:
            self.running = False

    def _capture(self) -> None:
        source = opened(self.interface, InterfaceSettings(filter=self.filter, snap=SNAP, ring_octets=RING_OCTETS))
        try:
            files = PcapFiles(self._stem, interfaces.find(self.interface).link, self.most)
            try:
                ending = False
                while not ending:
                    ending = self._stop.is_set() or time.monotonic() >= self._until
                    # At the end what came until now is taken, and no more.
                    select.select([source.fileno()], [], [], 0.0 if ending else WAIT_S)
                    for _ in range(AT_ONCE):
                        if (block := source.take()) is None:
                            break
                        files.write(block)
                    self._tell(source, files)
            finally:
                files.close()
                if not files.frames:
                    self.octets, self.files = 0, ()
                    for path in files.paths:
                        path.unlink(missing_ok=True)
        finally:
            source.close()

    def _tell(self, source: FrameSource, files: PcapFiles) -> None:
        self.packets, self.octets, self.files = files.frames, files.octets, tuple(files.paths)
        self.dropped, self.problem = source.counts.dropped, source.problem


def filter_of(flow: Mapping[str, Any]) -> str | None:
    """Return the filter for the packets of a flow record, both directions; None where it has no addresses.

    Of a flow inside a tunnel these are the packets of the tunnel: a filter doesn't look into it. A TCP connection that is over says
    nothing any more, and its client comes back from another port: of it only the smaller port is asked for, which is the service's.
    """
    ends = [flow.get(f"{side}_address") for side in ("source", "destination")]
    outer = [flow.get(f"outer_{side}_address") for side in ("source", "destination")]
    if all(isinstance(one, bytes) for one in outer):
        return " and ".join(f"host {address_text(one)}" for one in outer if isinstance(one, bytes))
    if not all(isinstance(one, bytes) for one in ends):
        return None
    protocol = flow.get("protocol")
    words = [f"host {address_text(one)}" for one in ends if isinstance(one, bytes)]
    if protocol in WITH_PORTS:
        ports = [port for side in ("source", "destination") if (port := integer(flow.get(f"{side}_port")))]
        over = protocol == TCP and integer(flow.get("tcp_flags")) & OVER
        words += [f"port {port}" for port in (sorted(ports)[:1] if over else ports)]
    if isinstance(protocol, int):
        six = ":" in words[0]
        words.insert(0, PROTOCOLS.get(protocol) or f"{'ip6' if six else 'ip'} proto {protocol}")
    return " and ".join(words)


def interface_of(flow: Mapping[str, Any], status: dict[str, Any] | None) -> str:
    """Return the interface here on which a flow was seen; empty where none of the probes saw it."""
    exporter = flow.get("exporter_address")
    address = address_text(exporter) if isinstance(exporter, bytes) else ""
    for one in dicts((status or {}).get("probes")):
        same = one.get("address") == address and integer(one.get("domain")) == flow.get("observation_domain")
        if same and one.get("kind") != "kernel" and isinstance(one.get("source"), str):
            return str(one["source"])
    return ""
