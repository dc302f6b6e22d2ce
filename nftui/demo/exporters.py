"""The exporters of the simulated network: flows in, real datagrams over loopback out."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nftui.demo.conversations import LONGEST, MINUTE, SECOND, Conversations
from nftui.demo.hosts import Hosts
from nftui.demo.meter import Meter
from nftui.demo.network import Exporter, Network, load_network
from nftui.demo.queue import BURST, ReceiveQueue
from nftui.errors import ConfigError, NftuiError
from nftui.export import ipfix, netflow5, netflow9, sflow
from nftui.export.netflow import ICMP, ICMP6, Columns, Datagrams

DEFAULT_HISTORY = 15
"""Minutes."""
SMALLEST_JUMP, LARGEST_JUMP = 2 * SECOND, 30 * SECOND
"""When the clock goes back or ahead by more from one step to the next, it was set, or the machine slept."""
RECEIVER_SECONDS = 10.0
PARENT_SECONDS = 0.5
UPTIME_DAYS = (2, 40)
"""sysUptime of the exporters at start lies between."""


@dataclass
class Sent:
    """What an exporter has sent: datagrams with those of templates, packets and octets as its flows count them.

    Of sFlow a sample is a flow of one packet, with the octets of its frame.
    """

    flows: int = 0
    packets: int = 0
    octets: int = 0
    datagrams: int = 0


class Stream:
    """One exporter's datagrams: its clock, its numbering, its templates, its socket.

    Args:
        exporter: As described.
        boot: When it started, microseconds.
        family: Of the socket.
        chance: Chooses the packets that are sampled.
    """

    def __init__(self, exporter: Exporter, boot: int, family: int, chance: np.random.Generator) -> None:
        self.exporter, self.boot, self.sent, self._chance = exporter, boot, Sent(), chance
        self._sequence = 0
        self._templates_at: int | None = None
        self.socket = _bound(exporter.address, family)

    def encode(self, columns: Columns, exported: NDArray[np.int64]) -> Datagrams:
        """Encode flows in the exporter's protocol, counting them as sent, with templates where they are due."""
        if self.exporter.protocol == "sflow":
            return self._sampled(columns, exported)
        due = len(exported) > 0 and self._due(int(exported[0]))
        domain, sequence = self.exporter.observation_domain, self._sequence
        if self.exporter.protocol == "v5":
            made = netflow5.encode(columns, exported, domain=domain, boot=self.boot, sequence=sequence)
        elif self.exporter.protocol == "v9":
            made = netflow9.encode(columns, exported, domain=domain, boot=self.boot, sequence=sequence, templates=due)
        else:
            made = ipfix.encode(columns, exported, domain=domain, sequence=sequence, templates=due)
        self._sequence = made.sequence
        self.sent.flows += len(exported)
        self.sent.packets += int(columns["packets"].sum())
        self.sent.octets += int(columns["octets"].sum())
        self.sent.datagrams += len(made.payloads)
        return made

    def _sampled(self, columns: Columns, exported: NDArray[np.int64]) -> Datagrams:
        """Encode samples of the packets of flows, each chosen by itself."""
        rate = self.exporter.sampling
        row = np.repeat(np.arange(len(exported)), self._chance.binomial(columns["packets"], 1 / rate))
        chosen = {name: values[row] for name, values in columns.items()}
        made = sflow.encode(
            chosen,
            exported[row],
            agent=IPv4Address(self.exporter.address).packed,
            boot=self.boot,
            sequence=self._sequence,
            samples=self.sent.flows,
            sampling=rate,
        )
        self._sequence = made.sequence
        self.sent.flows += len(row)
        self.sent.packets += len(row)
        self.sent.octets += int(sflow.frame_lengths(chosen).sum())
        self.sent.datagrams += len(made.payloads)
        return made

    def _due(self, moment: int) -> bool:
        last = self._templates_at
        if last is not None and 0 <= moment - last < self.exporter.template_interval * SECOND:
            return False
        self._templates_at = moment
        return True


