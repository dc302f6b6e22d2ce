"""Connection tracking as a source of flows: connections that the kernel forgets, and those that it has.

A router or firewall counts each connection already; with this it needs no look at packets. A connection becomes a flow when the
kernel forgets it, which is some time after its last packet, and both of its directions are rows.

Source: netlink(7); linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h; Documentation/networking/nf_conntrack-sysctl.rst.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture import biflow
from nftui.capture.batch import Columns, constant
from nftui.capture.internet import TCP
from nftui.capture.layouts import BACK
from nftui.capture.probe import rights
from nftui.capture.probe.beginnings import Beginnings
from nftui.capture.probe.conntrack_messages import DELETED, NEW, SPARE, Connections, ConntrackReader
from nftui.capture.probe.flows import Labels
from nftui.capture.sets import Integers
from nftui.errors import InterfaceError
from nftui.schema import COLUMNS

NAME = "conntrack"
RECEIVE_BUFFER = 32 << 20
"""Octets of events that the kernel keeps until they are taken."""
BUFFER = 1 << 20
DATAGRAM = 1 << 16
"""The kernel sends no longer ones."""
ANSWER_S = 5.0
"""The kernel answers at once."""
_NETFILTER, _CONNTRACK, _GET, _GROUP_DESTROY = 12, 1, 1, 1 << 2
_REQUEST, _DUMP = 0x001, 0x300
_FORCE_BUFFER, _SOL_NETLINK, _JOIN, _LEAVE, _NUMBER_NEW = 33, 270, 1, 2, 1
_LOOK_US = 10_000_000
"""Microseconds between looks at what the kernel is set to."""
_IDLE, _ENDED = 1, 3
_FIN_WAIT = 4
"""The first of TCP's states in which one side has ended."""
_SETTINGS = "/proc/sys/net/netfilter/nf_conntrack_"


