"""The table of protocols: complete, narrow, and each capture that it names is one and decodes as it says."""

from __future__ import annotations

import json

import pytest

from nftui import protocols
from tests.capture import corpus

DECODERS = {
    "netflow1": "NetFlow v1",
    "netflow5": "NetFlow v5",
    "netflow7": "NetFlow v7",
    "netflow9": "NetFlow v9",
    "ipfix": "IPFIX",
    "sflow5": "sFlow v5",
}
"""The `protocol` of a golden -> the decoder that reads it."""
CAPTURES = sorted({(capture, one.name) for one in protocols.protocols() for capture in one.captures})


@pytest.mark.row("C07")
def test_all_names_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert protocols.show("json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    vendors = {(row["name"], row["vendor"]) for row in rows if row["kind"] == "name"}
    assert vendors == {
        ("Jflow", "Juniper"),
        ("cflowd", "Juniper"),
        ("NetStream", "Huawei"),
        ("NetStream", "H3C / HP / 3Com"),
        ("Cflowd", "Nokia (Alcatel-Lucent)"),
        ("Rflow", "Ericsson"),
        ("AppFlow", "Citrix"),
        ("sFlow", "many"),
    }
    assert {row["name"] for row in rows if row["kind"] == "protocol"} == set(DECODERS.values())
    assert all(row["decoders"] and set(row["decoders"]) <= set(DECODERS.values()) for row in rows)


def test_text_is_narrow_and_says_where_no_capture_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert protocols.show("text") == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= protocols.WIDTH
    assert text.count("no capture") == sum(not one.captures for one in protocols.protocols())
    for one in protocols.protocols():
        assert one.name in text


@pytest.mark.parametrize(("capture", "name"), CAPTURES)
def test_capture_is_decoded_by_what_is_named(capture: str, name: str) -> None:
    path = corpus.case(capture)
    if not path.exists():
        pytest.skip("this capture is under another licence, and the whole corpus is not at hand")
    golden = corpus.load(path)
    (one,) = (row for row in protocols.protocols() if row.name == name and capture in row.captures)
    assert DECODERS[golden["protocol"]] in one.decoders
    decoded = corpus.decode(corpus.capture_of(path))
    exporters = decoded.status["exporters"]
    assert len(decoded.flows) or sum(one["options_records"] + sum(one["samples"].values()) for one in exporters)
