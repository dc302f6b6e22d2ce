"""sFlow datagrams for tests: made by hand, of the golden captures, and what was decoded as plain Python."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

import numpy as np
import polars as pl

from nftui import schema
from nftui.capture import sflow
from nftui.capture.batch import NUMPY
from nftui.capture.packets import Columns
from nftui.capture.pcap import read_capture
from nftui.capture.sflow import Sflow
from tests.capture import corpus

CASES = (
    "gen-pmacctd-sflow",
    "sflow-goflow2-basic",
    "sflow-goflow2-drops",
    "sflow-goflow2-expanded",
    "sflow-tcpdump-30pdus",
    "sflow-tcpdump-expanded",
    "sflow-tcpdump-v6",
    "sflow-telegraf-15375",
    "sflow-telegraf-15918",
    "sflow-telegraf-18876",
    "sflow-telegraf-counter",
)

# ---------------------------------------------------------------- what was decoded, as values


def decoded(*datagrams: bytes, spare: int = 0, width: int = 0) -> Sflow:
    """Decode datagrams; `spare` octets of a former datagram stand behind each."""
    width = max(width, *(len(one) + spare for one in datagrams), 1)
    payload = np.full((len(datagrams), width), 0xA5, np.uint8)
    for row, one in enumerate(datagrams):
        payload[row, : len(one)] = np.frombuffer(one, np.uint8)
    return sflow.decode(payload, np.arange(len(datagrams)), np.array([len(one) for one in datagrams], np.int64))


def value(octets: Any) -> Any:
    """Return a value of a column as plain Python."""
    if isinstance(octets, np.ndarray):
        address = ipaddress.IPv6Address(octets.tobytes())
        return str(address.ipv4_mapped or address)
    return octets if isinstance(octets, str) else int(octets)


def rows(columns: Columns, size: int) -> list[dict[str, Any]]:
    """Return what each row has."""
    return [
        {name: value(values[row]) for name, (values, valid) in columns.items() if valid is None or valid[row]}
        for row in range(size)
    ]


def flows(found: Sflow) -> list[dict[str, Any]]:
    return rows(found.flows.columns, len(found.flows))


def broken(found: Sflow) -> dict[str, list[int]]:
    return {reason: datagrams.tolist() for reason, datagrams in found.malformed}


def check(found: Sflow) -> None:
    """Check what holds of whatever was decoded."""
    datagrams = len(found.headers.read)
    for samples in (found.flows, found.drops, found.counters):
        assert all(len(getattr(samples, name)) == len(samples) for name in ("sequence", "source_type", "rate", "pool", "drops"))
        for name, (values, valid) in samples.columns.items():
            assert len(values) == len(samples) > 0
            assert valid is None or (valid.shape == (len(samples),) and valid.any() and not valid.all())
            kind = schema.BY_NAME[name].kind
            assert values.shape == ((len(samples), 16) if kind == "address" else (len(samples),))
            assert values.dtype == (np.uint8 if kind == "address" else object if kind == "text" else NUMPY[name]), name
            if kind == "text":
                assert pl.Series(name, values, pl.String).dtype == pl.String
            elif kind != "address":
                assert (values[valid] if valid is not None else values).min() >= 0
    for counted in (found.malformed, found.unknown_samples, found.unread_records, found.counter_records):
        for _, named in counted:
            assert len(named) and 0 <= named.min() and named.max() < datagrams
    named = {one for _, which in found.malformed for one in which.tolist()}
    assert set(np.flatnonzero(~found.headers.read).tolist()) <= named


def golden_of(name: str) -> dict[str, Any]:
    return corpus.load(corpus.case(name))


def whole(name: str) -> list[Sflow]:
    """Decode a capture."""
    found = [
        sflow.decode(block.payload, np.arange(len(block.length)), block.length)
        for block in read_capture(corpus.capture_of(corpus.case(name)))
    ]
    for one in found:
        check(one)
    return found


# ---------------------------------------------------------------- datagrams by hand


def words(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


def tagged(number: int, body: bytes, enterprise: int = 0) -> bytes:
    return words(enterprise << 12 | number, len(body)) + body + bytes(-len(body) % 4)


def text(content: bytes) -> bytes:
    return words(len(content)) + content + bytes(-len(content) % 4)


def address(shown: str) -> bytes:
    parsed = ipaddress.ip_address(shown)
    return words(1 if parsed.version == 4 else 2) + parsed.packed


def datagram(*samples: bytes, agent: bytes = address("192.0.2.7"), count: int | None = None) -> bytes:
    return words(5) + agent + words(3, 77, 123456, len(samples) if count is None else count) + b"".join(samples)


def flow(*records: bytes, source: int = 4, given: int = 7, taken: int = 9, rate: int = 100) -> bytes:
    return tagged(1, words(11, source, rate, 5000, 2, given, taken, len(records)) + b"".join(records))


def expanded(*records: bytes, given: tuple[int, int] = (0, 7), taken: tuple[int, int] = (0, 9)) -> bytes:
    return tagged(3, words(11, 0, 1 << 29, 100, 5000, 2, *given, *taken, len(records)) + b"".join(records))


FRAME = bytes.fromhex("0200000000020200000000018100006408004500002800010000400600000a0000010a000002") + struct.pack(
    ">HHIIHHHH", 1000, 443, 1, 2, 0x5012, 1024, 0, 0
)
HEADER = tagged(1, words(1, 64, 4, len(FRAME)) + FRAME + bytes(-len(FRAME) % 4))
SAMPLED = {
    "source_address": "10.0.0.1", "destination_address": "10.0.0.2", "source_port": 1000, "destination_port": 443, "protocol": 6,
    "octets": 64, "packets": 1, "sampling_interval": 100, "source_vlan": 100, "tcp_flags": 0x12, "ip_total_length": 40,
    "ingress_interface": 7, "egress_interface": 9,
}  # fmt: skip
GATEWAY = (
    address("192.0.2.1")
    + words(65000, 65001, 65002, 2, 2, 3, 3356, 1299, 4200000000, 1, 2, 64512, 64513)
    + words(2, 65000 << 16 | 5, 1 << 16, 120)
)
