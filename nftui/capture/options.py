"""Options: what options data records say of the exporter itself, kept in the tables of its observation domain.

Read are sampling intervals, names of applications, VRFs and interfaces, and systemInitTimeMilliseconds, on which an exporter's
flowStartSysUpTime and flowEndSysUpTime stand in IPFIX. Exporters repeat their tables: one that was read is known by its octets.

Source: RFC 3954, section 6.1; RFC 7011, section 3.4.2; RFC 5477, section 8; RFC 6759, section 4.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.layouts import SCOPE, Layout
from nftui.capture.sampling import MAX_SAMPLERS, PACKET_INTERVAL, PACKET_SPACE, Samplers
from nftui.capture.sets import Integers
from nftui.capture.values import ABSURD, application_number

MAX_NAMES = 8192
"""Names in one table."""
MAX_NAME = 128
"""Characters of a name; longer ones are cut."""
MAX_READ = 4096
"""Records of one options template in one block that are looked at: exporters have tables of some thousand lines."""
_MAX_KNOWN = 20_000
_INTERVALS = ((0, 50), (0, 34))
_SAMPLERS = ((0, 48), (0, 302))
_INTERFACES = ((SCOPE, 2), (0, 10), (0, 14))
_SIZE, _POPULATION, _PROBABILITY = (0, 309), (0, 310), (0, 311)
_INTERFACE_NAMES = ((0, 82), (0, 83))
_APPLICATION, _APPLICATION_NAME = (0, 95), (0, 96)
_VRF, _VRF_NAME = (0, 234), (0, 236)
_READ = {
    *(*_INTERVALS, *_SAMPLERS, *_INTERFACES, PACKET_INTERVAL, PACKET_SPACE, _SIZE, _POPULATION, _PROBABILITY),
    *(*_INTERFACE_NAMES, _APPLICATION, _APPLICATION_NAME, _VRF, _VRF_NAME),
}


@dataclass
class Tables:
    """What an observation domain said of itself.

    Attributes:
        samplers: Sampling intervals.
        applications: Names by applicationId.
        vrfs: Names by VRF id.
        interfaces: Name and description by interface index.
        changes: How often something changed.
        renamed: Interfaces that the last records gave another name: index, name before, name now.
    """

    samplers: Samplers = field(default_factory=Samplers)
    applications: dict[int, str] = field(default_factory=dict)
    vrfs: dict[int, str] = field(default_factory=dict)
    interfaces: dict[int, tuple[str, str]] = field(default_factory=dict)
    changes: int = 0
    renamed: list[tuple[int, str, str]] = field(default_factory=list)
    _known: set[bytes] = field(default_factory=set)

    def news(self, layout: Layout, records: npt.NDArray[np.void]) -> list[bytes]:
        """Return the different options records of a set, in the order in which each was said last; none when all were read before.

        Args:
            layout: Of the records.
            records: Shape (records,).
        """
        if not _READ & layout.places.keys():
            return []
        octets = records.tobytes()
        different = dict.fromkeys(octets[at : at + layout.size] for at in range(len(octets) - layout.size, -1, -layout.size))
        return list(reversed(different)) if any(_digest(layout, record) not in self._known for record in different) else []

    def learn(self, layout: Layout, records: list[bytes]) -> None:
        """Read options records, as `news` returns them."""
        self.renamed.clear()
        for record in records:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            if self._read({one: record[at : at + size] for one, (at, size) in layout.places.items() if one in _READ}):
                self.changes += 1
                # What was read before may say something new again.
                self._known.clear()
            self._known.add(_digest(layout, record))

    def _read(self, values: Mapping[tuple[int, int], bytes]) -> bool:
        """Read one record; return whether it told something new."""
        changed = False
        if interval := min(_interval(values), ABSURD):
            changed |= self.samplers.learn(interval, _first(values, _SAMPLERS), _first(values, _INTERFACES))
        interface = _first(values, _INTERFACES)
        if interface is not None and any(one in values for one in _INTERFACE_NAMES):
            # Name and description may come in records of their own: neither takes the other away.
            before = self.interfaces.get(interface, ("", ""))
            name, description = (
                _text(values[one]) if one in values else known for one, known in zip(_INTERFACE_NAMES, before, strict=True)
            )
            changed |= _put(self.interfaces, interface, (name, description))
            if before[0] and name != before[0]:
                self.renamed.append((interface, before[0], name))
        if _APPLICATION in values and _APPLICATION_NAME in values:
            changed |= _put(self.applications, application_number(values[_APPLICATION]), _text(values[_APPLICATION_NAME]))
        vrf = _first(values, (_VRF,))
        if vrf is not None and _VRF_NAME in values:
            changed |= _put(self.vrfs, vrf, _text(values[_VRF_NAME]))
        return changed

    @property
    def size(self) -> int:
        """How many entries all that is kept takes."""
        samplers = len(self.samplers.by_id) + len(self.samplers.by_interface)
        return samplers + len(self.applications) + len(self.vrfs) + len(self.interfaces) + len(self._known)

    def __bool__(self) -> bool:
        samplers = self.samplers
        announced = samplers.default or samplers.by_id or samplers.by_interface
        return bool(announced or self.applications or self.vrfs or self.interfaces)

    def to_json(self) -> dict[str, Any]:
        """Return the tables as JSON-able values."""
        samplers = self.samplers
        return {
            "sampling": samplers.default,
            "samplers": sorted(samplers.by_id.items()),
            "interface_sampling": sorted(samplers.by_interface.items()),
            "applications": sorted(self.applications.items()),
            "vrfs": sorted(self.vrfs.items()),
            "interfaces": [[index, *names] for index, names in sorted(self.interfaces.items())],
        }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Take back what `to_json` returned.

        Raises:
            ValueError, TypeError, KeyError: The value is something else; what was read before stays.
        """
        self.samplers.default = _number(saved["sampling"])
        for name, table in (("samplers", self.samplers.by_id), ("interface_sampling", self.samplers.by_interface)):
            table.update({_number(key): _number(value) for key, value in saved[name][:MAX_SAMPLERS]})
        for name, names in (("applications", self.applications), ("vrfs", self.vrfs)):
            names.update({_number(key): str(value)[:MAX_NAME] for key, value in saved[name][:MAX_NAMES]})
        for key, one, other in saved["interfaces"][:MAX_NAMES]:
            self.interfaces[_number(key)] = str(one)[:MAX_NAME], str(other)[:MAX_NAME]


