"""Grammar: datagrams made by the rules of each format, with everything that the rules allow, and a little that they don't."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from nftui.elements import ELEMENTS, REVERSE
from tests.fuzz.accounting import FIXED
from tests.fuzz.mutations import TWO, righted
from tests.fuzz.steps import LONGEST

NOW = 1_700_000_000
VARIABLE = 65535
_KNOWN = sorted(ELEMENTS)
_SIZES = (1, 1, 2, 2, 4, 4, 4, 4, 8, 8, 6, 16, 3, 5, 7)
_FLOW = (
    (8, 4), (12, 4), (27, 16), (28, 16), (4, 1), (7, 2), (11, 2), (1, 8), (2, 8), (1, 4), (2, 4), (21, 4), (22, 4), (150, 4),
    (152, 8), (153, 8), (154, 8), (156, 8), (158, 4), (160, 8), (10, 4), (14, 4), (6, 1), (6, 2), (34, 4), (48, 1),
)  # fmt: skip
"""(element, octets) as exporters send them most."""
_ENTERPRISES = (REVERSE, 9, 2636, 35632, 0, 0xFFFFFFFF)

_SMALL = bytes(octet & 3 if octet & 0x40 else 0 for octet in range(256))
"""Any octet -> a small one."""


class Field(NamedTuple):
    """One field of a template; its enterprise is None where there is no enterprise number."""

    element: int
    length: int
    enterprise: int | None = None


class Fixed:
    """NetFlow v1, v5 and v7: a header that counts, and records."""

    def __init__(self, random: Random, version: int) -> None:
        self._random, self._version = random, version
        self._sequence = 0

    def datagram(self) -> bytes:
        """Return a datagram; its count is mostly right."""
        random = self._random
        header, record = FIXED[self._version]
        number = random.choice((0, 1, 1, 2, 5, 24, 27, 28, 30, 31, 100))
        count = number if random.random() < 0.8 else random.choice((0, 1, number + 1, 30, 31, 0x7FFF, 0xFFFF))
        uptime, seconds = random.choice((1000, 0, 0xFFFFFFFF, 86_400_000)), random.choice((NOW, NOW, 0, 0xFFFFFFFF))
        head = struct.pack(
            ">HHIIII", self._version, count, uptime, seconds, random.choice((0, 5 * 10**8, 0xFFFFFFFF)), self._sequence
        )
        self._sequence = (self._sequence + number) % 2**32
        head = head[: min(header, 20)] + struct.pack(">HH", random.randrange(3), random.choice((0, 1, 0x4064, 0xFFFF)))
        return head[:header] + b"".join(_value(random, record) for _ in range(number)) + bytes(random.choice((0, 0, 0, 1, record)))


class Templates:
    """NetFlow v9 and IPFIX: templates, options templates, withdrawals, and data for them, in some observation domains."""

    def __init__(self, random: Random, version: int) -> None:
        self._random, self._ipfix = random, version == 10
        self._known: dict[tuple[int, int], tuple[Field, ...]] = {}
        self._sequence = 0
        self._ids = range(256, 256 + random.choice((2, 6, 40)))
        self._domains = random.choice(((1,), (0, 1, 2), (7, 0xFFFFFFFF)))

    def datagram(self) -> bytes:
        """Return a message of some sets."""
        random = self._random
        domain = random.choice(self._domains)
        body = b"".join(self._set(domain) for _ in range(random.choice((0, 1, 1, 2, 2, 3, 8))))[: LONGEST - 20]
        uptime, seconds = random.choice((1000, 0xFFFFFFF0)), random.choice((NOW, NOW, NOW, 0, 0xFFFFFFFF))
        self._sequence = (self._sequence + 1) % 2**32
        if self._ipfix:
            return righted(struct.pack(">HHIII", 10, 0, seconds, self._sequence, domain) + body)
        return struct.pack(">HHIIII", 9, random.choice((1, 0, 0xFFFF)), uptime, seconds, self._sequence, domain) + body

    def _set(self, domain: int) -> bytes:
        random = self._random
        kind = random.random()
        if kind < 0.25:
            return self._enclosed(
                2 if self._ipfix else 0, b"".join(self._template(domain) for _ in range(random.choice((1, 1, 2, 5))))
            )
        if kind < 0.35:
            return self._enclosed(3 if self._ipfix else 1, b"".join(self._options(domain) for _ in range(random.choice((1, 1, 3)))))
        if kind < 0.40 and self._ipfix:
            return self._withdrawal(domain)
        if kind < 0.43:
            return self._enclosed(random.choice((2, 3, 4, 128, 255, 0, 1)), random.randbytes(random.choice((0, 2, 4, 20))))
        known = [identity for where, identity in self._known if where == domain]
        identity = random.choice(known) if known and random.random() < 0.9 else random.choice((*self._ids, 65535))
        return self._enclosed(identity, self._records(self._known.get((domain, identity), ())))

    def _enclosed(self, identity: int, content: bytes) -> bytes:
        random = self._random
        content = content[:30_000] + bytes(random.choice((0, 0, -len(content) % 4, 1, 3)))
        length = 4 + len(content)
        if random.random() < 0.02:
            length = random.choice((*TWO, length - 1, length + 1, length + 4)) & 0xFFFF
        return struct.pack(">HH", identity, length) + content

    def _field(self) -> Field:
        random, draw = self._random, self._random.random()
        if draw < 0.6:
            return Field(*random.choice(_FLOW))
        enterprise, element = random.choice(_KNOWN) if draw < 0.85 else (0, random.randrange(0x8000))
        length = random.choice(_SIZES) if random.random() < 0.9 else random.choice((0, 0, 20, 32, 256, 1000, 65000))
        if self._ipfix and random.random() < 0.15:
            length = VARIABLE
        if not self._ipfix:
            return Field(element if random.random() < 0.9 else random.getrandbits(16), length)
        if random.random() < 0.1:
            enterprise = random.choice(_ENTERPRISES)
        return Field(element & 0x7FFF, length, enterprise or None)

    def _fields(self) -> tuple[Field, ...]:
        random = self._random
        return tuple(
            self._field() for _ in range(random.choice((1, 2, 5, 10, 10, 20, 25, 60, 600 if random.random() < 0.02 else 3)))
        )

    def _template(self, domain: int) -> bytes:
        identity, fields = self._random.choice(self._ids), self._fields()
        self._known[domain, identity] = fields
        return struct.pack(">HH", identity, len(fields)) + _described(fields)

    def _options(self, domain: int) -> bytes:
        random, identity = self._random, self._random.choice(self._ids)
        fields = self._fields()
        scopes = random.randrange(len(fields) + 1)
        self._known[domain, identity] = fields
        if self._ipfix:
            return struct.pack(">HHH", identity, len(fields), scopes) + _described(fields)
        return struct.pack(">HHH", identity, 4 * scopes, 4 * (len(fields) - scopes)) + _described(fields)

    def _withdrawal(self, domain: int) -> bytes:
        identity = self._random.choice((2, 3, *self._ids))
        gone = [key for key in self._known if key[0] == domain and identity in (2, 3, key[1])]
        for key in gone:
            del self._known[key]
        return self._enclosed(identity if identity < 4 else self._random.choice((2, 3)), struct.pack(">HH", identity, 0))

    def _records(self, fields: Sequence[Field]) -> bytes:
        random = self._random
        if not fields:
            return random.randbytes(random.choice((0, 3, 50)))
        one, number = sum(field.length for field in fields if field.length != VARIABLE), random.choice((1, 1, 3, 10, 40))
        number = max(1, min(number, 20_000 // max(one, 1)))
        if not any(field.length == VARIABLE for field in fields):
            return b"".join(_value(random, one) for _ in range(number))
        return b"".join(b"".join(self._member(field) for field in fields) for _ in range(number))

    def _member(self, field: Field) -> bytes:
        random = self._random
        if field.length != VARIABLE:
            return _value(random, field.length)
        size = random.choice((0, 1, 4, 8, 20, 254, 300))
        long = size > 254 or random.random() < 0.1
        stated = size if random.random() < 0.98 else random.choice((0, 255, 65535))
        return (b"\xff" + struct.pack(">H", stated) if long else bytes([min(stated, 255)])) + _value(random, size)


def _described(fields: Sequence[Field]) -> bytes:
    return b"".join(
        struct.pack(">HH", field.element, field.length)
        if field.enterprise is None
        else struct.pack(">HHI", field.element | 0x8000, field.length, field.enterprise)
        for field in fields
    )


def _value(random: Random, size: int) -> bytes:
    draw = random.random()
    if draw < 0.5:
        return random.randbytes(size)
    if draw < 0.7:
        return bytes(size)
    if draw < 0.8:
        return b"\xff" * size
    return random.randbytes(size).translate(_SMALL)
