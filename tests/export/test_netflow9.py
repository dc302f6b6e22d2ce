"""NetFlow v9 encoded and decoded again: what went in comes out, with further fields of whatever size, too."""

from __future__ import annotations

import random

import numpy as np

from nftui.export import netflow9
from nftui.export.netflow import Field
from tests.capture.build import decode
from tests.real.filters import BOOT, MORE, SECOND, random_flows


def test_encode_then_decode_is_identity() -> None:
    found = random_flows(random.Random(7), 200)
    order = np.argsort(found["flow_end"], kind="stable")
    found = {name: values[order] for name, values in found.items()}
    payloads = netflow9.encode(found, found["flow_end"] + SECOND, domain=5, boot=BOOT, sequence=0, more=MORE).payloads
    flows, _ = decode(*payloads)
    again = {size: row for row, size in enumerate(flows["octets"].to_list())}
    rows = [again[size] for size in found["octets"].tolist()]
    assert flows.height == 200 and flows["observation_domain"].unique().to_list() == [5]
    for name in found.keys() - {"icmp", "flow_start", "flow_end"}:
        sent = found[name] >> 4 if name.startswith("mpls_label") else found[name]
        expected = [bytes(one) for one in sent] if sent.ndim == 2 else sent.tolist()
        assert flows[name][rows].to_list() == expected, name
    for name in ("flow_start", "flow_end"):
        assert flows[name].dt.epoch("us")[rows].to_list() == found[name].tolist(), name


def test_a_field_of_six_octets_keeps_its_high_ones() -> None:
    found = random_flows(random.Random(7), 3)
    found["source_mac"] = np.array([0xFFEEDDCCBBAA, 1, 0x010000000000])
    sent = netflow9.encode(
        found, np.sort(found["flow_end"]) + SECOND, domain=5, boot=BOOT, sequence=0, more=(Field("source_mac", 56, 56, 6),)
    )
    flows, _ = decode(*sent.payloads)
    assert set(flows["source_mac"].to_list()) == {0xFFEEDDCCBBAA, 1, 0x010000000000}
