"""What an exporter calls its interfaces, and how fast they are, asked of its SNMP agent: IF-MIB over SNMPv2c.

Source: RFC 2863 (ifTable, ifXTable); RFC 3416, section 4.2.3 (GetBulkRequest); RFC 3417 (one message, one datagram).

All that comes back is hostile. Each exporter has a connected socket of its own, so that the kernel takes nothing of other senders;
what is no answer to our question is passed over; and an agent that goes on for ever comes to an end, by rows, octets and time.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import Any

from pyasn1.codec.ber import decoder, encoder
from pyasn1.type import univ
from pysnmp.proto.api import v2c

MOST_INTERFACES = 4096
"""Of one exporter."""
MOST_OCTETS = 16_384
"""Of an answer: what is asked for has less, and while one is read all others wait."""
MOST_STRAYS = 16
"""Datagrams that are no answer, for each time that a question is sent."""
ROWS = 25
"""Asked for at once."""
TRIES, TIMEOUT_S = 3, 2.0
TOTAL_S = 60.0
"""For all that is asked of one exporter."""
LONGEST_NAME = 128
_HIGHEST_INDEX = 2**32 - 1
_MILLION = 1_000_000
_SPEED_END = 2**32 - 1
"""What ifSpeed says of what is faster than it can say."""

Oid = tuple[int, ...]
_IF_ENTRY: Oid = (1, 3, 6, 1, 2, 1, 2, 2, 1)
_IF_X_ENTRY: Oid = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
IF_DESCR, IF_SPEED = (*_IF_ENTRY, 2), (*_IF_ENTRY, 5)
IF_NAME, IF_HIGH_SPEED, IF_ALIAS = (*_IF_X_ENTRY, 1), (*_IF_X_ENTRY, 15), (*_IF_X_ENTRY, 18)


class Failed(Exception):
    """An agent that doesn't answer, or not to the question."""


async def interfaces_of(address: str, port: int, community: bytes) -> tuple[dict[str, dict[str, Any]], str]:
    """Ask an exporter for its interfaces.

    Args:
        address: Of the exporter, and of no other.
        port: Where its agent listens.
        community: The agent's.
    Returns:
        What is known of each interface, by index as text, in the form of `interfaces.json`; and what was in the way, which is
        nothing where all was told. Both where only part of it was.
    """
    columns: dict[Oid, dict[int, Any]] = {}
    problem = ""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as connected:
            connected.setblocking(False)
            connected.connect((address, port))
            agent = Agent(connected, community)
            async with asyncio.timeout(TOTAL_S):
                for column, read in COLUMNS:
                    columns[column] = {}
                    await agent.walk(column, read, columns[column])
    except Failed as error:
        problem = str(error)
    except TimeoutError:
        problem = f"it took longer than {TOTAL_S:g} s"
    except OSError as error:
        problem = error.strerror or type(error).__name__
    return described(columns), problem


