"""Owners: the processes of this host that flows belong to, by the kernel's lists of sockets and the files that processes hold.

A flow is told when it has ended, and its socket may be gone by then. So who looks now and then remembers what it saw. A socket that
lived between two looks only is not known, nor is one of another network namespace, or of another user where that may not be seen.

Source: Linux, Documentation/networking/proc_net_tcp.rst; proc(5).
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from nftui.capture.probe.interfaces import interfaces
from nftui.schema import POLARS
from nftui.units import MAPPED_PREFIX, SECOND, address_octets

TABLES = (("tcp", 6), ("tcp6", 6), ("udp", 17), ("udp6", 17), ("udplite", 136), ("udplite6", 136))
"""Lists of sockets, and the protocol of each."""
PAUSE_S = 1.0
SHARE = 40
"""Times as long as a look took in CPU time passes at least until the next."""
MOST, HOLD = 50_000, 3600 * SECOND
"""Sockets that are remembered, and for how long after they are gone."""
SLACK = 2 * SECOND
"""That a flow may begin after its socket was seen last: between two looks there is a second."""
TRIES = 3
"""Looks after which a socket whose owner wasn't found is not looked for again."""
NOBODY = b"\0" * 16
ANY = (NOBODY, MAPPED_PREFIX + b"\0" * 4)
"""The address of a socket that listens on all of them."""
_LINE = re.compile(
    rb"^ *\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) "
    rb"[0-9A-F]{2} \S+ \S+ \S+ +\d+ +\d+ (\d+) ",
    re.MULTILINE,
)
_KEYS = ("protocol", "source_address", "source_port", "destination_address", "destination_port")
_TIMES = ("flow_start", "flow_end")


