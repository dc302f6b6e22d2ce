"""Reads NetFlow v5, v9 and IPFIX datagrams record by record, independently of nftui, and keeps count."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import ip_address


@dataclass
class Walker:
    """Reads datagrams record by record, knowing nothing of nftui."""

    flows: int = 0
    packets: int = 0
    octets: int = 0
    expected: dict[tuple[int, int], int] = field(default_factory=dict)
    gaps: int = 0
    fields: dict[tuple[int, int, int], list[tuple[int, int]]] = field(default_factory=dict)
    records: list[dict[str, int | str]] = field(default_factory=list)
    shortest_lead: int = 1 << 62

    def read(self, data: bytes) -> None:
        assert len(data) <= 1400 - 48
        {5: self._v5, 9: self._v9, 10: self._ipfix}[struct.unpack_from(">H", data)[0]](data)

    def _number(self, stream: tuple[int, int], sequence: int, step: int) -> None:
        self.gaps += self.expected.get(stream, sequence) != sequence
        self.expected[stream] = sequence + step

    def _count(self, record: dict[str, int | str], header_ms: int) -> None:
        self.flows += 1
        self.packets += int(record["packets"])
        self.octets += int(record["octets"])
        self.shortest_lead = min(self.shortest_lead, header_ms - int(record["end"]))
        assert int(record["start"]) <= int(record["end"])
        self.records.append(record)

    def _v5(self, data: bytes) -> None:
        _, count, uptime, seconds, nanoseconds, sequence, engine, _ = struct.unpack_from(">HHIIIIHH", data)
        assert len(data) == 24 + 48 * count
        self._number((5, engine), sequence, count)
        now = seconds * 1000 + nanoseconds // 1_000_000
        for at in range(24, len(data), 48):
            a, b, _, into, out, packets, octets, first, last, sport, dport, flags, protocol, tos, *numbers = struct.unpack_from(
                ">4s4s4sHHIIIIHHxBBBHHBBxx", data, at
            )
            start, end = now - uptime + first, now - uptime + last
            names = {"source": str(ip_address(a)), "destination": str(ip_address(b)), "sport": sport, "dport": dport}
            self._count(
                {"packets": packets, "octets": octets, "start": start, "end": end, "protocol": protocol, "flags": flags}
                | {"into": into, "out": out, "tos": tos, "as": numbers[0], "mask": numbers[2]}
                | names,
                now,
            )

    def _v9(self, data: bytes) -> None:
        _, count, uptime, seconds, sequence, domain = struct.unpack_from(">HHIIII", data)
        self._number((9, domain), sequence, 1)
        assert self._sets(data, 20, (9, domain), 0, seconds * 1000, seconds * 1000 - uptime) == count

    def _ipfix(self, data: bytes) -> None:
        _, length, seconds, sequence, domain = struct.unpack_from(">HHIII", data)
        assert length == len(data)
        before = self.flows
        self._sets(data, 16, (10, domain), 2, seconds * 1000, 0)
        self._number((10, domain), sequence, self.flows - before)

    def _sets(self, data: bytes, at: int, stream: tuple[int, int], templates: int, now: int, boot: int) -> int:
        count = 0
        while at < len(data):
            kind, size = struct.unpack_from(">HH", data, at)
            assert size % 4 == 0
            end, at = at + size, at + 4
            if kind == templates:
                while at < end:
                    number, fields = struct.unpack_from(">HH", data, at)
                    pairs = [struct.unpack_from(">HH", data, at + 4 + 4 * n) for n in range(fields)]
                    self.fields[(*stream, number)] = [(pair[0], pair[1]) for pair in pairs]
                    at, count = at + 4 + 4 * fields, count + 1
                continue
            fields_of = self.fields[(*stream, kind)]
            length = sum(octets for _, octets in fields_of)
            while at + length <= end:
                self._count(self._record(data, at, fields_of, boot), now)
                at, count = at + length, count + 1
            at = end
        return count

    @staticmethod
    def _record(data: bytes, at: int, fields: list[tuple[int, int]], boot: int) -> dict[str, int | str]:
        values = {}
        for element, octets in fields:
            values[element], at = data[at : at + octets], at + octets
        number = {element: int.from_bytes(octets, "big") for element, octets in values.items()}
        icmp = number.get(32, number.get(139))
        return {
            "packets": number[2],
            "octets": number[1],
            "start": number[152] if 152 in number else boot + number[22],
            "end": number[153] if 153 in number else boot + number[21],
            "source": str(ip_address(values.get(8) or values[27])),
            "destination": str(ip_address(values.get(12) or values[28])),
            "sport": number.get(7, 0),
            "dport": number.get(11, 0) if icmp is None else icmp,
            "protocol": number[4],
            "flags": number[6],
            "tos": number[5],
            "into": number[10],
            "out": number[14],
            "as": number[16],
            "mask": number[9] if 9 in number else number[29],
        }