class Agent:
    """An SNMP agent, which is asked one question at a time."""

    def __init__(self, connected: socket.socket, community: bytes) -> None:
        """Begin.

        Args:
            connected: A UDP socket that doesn't block.
            community: The agent's.
        """
        self._socket, self._community = connected, community
        self._numbers = itertools.count(secrets.randbelow(2**30))

    async def walk(self, column: Oid, read: Callable[[object], Any], found: dict[int, Any]) -> None:
        """Ask for a column of a table.

        Args:
            column: Its OID, under which each row has its index.
            read: Makes something of a value; None of one that is of another type.
            found: Takes what was made, by index, as it comes.
        Raises:
            Failed: There is no answer, or none that can be followed.
            OSError: The network is in the way.
        """
        before, last, rows = -1, column, 0
        for _ in range(MOST_INTERFACES):
            for name, value in await self._ask(last):
                if value.tagSet in _NOTHING or name[: len(column)] != column:
                    return
                if name[:-1] != column:
                    raise Failed("its table has rows without an index")
                if not before < name[-1] <= _HIGHEST_INDEX:
                    raise Failed("its table doesn't go forward")
                rows += 1
                if rows > MOST_INTERFACES:
                    raise Failed(f"it has more than {MOST_INTERFACES:,} interfaces")
                before, last = name[-1], name
                if (one := read(value)) is not None:
                    found[before] = one
        raise Failed(f"it has more than {MOST_INTERFACES:,} interfaces")

    async def _ask(self, after: Oid) -> list[tuple[Oid, Any]]:
        """Return some rows after one, at least one."""
        wanted, loop, refused = next(self._numbers), asyncio.get_running_loop(), ""
        question = self.question(wanted, after)
        for _ in range(TRIES):
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await loop.sock_sendall(self._socket, question)
                    for _ in range(MOST_STRAYS):
                        rows = self.answer(await loop.sock_recv(self._socket, MOST_OCTETS + 1), wanted)
                        if rows is not None:
                            return rows
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                refused = "nothing listens there"
            # What was refused, or answered with a flood, is not asked again at once.
            await asyncio.sleep(TIMEOUT_S / 2)
        raise Failed(refused or "no answer; a wrong community has none")

    def question(self, number: int, after: Oid) -> bytes:
        """Return a GetBulkRequest."""
        request, message = v2c.GetBulkRequestPDU(), v2c.Message()
        v2c.apiBulkPDU.set_defaults(request)
        v2c.apiBulkPDU.set_request_id(request, number)
        v2c.apiBulkPDU.set_non_repeaters(request, 0)
        v2c.apiBulkPDU.set_max_repetitions(request, ROWS)
        v2c.apiBulkPDU.set_varbinds(request, [(after, v2c.null)])
        v2c.apiMessage.set_defaults(message)
        v2c.apiMessage.set_community(message, self._community)
        v2c.apiMessage.set_pdu(message, request)
        octets: bytes = encoder.encode(message)
        return octets

    def answer(self, octets: bytes, number: int) -> list[tuple[Oid, Any]] | None:
        """Read what came.

        Args:
            octets: A datagram.
            number: Of the question.
        Returns:
            Names and values in their order, at least one; None for what is no answer to this question.
        Raises:
            Failed: It is one, and says nothing.
        """
        if len(octets) > MOST_OCTETS:
            return None
        try:
            message, _ = decoder.decode(octets, asn1Spec=v2c.Message())
            answer = v2c.apiMessage.get_pdu(message)
            ours = (
                int(message[0]) == 1
                and bytes(v2c.apiMessage.get_community(message)) == self._community
                and answer.tagSet == v2c.ResponsePDU.tagSet
                and int(v2c.apiPDU.get_request_id(answer)) == number
            )
            if not ours:
                return None
            error = v2c.apiPDU.get_error_status(answer)
            refusal = error.prettyPrint()[:40] if int(error) else ""
            rows = [(tuple(name), value) for name, value in v2c.apiBulkPDU.get_varbinds(answer)]
        except Exception:  # noqa: BLE001  a library reads a stranger's octets: whatever it says of them, they are no answer
            return None
        if refusal:
            raise Failed(f"it answers with the error {refusal}")
        if not rows:
            raise Failed("it answers with nothing")
        return rows


_NOTHING = (v2c.NoSuchObject.tagSet, v2c.NoSuchInstance.tagSet, v2c.EndOfMibView.tagSet)


def text(value: object) -> str | None:
    """Return a DisplayString; None for what is none."""
    if not isinstance(value, univ.OctetString) or value.tagSet != v2c.OctetString.tagSet:
        return None
    return bytes(value)[: 4 * LONGEST_NAME].split(b"\0", 1)[0].decode("utf-8", "replace").strip()[:LONGEST_NAME]


def number(value: object) -> int | None:
    """Return a Gauge32, or another number in its range; None for what is none."""
    if not isinstance(value, univ.Integer):
        return None
    whole = int(value)
    return whole if 0 <= whole < 2**32 else None


COLUMNS: tuple[tuple[Oid, Callable[[object], Any]], ...] = (
    (IF_NAME, text),
    (IF_DESCR, text),
    (IF_ALIAS, text),
    (IF_HIGH_SPEED, number),
    (IF_SPEED, number),
)
"""In the order in which they are asked for: of an agent that is too slow at least the names are known."""


def described(columns: Mapping[Oid, Mapping[int, Any]]) -> dict[str, dict[str, Any]]:
    """Put columns together, those that came: what is not known has no entry.

    Where there is no ifName, ifDescr is the name. The description is ifAlias, which an operator wrote; without one it is ifDescr,
    where that says more than the name.
    """
    names, long_names, aliases, high, low = (
        columns.get(column, {}) for column in (IF_NAME, IF_DESCR, IF_ALIAS, IF_HIGH_SPEED, IF_SPEED)
    )
    found = {}
    for index in sorted({*names, *long_names, *aliases, *high, *low} - {0}):
        name = names.get(index) or long_names.get(index, "")
        description = aliases.get(index) or long_names.get(index, "")
        known = {
            "name": name,
            "description": "" if description == name else description,
            "speed": _speed(high.get(index, 0), low.get(index, 0)),
        }
        if told := {key: value for key, value in known.items() if value}:
            found[str(index)] = told
    return dict(itertools.islice(found.items(), MOST_INTERFACES))


def _speed(high: int, low: int) -> int:
    """Return bits a second, of ifHighSpeed (millions) and ifSpeed, which is exact below 4.3 Gbit/s, and means nothing above."""
    if high * _MILLION > _SPEED_END or low in (0, _SPEED_END):
        return high * _MILLION
    return low