@dataclass(slots=True)
class ConntrackCounts:
    """What came from the kernel.

    Attributes:
        connections: That ended.
        lost: That ended while the kernel had no room to say so.
        without_counters: Of which octets and packets are not known: accounting was off when they began.
        unread: Messages that could not be read.
    """

    connections: int = 0
    lost: int = 0
    without_counters: int = 0
    unread: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class Conntrack:
    """The connections of the network namespace that it is made in. Used from one thread.

    Connections that were there before are mostly not reported when they end: the kernel does so only for those that began
    while somebody listened, unless `nf_conntrack_events` is 1.

    Attributes:
        name: `conntrack`.
        counts: Kept up to date by `take`.
        problem: What is not as it should be and how to mend it, such as that nothing is counted; empty where all is well.
    """

    def __init__(self, labels: Labels | None = None, *, receive_buffer: int = RECEIVE_BUFFER) -> None:
        """Begin to listen.

        Args:
            labels: What all flows have in common.
            receive_buffer: Octets of events that the kernel keeps until they are taken.
        Raises:
            InterfaceError: It is not permitted, or the kernel has no connection tracking; the message says how to mend it.
        """
        self.name, self.problem, self.counts = NAME, "", ConntrackCounts()
        self._labels = labels or Labels()
        self._reader = ConntrackReader()
        self._octets = bytearray(BUFFER + SPARE)
        self._looked = 0
        self._beginnings: Beginnings | None = None
        with rights.raised():
            self._socket = _opened(_GROUP_DESTROY)
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _FORCE_BUFFER, receive_buffer)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.setblocking(False)
        self._look(_now())

    def fileno(self) -> int:
        """Return what becomes readable when connections have ended."""
        return self._socket.fileno()

    def take(self) -> pl.DataFrame | None:
        """Return the connections that ended since, as flows; None for none. There may be more after a full megabyte of them."""
        now = _now()
        if now - self._looked >= _LOOK_US:
            self._look(now)
        last = self._receive()
        if not last:
            return None
        found = self._reader.read(self._octets, last)
        began, ended = found.chosen(NEW), found.chosen(DELETED)
        if began.size and self._beginnings is not None:
            self._beginnings.note(began.number("id"), now)
        self.counts.unread = self._reader.unread
        self.counts.connections += ended.size
        self.counts.without_counters += int((ended.number("packets") < 0).sum())
        return self._flows(ended, now, running=False) if ended.size else None

    def running(self) -> pl.DataFrame | None:
        """Return the connections that there are now, as flows that have not ended; None for none.

        Raises:
            InterfaceError: The kernel refuses.
        """
        with rights.raised(), _opened(0) as asking:
            asking.settimeout(ANSWER_S)
            kind, now = _CONNTRACK << 8 | _GET, _now()
            request = struct.pack("=IHHIIBBH", 20, kind, _REQUEST | _DUMP, 1, 0, socket.AF_UNSPEC, 0, 0)
            frames = []
            try:
                asking.sendto(request, (0, 0))
                reader = ConntrackReader()
                while not (reader.done or reader.code):
                    found = self._answer(asking, reader)
                    if found.size:
                        frames.append(self._flows(found, now, running=True))
            except OSError as error:
                raise _refused(error) from error
        if reader.code:
            raise _refused(OSError(reader.code, os.strerror(reader.code)))
        return pl.concat(frames, how="diagonal") if frames else None

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self.close()

    def _receive(self) -> int:
        """Take what is there, one message behind the other; return how many octets."""
        last = 0
        with memoryview(self._octets) as view:
            while last <= BUFFER - DATAGRAM:
                try:
                    last += self._socket.recv_into(view[last:BUFFER])
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    self.counts.lost = max(_lost(self._socket), self.counts.lost + 1)
        return last

    @staticmethod
    def _answer(asking: socket.socket, reader: ConntrackReader) -> Connections:
        """Receive part of the table: some datagrams, of which the last says that it is the last."""
        octets, last = bytearray(BUFFER + SPARE), 0
        with memoryview(octets) as view:
            last = asking.recv_into(view[:BUFFER])
            asking.setblocking(False)
            with suppress(BlockingIOError):
                while last <= BUFFER - DATAGRAM:
                    last += asking.recv_into(view[last:BUFFER])
            asking.settimeout(ANSWER_S)
        return reader.read(octets, last)

    def _look(self, now: int) -> None:
        """See whether the kernel is set to tell and to count."""
        self._looked = now
        self._see_beginnings(told=_setting("timestamp") != 0)
        if _setting("events") == 0:
            self.problem = "the kernel doesn't tell when connections end: sysctl -w net.netfilter.nf_conntrack_events=1"
        elif _setting("acct") == 0:
            self.problem = (
                "connections come without octets and packets: sysctl -w net.netfilter.nf_conntrack_acct=1, which holds for those "
                "that begin afterwards"
            )
        else:
            self.problem = ""

    def _see_beginnings(self, *, told: bool) -> None:
        """Listen to connections that begin, too, unless the kernel tells their beginnings itself when they end."""
        if told == (self._beginnings is None):
            return
        with rights.raised(), suppress(OSError):
            self._socket.setsockopt(_SOL_NETLINK, _LEAVE if told else _JOIN, _NUMBER_NEW)
            self._beginnings = None if told else Beginnings()

    def _flows(self, found: Connections, now: int, *, running: bool) -> pl.DataFrame:
        """Make flows of connections."""
        begun = found.number("start_ns") // 1000
        if self._beginnings is not None:
            begun = np.where(begun > 0, begun, self._beginnings.of(found.number("id"), forget=not running))
        return _flows(found, begun, now, self._labels, running=running)


def _flows(found: Connections, start: Integers, now: int, labels: Labels, *, running: bool) -> pl.DataFrame:
    """Make flows of connections: a row for each direction in which there was a packet; that of the reply is `reverse`."""
    stop = found.number("stop_ns") // 1000
    end = np.where(stop > 0, stop, now)
    columns: Columns = {
        "source_address": (found.addresses["source"], None),
        "destination_address": (found.addresses["destination"], None),
        "flow_start": (np.where(start > 0, np.minimum(start, end), end), None),
        "flow_end": (end, None),
        "received": constant("received", now, 1).new_from_index(0, found.size),
        "ip_version": (np.where(found.six, 6, 4), None),
        "client_by": constant("client_by", "first", found.size),
        **_numbers(found),
        **_translated(found),
    }
    if not running:
        ended = (found.number("protocol") == TCP) & (found.number("tcp_state") >= _FIN_WAIT)
        columns["flow_end_reason"] = np.where(ended, _ENDED, _IDLE), None
    for name in ("exporter_address", "observation_domain", "protocol_version"):
        if getattr(labels, name) is not None:
            columns[name] = constant(name, getattr(labels, name), found.size)
    frames, _ = biflow.frames(columns, found.size)
    joined = pl.concat(frames, how="diagonal")
    return joined.select([column.name for column in COLUMNS if column.name in joined.columns])


