"""What fuzzing found, each as small as it gets."""

from __future__ import annotations

import time

import numpy as np
import pytest

from nftui.capture.decoder import Decoder
from nftui.capture.dissection import MARGIN
from nftui.capture.links import ETHERNET, LINUX_COOKED, LINUX_COOKED_2
from nftui.capture.probe import chain
from nftui.capture.probe.chain import Chain
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.meter import Meter, MeterSettings
from tests.capture import build
from tests.capture.build import ipfix, netflow5, netflow9, one_set, template
from tests.fuzz.checks import Checker
from tests.fuzz.steps import Sent, Step

VARIABLE = 65535
NAT = ((225, 4), (27, 16), (225, 4), (27, 16), (4, 1))
TEXT_FIRST = ((82, VARIABLE), (8, 4), (12, 4), (1, 8))


def check(*datagrams: bytes) -> None:
    """Have the checker of all fuzzing look at datagrams; it raises where one is lost, or anything else is wrong."""
    checker = Checker("alone")
    checker.step(Step(0, [Sent(one, build.EXPORTER) for one in datagrams], 9995, build.NOW * 1_000_000))
    checker.close()


def test_netflow5_that_counts_too_few_records() -> None:
    check(netflow5([b"\1" * 48], count=0))


@pytest.mark.parametrize(
    "datagram", [netflow9(bytes(4), one_set(300, b"\1" * 8)), ipfix(bytes(4), one_set(300, b"\1" * 8))], ids=["v9", "ipfix"]
)
def test_set_header_of_zeros_before_more(datagram: bytes) -> None:
    check(datagram)


def test_data_shorter_than_a_record_of_variable_length() -> None:
    check(ipfix(one_set(2, template(300, TEXT_FIRST))), ipfix(one_set(300, b"\3abc\1\1\1\1")))


def test_tunnel_with_a_repeated_address_that_has_no_outer_one() -> None:
    record = b"\1" * 4 + b"\2" * 16 + b"\3" * 4 + b"\4" * 16 + b"\6"
    check(ipfix(one_set(2, template(300, NAT)), one_set(300, record)))


def test_many_templates_of_variable_length_cost_little() -> None:
    templates = [ipfix(one_set(2, template(300 + place, ((82, VARIABLE), (1000 + place, VARIABLE))))) for place in range(40)]
    decoder = Decoder()
    decoder.decode(build.block(templates))
    block = build.block([ipfix(one_set(300 + place, bytes(1400))) for place in range(40)])
    began = time.process_time()
    frames = decoder.decode(block)
    assert sum(map(len, frames)) == 40 * 700
    assert time.process_time() - began < 40 * 0.005


def test_empty_decoder_saves_nothing() -> None:
    assert Decoder().load_templates(Decoder().save_templates()) == 0


PACKET = bytes.fromhex("4500001c000000004011000001020304050607080035003500080000")


@pytest.mark.parametrize(
    ("link", "head"),
    [(ETHERNET, bytes(12) + b"\x81\0"), (LINUX_COOKED, bytes(14) + b"\x81\0"), (LINUX_COOKED_2, b"\x81\0" + bytes(18))],
)
def test_plain_packets_of_any_link_keep_their_vlan(link: int, head: bytes) -> None:
    frame = head + b"\0\x2a\x08\0" + PACKET
    meter = Meter(MeterSettings())
    ends = np.array([len(frame)])
    meter.take(
        FrameBlock(np.frombuffer(frame + bytes(MARGIN), np.uint8), np.array([0]), ends, ends, np.array([build.NOW * 10**6]), link)
    )
    flows = meter.rest()
    assert flows is not None
    assert flows["source_vlan"].to_list() == [42]


def test_block_with_fewer_octets_than_a_header() -> None:
    meter = Meter(MeterSettings())
    nothing = np.zeros(1, np.int64)
    meter.take(FrameBlock(np.full(MARGIN, 0x60, np.uint8), nothing, nothing, nothing, nothing, 101))
    assert (meter.counts.frames, meter.counts.not_ip + meter.counts.cut) == (1, 1)


@pytest.mark.timeout(20)
def test_guess_behind_the_last_record() -> None:
    """It would never be reached, and the walk before it never end."""
    records = (16).to_bytes(4, "little") + bytes(12)
    octets = bytearray(records * 5000 + bytes(64))
    last = 5000 * 16 - 5
    at = Chain("<", 0, 0, 16).walk(octets, 0, last, lambda low, high: min(high, last) - 3)
    assert at.tolist() == list(range(0, last - 15, 16))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain, "FEWEST", 1)
        patch.setattr(chain, "SEGMENT", 1000)
        assert Chain("<", 0, 0, 16).walk(octets, 0, last, lambda _, high: high).tolist() == at.tolist()
        assert (
            Chain("<", 0, 0, 16).walk(octets, 0, last, lambda low, _: last - 8 if low > last - 2000 else low).tolist()
            == at.tolist()
        )