class DemoExporters:
    """Sends the traffic of a simulated network.

    Args:
        network: What to simulate.
        target: Host and UDP port of the collector, on this machine.
        seed: The same seed and the same clock give the same datagrams.
        clock: Seconds since 1970.

    Attributes:
        sent: What each exporter has sent, by name.
    """

    def __init__(self, network: Network, target: tuple[str, int], *, seed: int = 1, clock: Callable[[], float] = time.time) -> None:
        self._network, self._clock = network, clock
        family, self._target = _resolved(*target)
        now = int(clock())
        self._hosts = Hosts(network)
        self._conversations = Conversations(network, self._hosts, seed, time.localtime(now).tm_gmtoff)
        self._queue = ReceiveQueue(target[1])
        days = np.random.default_rng([seed, now]).uniform(*UPTIME_DAYS, len(network.exporters))
        boots = now * SECOND - (days * 86_400_000).astype(np.int64) * 1000
        pairs = zip(network.exporters, boots.tolist(), strict=True)
        self._streams = [
            Stream(exporter, boot + _offset(exporter), family, np.random.default_rng([seed, place]))
            for place, (exporter, boot) in enumerate(pairs)
        ]
        self._meter = Meter(network, self._hosts)
        self._until = self._minute = 0

    @property
    def sent(self) -> dict[str, Sent]:
        """What each exporter has sent so far, by name."""
        return {stream.exporter.name: stream.sent for stream in self._streams}

    def wait_for_receiver(self) -> None:
        """Wait until the collector listens.

        Raises:
            NftuiError: It doesn't.
        """
        if not self._queue.wait_for_receiver(RECEIVER_SECONDS):
            raise NftuiError(f"no collector listens on UDP port {self._target[1]}; start one there, then the demo")

    def send_history(self, minutes: int = DEFAULT_HISTORY, stop: threading.Event | None = None) -> None:
        """Send what the last minutes would have brought, as fast as the collector takes it.

        sFlow has no part in it: its samples have no times but that of their receipt, and all of them would be of one moment.
        """
        now = int(self._clock())
        self._begin(now - minutes * MINUTE)
        for until in range(now - minutes * MINUTE + MINUTE, now + 1, MINUTE):
            if stop is not None and stop.is_set():
                return
            self._advance(until, past=True)

    def step(self) -> None:
        """Send the flows that have ended since the last step, to the last whole second."""
        now = int(self._clock())
        if not self._until:
            self._begin(now)
        jump = now * SECOND - self._until
        if not -SMALLEST_JUMP < jump < LARGEST_JUMP:
            for stream in self._streams:
                stream.boot += jump  # sysUptime goes on where the clock does not
            self._begin(now)
        self._advance(now)

    def run(self, stop: threading.Event) -> None:
        """Send live traffic, once a second, until `stop` is set."""
        deadline = time.monotonic()
        while not stop.is_set():
            self.step()
            deadline = max(deadline + 1, time.monotonic())
            stop.wait(deadline - time.monotonic())

    def close(self) -> None:
        """Close the sockets."""
        self._queue.close()
        for stream in self._streams:
            stream.socket.close()

    def _begin(self, since: int) -> None:
        """Forget all flows and start anew at a second, with the conversations that go on then."""
        self._meter = Meter(self._network, self._hosts)
        self._minute = int(since - LONGEST) // MINUTE
        self._until = since * SECOND
        self._generate(since)
        self._meter.take(self._until)

    def _generate(self, until: int) -> None:
        while self._minute * MINUTE < until:
            self._meter.add(self._conversations.minute(self._minute))
            self._minute += 1

    def _advance(self, until: int, past: bool = False) -> None:
        """Send all flows that end before a second, those of exporters that tell times where that is in the past."""
        if until * SECOND <= self._until:
            return
        self._generate(until)
        self._until = until * SECOND
        flows = self._meter.take(self._until)
        queued: list[tuple[int, int, bytes]] = []
        for position, stream in enumerate(self._streams):
            if past and stream.exporter.protocol == "sflow":
                continue
            seen = flows[flows["exporter"] == position]
            shift = _offset(stream.exporter)
            exported = (seen["end"] // SECOND + 1) * SECOND
            made = stream.encode(columns(seen, self._hosts, shift), exported + shift)
            queued += [
                (moment - shift, position, octets) for moment, octets in zip(made.moments.tolist(), made.payloads, strict=True)
            ]
        queued.sort(key=lambda each: each[:2])
        self._send(queued)

    def _send(self, queued: list[tuple[int, int, bytes]]) -> None:
        waiting = iter(queued)
        while burst := list(islice(waiting, BURST)):
            self._queue.wait_for_room()
            for _, position, octets in burst:
                self._streams[position].socket.sendto(octets, self._target)


def columns(flows: NDArray[np.void], hosts: Hosts, shift: int) -> Columns:
    """Return flows of one exporter as columns of `schema.py`, their times shifted by some microseconds."""
    exporter = flows["exporter"]
    source, destination, six = flows["source"], flows["destination"], flows["six"].astype(np.int64)
    icmp = np.isin(flows["protocol"], (ICMP, ICMP6))
    type_and_code = np.where(icmp, flows["destination_port"], 0)
    same = ("octets", "packets", "source_port", "destination_port", "protocol", "tcp_flags", "tos")
    return {name: flows[name] for name in same} | {
        "flow_start": flows["start"] + shift,
        "flow_end": flows["end"] + shift,
        "source_address": hosts.address[source, six],
        "destination_address": hosts.address[destination, six],
        "next_hop": hosts.next_hop[exporter, destination, six],
        "ingress_interface": hosts.ingress[exporter, source],
        "egress_interface": hosts.ingress[exporter, destination],
        "source_as": hosts.asn[source],
        "destination_as": hosts.asn[destination],
        "source_mask": hosts.mask[source, six],
        "destination_mask": hosts.mask[destination, six],
        "icmp_type": type_and_code >> 8,
        "icmp_code": type_and_code & 0xFF,
        "flow_direction": np.zeros(len(flows), np.uint8),
        "flow_end_reason": flows["reason"],
    }


def run_process(host: str, port: int, network_path: str | None, seed: int, minutes: int, parent: int | None = None) -> int:
    """Be the simulated network: history, then live traffic until SIGTERM or SIGINT, or until the parent process is gone.

    Args:
        host: The collector's address.
        port: Its UDP port.
        network_path: A TOML file; None for the network that comes with nftui.
        seed: The same seed gives the same traffic.
        minutes: Of history, 0 for none.
        parent: The process to end with; None for the one that is the parent now.
    Returns:
        The exit status: 0, or 1 after one line on stderr.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_watch_parent, args=(parent or os.getppid(), stop), daemon=True).start()
    try:
        exporters = DemoExporters(load_network(Path(network_path) if network_path else None), (host, port), seed=seed)
        exporters.wait_for_receiver()
        exporters.send_history(minutes, stop)
        exporters.run(stop)
        exporters.close()
    except (NftuiError, OSError) as error:
        print(f"nftui: {error}", file=sys.stderr)
        return 1
    return 0


def _watch_parent(parent: int, stop: threading.Event) -> None:
    while os.getppid() == parent and not stop.wait(PARENT_SECONDS):
        pass
    stop.set()


def _offset(exporter: Exporter) -> int:
    return int(exporter.clock_offset * 1000) * 1000


def _resolved(host: str, port: int) -> tuple[int, Any]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise ConfigError(f"{host!r} is no address of a collector: {error}") from error
    return family, address


def _bound(address: str, family: int) -> socket.socket:
    """Return a UDP socket that sends from an address, or from 127.0.0.1 where the system refuses that one."""
    sender = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        try:
            sender.bind((address, 0))
        except OSError:
            sender.bind(("127.0.0.1", 0))
    return sender