def _numbers(found: Connections) -> Columns:
    """Return the numbers that connections have, and under `BACK` those of the reply.

    A zone keeps connections with the same addresses apart, as a VRF does.
    """
    columns: Columns = {}
    for name, column in (
        ("protocol", "protocol"), ("source_port", "source_port"), ("destination_port", "destination_port"),
        ("icmp_type", "icmp_type"), ("icmp_code", "icmp_code"), ("octets", "octets"), ("packets", "packets"),
        ("id", "connection_id"), ("zone", "ingress_vrf"), ("reply_octets", BACK + "octets"),
        ("reply_packets", BACK + "packets"), ("reply_icmp_type", BACK + "icmp_type"), ("reply_icmp_code", BACK + "icmp_code"),
    ):  # fmt: skip
        values = found.number(name)
        known = values >= 0
        if known.any():
            columns[column] = values, None if known.all() else known
    return columns


def _translated(found: Connections) -> Columns:
    """Return what addresses and ports are translated to: the reply goes to the source, and comes from the destination."""
    sides = (("source", "reply_destination"), ("destination", "reply_source"))
    ported = np.isin(found.number("protocol"), _PORTED)
    known = found.addresses["reply_source"].any(axis=1) & found.addresses["reply_destination"].any(axis=1)
    other: npt.NDArray[np.bool_] = np.zeros(found.size, np.bool_)
    for side, reply in sides:
        other |= (found.addresses[side] != found.addresses[reply]).any(axis=1)
        other |= ported & (found.number(f"{side}_port") != found.number(f"{reply}_port"))
    other &= known
    if not other.any():
        return {}
    columns: Columns = {}
    for side, reply in sides:
        port: Integers = found.number(f"{reply}_port")
        columns[f"post_nat_{side}_address"] = found.addresses[reply], other
        columns[f"post_nat_{side}_port"] = port, other & (port >= 0)
    return columns


def _opened(groups: int) -> socket.socket:
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
        try:
            opened.bind((0, groups))
        except OSError:
            opened.close()
            raise
    except OSError as error:
        raise _refused(error) from error
    return opened


def _refused(error: OSError) -> InterfaceError:
    if error.errno in (errno.EPERM, errno.EACCES):
        return InterfaceError(
            NAME,
            "not permitted to ask for connections: that needs CAP_NET_ADMIN. Run it as root; or in a systemd unit with "
            "AmbientCapabilities=CAP_NET_ADMIN",
            refused=True,
        )
    if error.errno in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL):
        return InterfaceError(NAME, "the kernel has no connection tracking at hand: modprobe nf_conntrack_netlink")
    return InterfaceError(NAME, error.strerror or str(error))


def _lost(listening: socket.socket) -> int:
    """Return how many messages the kernel dropped because a socket's buffer was full; 0 where it does not say."""
    inode = str(os.fstat(listening.fileno()).st_ino)
    with suppress(OSError):
        for line in Path("/proc/thread-self/net/netlink").read_text("ascii").splitlines():
            words = line.split()
            if words[-1:] == [inode]:
                return int(words[8])
    return 0


def _setting(name: str) -> int | None:
    try:
        return int(Path(_SETTINGS + name).read_text("ascii"))
    except (OSError, ValueError):
        return None


def _now() -> int:
    return time.time_ns() // 1000


_PORTED = (6, 17, 33, 132, 136)
"""Protocols with ports: TCP, UDP, DCCP, SCTP, UDP-Lite."""