class Starts:
    """When one exporter started, as its options records of a block say: each holds for what comes from its datagram on.

    Exporters repeat the time, and some compute it anew each time, a millisecond off: what a flow is dated by must not depend on
    how datagrams happen to fall into blocks.
    """

    def __init__(self, before: int) -> None:
        """Begin with what was known before the block, milliseconds since 1970; 0 for not known."""
        self._before = before
        self._datagram: list[int] = []
        self._started: list[int] = []

    def learn(self, layout: Layout, records: npt.NDArray[np.void], datagram: Integers) -> int:
        """Keep what options records say.

        Args:
            layout: Of the records.
            records: Shape (records,), in the order of arrival; at least one.
            datagram: The datagram of each record, in the order of arrival.
        Returns:
            The start told last, milliseconds since 1970; what was known before where none was told.
        """
        if layout.system_init:
            value = records[layout.system_init].astype(np.uint64)
            fine = (value > 0) & (value < ABSURD)
            # Of the records of one datagram the last holds: a step a datagram, not a record.
            last = {int(at): int(start) for at, start in zip(datagram[fine], value[fine], strict=True)}
            self._datagram += last
            self._started += last.values()
        return self._started[int(np.argsort(self._datagram, kind="stable")[-1])] if self._started else self._before

    def at(self, datagram: Integers) -> Integers:
        """Return the start that holds for each datagram, milliseconds; the first one told where nothing was known before."""
        if not self._started:
            return np.full(len(datagram), self._before, np.int64)
        order = np.argsort(self._datagram, kind="stable")
        told, started = np.array(self._datagram, np.int64)[order], np.array(self._started, np.int64)[order]
        place = np.searchsorted(told, datagram, side="right") - 1
        return np.where(place >= 0, started[place], self._before or started[0])


def _digest(layout: Layout, record: bytes) -> bytes:
    """Return what a record is recognised by: its octets, and what they mean."""
    return blake2b(record, digest_size=16, key=layout.digest).digest()


def _interval(values: Mapping[tuple[int, int], bytes]) -> int:
    """Return N of 1 in N that a record states, 0 for none."""
    for one in _INTERVALS:
        if interval := int.from_bytes(values.get(one, b""), "big"):
            return interval
    for part, whole in (((PACKET_INTERVAL,), (PACKET_INTERVAL, PACKET_SPACE)), ((_SIZE,), (_POPULATION,))):
        if all(one in values for one in (*part, *whole)):
            counted, of = (sum(int.from_bytes(values[one], "big") for one in some) for some in (part, whole))
            return (of + counted // 2) // counted if counted else 0
    share = values.get(_PROBABILITY, b"")
    if len(share) in (4, 8):
        (probability,) = struct.unpack(">f" if len(share) == 4 else ">d", share)
        return round(1 / probability) if math.isfinite(probability) and 1e-9 < probability <= 1 else 0
    return 0


def _first(values: Mapping[tuple[int, int], bytes], elements: tuple[tuple[int, int], ...]) -> int | None:
    """Return the number of the first of some elements that is there; one of more than 8 octets is no number."""
    return next((int.from_bytes(values[one], "big") for one in elements if one in values and len(values[one]) <= 8), None)


def _put(table: dict[int, Any], key: int, value: Any) -> bool:
    if table.get(key) == value or (key not in table and len(table) >= MAX_NAMES):
        return False
    table[key] = value
    return True


def _text(octets: bytes) -> str:
    return octets.split(b"\0", 1)[0].decode("utf-8", "replace").strip()[:MAX_NAME]


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**64:
        raise ValueError(f"{value!r} is no number of a table")
    return value