class Ends(NamedTuple):
    """What tells a socket from others: octets and port of both ends; `NOBODY` and 0 where it has no other end."""

    protocol: int
    local: bytes
    local_port: int
    remote: bytes
    remote_port: int


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket that was seen.

    Attributes:
        owner: Name and id of its process; empty where it was not found.
        since: The last look at which it wasn't there yet, microseconds since 1970; 0 where it was from the first on.
        last: When it was seen last.
    """

    owner: str
    since: int
    last: int


class Owners:
    """Remembers sockets and their processes. `look` is for one thread, everything else for any."""

    def __init__(self, proc: Path = Path("/proc"), clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        """Begin without having looked.

        Args:
            proc: Where the kernel lists processes.
            clock: Returns the present in microseconds since 1970.
        """
        self._proc, self._clock = proc, clock
        self._seen: dict[Ends, Socket] = {}
        self._processes: dict[int, str] = {}
        self._tried: dict[int, int] = {}
        self._known, self._own, self._last = pl.DataFrame(schema=_SCHEMA), list[bytes](), 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Look each second from now on, less often where that costs much; nothing new where that is done already."""
        with self._lock:
            if self._thread is None:
                # A daemon: leaving the program doesn't wait for it.
                self._thread = threading.Thread(target=self._run, name="nftui-owners", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            began = time.thread_time()
            with suppress(Exception):  # the edge of a thread: what can't be read now may be at the next look
                self.look()
            time.sleep(max(PAUSE_S, SHARE * (time.thread_time() - began)))

    def look(self) -> None:
        """Take note of the sockets there are now."""
        now, listed = self._clock(), list(self._sockets())
        held = {inode for _, inode in listed}
        self._processes = {inode: name for inode, name in self._processes.items() if inode in held}
        self._tried = {inode: count for inode, count in self._tried.items() if inode in held}
        wanted = {inode for inode in held if inode not in self._processes and self._tried.get(inode, 0) < TRIES}
        if wanted:
            self._processes |= self._holders(wanted)
            for inode in wanted - self._processes.keys():
                self._tried[inode] = self._tried.get(inode, 0) + 1
        for ends, inode in listed:
            self._note(ends, self._processes.get(inode, ""), now)
        self._forget(now)
        rows = [(*ends, one.owner, one.since, one.last + SLACK) for ends, one in self._seen.items() if one.owner]
        known = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
        own = {octets for one in interfaces() for address in one.addresses if (octets := address_octets(address)) is not None}
        own |= set(known.filter(~pl.col("local").is_in(ANY))["local"].unique().to_list())
        with self._lock:
            self._known, self._own, self._last = known, sorted(own), now

    def _note(self, ends: Ends, owner: str, now: int) -> None:
        before = self._seen.pop(ends, None)  # those seen last stand last
        if before is None or (owner and before.owner and owner != before.owner):
            self._seen[ends] = Socket(owner, self._last, now)
        else:
            self._seen[ends] = replace(before, owner=owner or before.owner, last=now)

    def _forget(self, now: int) -> None:
        over = len(self._seen) - MOST
        old = [ends for place, (ends, one) in enumerate(self._seen.items()) if place < over or one.last < now - HOLD]
        for ends in old:
            del self._seen[ends]

    def _sockets(self) -> Iterable[tuple[Ends, int]]:
        for table, protocol in TABLES:
            try:
                octets = (self._proc / "net" / table).read_bytes()
            except OSError:
                continue
            for local, local_port, remote, remote_port, inode in _LINE.findall(octets):
                # What has no inode belongs to nobody any more.
                if inode != b"0":
                    ends = Ends(protocol, _address(local), int(local_port, 16), _address(remote), int(remote_port, 16))
                    yield ends if ends.remote_port else ends._replace(remote=NOBODY), int(inode)

    def _holders(self, wanted: set[int]) -> dict[int, str]:
        """Return the names of the processes that hold some sockets, as far as they may be seen."""
        found: dict[int, str] = {}
        for folder in self._proc.iterdir():
            if folder.name.isdecimal():
                for inode in wanted.intersection(_held(f"{folder}/fd")):
                    with suppress(OSError):
                        found.setdefault(inode, f"{self._name(folder.name)} {folder.name}")
            if len(found) == len(wanted):
                break
        return found

    def _name(self, process: str) -> str:
        return (self._proc / process / "comm").read_text(errors="replace").strip() or "?"

    def of(self, flows: pl.DataFrame) -> pl.Series | None:
        """Return the owners of flow records.

        Args:
            flows: Records, with columns of the schema; times are corrected.
        Returns:
            A text a record, null where its owner is not known; None where none is.
        """
        with self._lock:
            sockets, own, last = self._known, self._own, self._last
        if sockets.is_empty() or flows.is_empty() or not {*_KEYS, *_TIMES} <= set(flows.columns):
            return None
        records = flows.select(*_KEYS, *(pl.col(name).cast(pl.Int64) for name in _TIMES)).with_row_index("row")
        # Nothing is known of older ones.
        records = records.filter(pl.col("flow_end") >= last - HOLD)
        found = pl.concat([_matching(records, sockets), _open_ended(records, sockets, own)])
        if found.is_empty():
            return None
        found = found.unique("row", keep="first", maintain_order=True)
        rows = pl.DataFrame({"row": pl.int_range(flows.height, dtype=pl.UInt32, eager=True)})
        return rows.join(found, "row", "left", maintain_order="left")["owner"]


_SCHEMA: dict[str, Any] = {
    "protocol": POLARS["protocol"], "local": pl.Binary, "local_port": POLARS["source_port"], "remote": pl.Binary,
    "remote_port": POLARS["source_port"], "owner": pl.String, "since": pl.Int64, "until": pl.Int64,
}  # fmt: skip


def _held(folder: str) -> Iterator[int]:
    """Yield the sockets among the files that a process holds, as far as they may be seen."""
    with suppress(OSError), os.scandir(folder) as files:
        for file in files:
            with suppress(OSError):
                link = os.readlink(file.path)  # noqa: PTH115  a path for each file would take twice as long
                if link.startswith("socket:["):
                    yield int(link[8:-1])


_WITHIN = (pl.col("flow_end") >= pl.col("since")) & (pl.col("flow_start") <= pl.col("until"))
_BOTH_WAYS = (("source", "destination"), ("destination", "source"))


def _matching(records: pl.DataFrame, sockets: pl.DataFrame) -> pl.DataFrame:
    """Return rows and owners by both ends."""
    right = ["protocol", "local", "local_port", "remote", "remote_port"]
    found = []
    for near, far in _BOTH_WAYS:
        left = ["protocol", *(f"{side}_{what}" for side in (near, far) for what in ("address", "port"))]
        found.append(records.join(sockets, left_on=left, right_on=right).filter(_WITHIN).select("row", "owner"))
    return pl.concat(found)


def _open_ended(records: pl.DataFrame, sockets: pl.DataFrame, own: list[bytes]) -> pl.DataFrame:
    """Return rows and owners by the one end of sockets that talk to anybody; `own` are the addresses of this host."""
    sockets = sockets.filter(pl.col("remote_port") == 0)
    found = []
    for near, _ in _BOTH_WAYS:
        here = pl.col(f"{near}_address")
        meant = (pl.col("local") == here) | (pl.col("local").is_in(ANY) & here.is_in(own))
        joined = records.join(sockets, left_on=["protocol", f"{near}_port"], right_on=["protocol", "local_port"])
        found.append(joined.filter(meant & _WITHIN).select("row", "owner"))
    return pl.concat(found)


def _address(text: bytes) -> bytes:
    """Return an address as the store has it: the kernel writes words of 32 bits, as numbers in the machine's order."""
    octets = b"".join(int(text[place : place + 8], 16).to_bytes(4, sys.byteorder) for place in range(0, len(text), 8))
    return octets if len(octets) == 16 else MAPPED_PREFIX + octets
