"""Asks exporters for the names and speeds of their interfaces: a niced child of the collector, which ends with it.

It shares nothing with the collector but files: who is known stands in `status.json`, what was told goes into
`interfaces.snmp.json`, and what is worth an event into its account, `snmp.json`. Nobody is asked whom the configuration doesn't
list: who sends a datagram with a forged address would otherwise be sent the community.

    python -m nftui.engine.snmp ROOT PARENT      (the settings stand in its standard input, as JSON)
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from nftui.config import SnmpSettings
from nftui.engine.child import die_with_parent
from nftui.engine.files import ASKED, ASKER, replace_file

STATUS = "status.json"
LOOK_S = 2.0
"""Between two looks at who is known, and between two writings."""
AGAIN_S = 600.0
"""After which one is asked again that did not answer, or not to the end; sooner where the interval is shorter."""
AT_ONCE = 32
"""Exporters that are asked at a time."""
MOST_OCTETS = 8 << 20
"""Of what is known of all; what is beyond has no names. Readers take files of twice that."""
STATUS_OCTETS = 16 << 20
EVENTS, EVENTS_AT_ONCE, EVENTS_PAUSE_S = 50, 3, 60.0
MOST_REMEMBERED = 50_000
"""Addresses of which something is remembered, before all is forgotten: those of forged datagrams need not be the same twice."""
NICENESS = 15
log = logging.getLogger(__name__)

Interfaces = dict[str, dict[str, Any]]
Ask = Callable[[str, int, bytes], Awaitable[tuple[Interfaces, str]]]


class _Exporter(msgspec.Struct):
    address: str = ""


class _Status(msgspec.Struct):
    pid: int = 0
    exporters: list[_Exporter] = []


class Asker:
    """Asks those who may be asked, and writes down what they tell."""

    def __init__(self, root: Path, settings: SnmpSettings, collector: int, ask: Ask) -> None:
        """Take up what is known from before.

        Args:
            root: The data directory.
            settings: Whom to ask, and how.
            collector: Its process id: what another one's status says is of another time.
            ask: Asks one exporter, given its address, the port, and the community.
        """
        self._root, self._settings, self._collector, self._ask = root, settings, collector, ask
        self._networks = [ipaddress.ip_network(one) for one in settings.exporters]
        self._listed: dict[str, bool] = {}
        self._due: dict[str, float] = {}
        self._known: list[str] = []
        self._changed = True
        self._tables: dict[str, bytes] = self._earlier()
        self._counts: dict[str, int] = {}
        self._failing: set[str] = set()
        self._news: deque[str] = deque()
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self._number = 0
        self._tell_at = self._look_at = 0.0
        self._written: dict[str, Any] = {}

    async def run(self) -> None:
        """Ask, until cancelled."""
        asked: dict[asyncio.Task[tuple[Interfaces, str]], str] = {}
        waiting: deque[str] = deque()
        while True:
            if self._look():
                now, busy = time.monotonic(), set(asked.values())
                waiting = deque(one for one in self._known if one not in busy and self._due.get(one, now) <= now)
            while waiting and len(asked) < AT_ONCE:
                address = waiting.popleft()
                asked[asyncio.create_task(self._one(address))] = address
            if asked:
                done, _ = await asyncio.wait(asked, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    self.take(asked.pop(task), *task.result())
                if not asked and not waiting:
                    self._look_at = 0.0  # what the last of them told is not to wait
            else:
                await asyncio.sleep(LOOK_S)

    def may_be_asked(self, address: str) -> bool:
        """Return whether an exporter is listed, and is one host."""
        if address not in self._listed:
            if len(self._listed) > MOST_REMEMBERED:
                self._listed.clear()
            try:
                host = ipaddress.ip_address(address)
            except ValueError:
                self._listed[address] = False
            else:
                everyone = host.is_multicast or host.is_unspecified or int(host) == 2**32 - 1
                self._listed[address] = not everyone and any(host in network for network in self._networks)
        return self._listed[address]

    def take(self, address: str, interfaces: Interfaces, problem: str) -> None:
        """Keep what an exporter told; of one that could not tell all, what it told before, if that is anything.

        Args:
            address: The exporter's.
            interfaces: By index.
            problem: What was in the way.
        """
        before = self._tables.get(address)
        if interfaces and not (problem and before):
            table = msgspec.json.encode(interfaces)
            room = MOST_OCTETS - sum(len(one) for other, one in self._tables.items() if other != address)
            if len(table) > room:
                problem = problem or "there is no room for its interfaces beside those of the others"
            elif table != before:
                self._tables[address], self._changed = table, True
            self._counts[address] = len(interfaces) if len(table) <= room else 0
        elif not problem and before:
            del self._tables[address]
            self._changed = True
        if len(self._due) > MOST_REMEMBERED:
            self._due.clear()
        self._due[address] = time.monotonic() + min(self._settings.interval, AGAIN_S if problem else self._settings.interval)
        if problem and address not in self._failing:
            self._failing.add(address)
            self._news.append(f"{address}: its interfaces could not be asked for over SNMP: {problem}")
        elif not problem and address in self._failing:
            self._failing.discard(address)
            self._news.append(f"{address}: its interfaces could be asked for over SNMP again")

    async def _one(self, address: str) -> tuple[Interfaces, str]:
        try:
            return await self._ask(address, self._settings.port, self._settings.community.encode())
        except Exception as error:
            # The edge of a task: the others go on.
            log.exception("%s could not be asked", address)
            return {}, type(error).__name__

    def _look(self) -> bool:
        """See who is known now, and write what is new; return False where that was done just now."""
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_S
        self._see()
        self._report(now)
        self._write()
        return True

    def _see(self) -> None:
        try:
            with (self._root / STATUS).open("rb") as file:
                status = msgspec.json.decode(file.read(STATUS_OCTETS), type=_Status)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if status.pid == self._collector:
            self._known = list(dict.fromkeys(one.address for one in status.exporters if self.may_be_asked(one.address)))
            self._failing.intersection_update(self._known)

    def _report(self, now: float) -> None:
        """Make some news events, and the rest one: an exporter is no reason to push all other events out."""
        if not self._news or now < self._tell_at:
            return
        self._tell_at = now + EVENTS_PAUSE_S
        lines = [self._news.popleft() for _ in range(min(EVENTS_AT_ONCE, len(self._news)))]
        if self._news:
            lines.append(f"{len(self._news):,} more exporters don't answer over SNMP, or do so again")
            self._news.clear()
        for line in lines:
            self._number += 1
            self._events.append({"number": self._number, "time": time.time_ns() // 1000, "text": line})

    def _write(self) -> None:
        account = {
            "pid": os.getpid(),
            "listed": len(self._known),
            "answered": sum(address in self._counts for address in self._known),
            "failing": len(self._failing),
            "interfaces": sum(self._counts.get(address, 0) for address in self._known),
            "events": list(self._events),
        }
        try:
            if self._changed:
                tables = {address: msgspec.Raw(table) for address, table in self._tables.items()}
                replace_file(self._root / ASKED, msgspec.json.encode({"version": 1, "exporters": tables}))
                self._changed = False
            if account != self._written:
                replace_file(self._root / ASKER, msgspec.json.encode(account))
                self._written = account
        except OSError as error:
            log.warning("what was asked for can't be written, which is tried again: %s", error)

    def _earlier(self) -> dict[str, bytes]:
        """Return what an earlier one was told by those who may still be asked; what it was told by others is not written again."""
        try:
            with (self._root / ASKED).open("rb") as file:
                found = msgspec.json.decode(file.read(2 * MOST_OCTETS), type=dict[str, Any])["exporters"]
            tables = {one: msgspec.json.encode(table) for one, table in found.items() if self.may_be_asked(one)}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, AttributeError):
            return {}
        return tables if sum(map(len, tables.values())) <= MOST_OCTETS else {}


def run(root: Path, parent: int) -> int:
    """Ask until ended; the settings stand in standard input.

    Returns:
        The exit status, 0.
    """
    die_with_parent(parent)
    os.nice(NICENESS)
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=SnmpSettings)
    from nftui.engine.if_mib import interfaces_of  # what it wants is an extra

    asyncio.run(Asker(root, settings, parent, interfaces_of).run())
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s snmp: %(message)s", level=logging.INFO)
    sys.exit(run(Path(sys.argv[1]), int(sys.argv[2])))
