"""Sampled frames in IPFIX: what the frame says fills what the record does not; counters stay as exported."""

from __future__ import annotations

import struct

from nftui.capture.decoder import Decoder
from tests.capture import build
from tests.capture.build import ipfix, netflow9, one_set, template
from tests.capture.corpus import _address

ETHERNET = bytes.fromhex("020000000002 020000000001 8100 0064 0800".replace(" ", ""))
UDP = struct.pack(">HHHH", 5000, 53, 30, 0)
IP = struct.pack(">BBHHHBBH4s4s", 0x45, 0x10, 50, 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
FRAME = ETHERNET + IP + UDP


def row_of(fields: list[tuple[int, ...]], content: bytes, version: int = 10) -> tuple[dict[str, object], Decoder]:
    sets = (one_set(2 if version == 10 else 0, template(300, fields)), one_set(300, content))
    flows, decoder = build.decode(ipfix(*sets) if version == 10 else netflow9(*sets))
    (row,) = flows.to_dicts()
    return row, decoder


def check(row: dict[str, object]) -> None:
    assert (_address(row["source_address"]), _address(row["destination_address"])) == ("10.0.0.1", "10.0.0.2")  # type: ignore[arg-type]
    assert (row["source_port"], row["destination_port"], row["protocol"], row["tos"]) == (5000, 53, 17, 0x10)
    assert (row["octets"], row["packets"]) == (None, None)


def test_frame_of_fixed_length() -> None:
    row, decoder = row_of([(10, 4), (312, 2), (315, len(FRAME))], struct.pack(">IH", 7, 1500) + FRAME)
    check(row)
    assert (row["ingress_interface"], row["frame_length"], row["source_vlan"], row["source_mac"]) == (7, 1500, 100, 0x020000000001)
    assert row["ip_total_length"] == 50
    assert build.exporter_of(decoder)["unknown_elements"] == {}


def test_frames_of_variable_length() -> None:
    content = bytes([len(FRAME)]) + FRAME + bytes([len(ETHERNET) + 20]) + FRAME[: len(ETHERNET) + 20]
    flows, decoder = build.decode(ipfix(one_set(2, template(300, [(315, 65535)])), one_set(300, content)))
    check(flows.to_dicts()[0])
    assert flows["source_port"].to_list() == [5000, None], "what the second has not is not made up of padding"
    assert build.exporter_of(decoder)["unknown_elements"] == {}


def test_ip_header_section() -> None:
    row, _ = row_of([(313, len(IP) + 8)], IP + UDP)
    check(row)
    assert row["source_mac"] is None


def test_frame_in_netflow9() -> None:
    row, _ = row_of([(103, 2), (104, len(FRAME))], struct.pack(">H", 60) + FRAME, version=9)
    check(row)
    assert row["frame_length"] == 60


def test_what_the_record_says_itself_holds() -> None:
    row, _ = row_of([(7, 2), (1, 4), (315, len(FRAME))], struct.pack(">HI", 9, 400) + FRAME)
    assert (row["source_port"], row["destination_port"], row["octets"]) == (9, 53, 400)


def test_a_section_that_is_no_packet_fills_nothing() -> None:
    row, _ = row_of([(312, 2), (315, 20)], struct.pack(">H", 60) + bytes(20))
    assert row["source_address"] is None
    assert row["frame_length"] == 60


def test_numbers_of_variable_length() -> None:
    """Each as long as it likes; one of no octets, or of more than 8, is absent."""
    lengths = [0, 1, 4, 8, 9]
    content = b"".join(bytes([size]) + (b"\x05" if size == 1 else bytes(size - 1) + b"\x05" if size else b"") for size in lengths)
    flows, _ = build.decode(ipfix(one_set(2, template(300, [(2, 65535)])), one_set(300, content)))
    assert flows["packets"].to_list() == [None, 5, 5, 5, None]
