"""sFlow: broken, unknown and hostile datagrams: all is decoded or named, and one spoils nothing of the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.capture import sflow
from nftui.capture.pcap import read_capture
from tests.capture import corpus
from tests.capture.sflow_datagrams import (
    CASES,
    FRAME,
    GATEWAY,
    HEADER,
    SAMPLED,
    address,
    broken,
    check,
    datagram,
    decoded,
    expanded,
    flow,
    flows,
    tagged,
    text,
    words,
)

# ---------------------------------------------------------------- what is broken, unknown or hostile

HUGE = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("sent", "reasons", "samples"),
    [
        (datagram(flow(HEADER), count=2), {"fewer samples than the header counts"}, 1),
        (datagram(flow(HEADER), count=HUGE), {"fewer samples than the header counts"}, 1),
        (datagram(flow(HEADER), flow(), count=1), {"octets behind the last sample"}, 1),
        (datagram(flow(HEADER), flow(HEADER))[:-8], {"sample cut short", "record cut short", "record shorter than its fields"}, 2),
        (datagram(words(1, HUGE) + flow(HEADER)[8:]), {"sample cut short"}, 1),
        (datagram(tagged(1, words(1, 2, 3))), {"sample shorter than its fields"}, 0),
        (datagram(tagged(1, words(1, 1, 1, 1, 1, 1, 1, HUGE) + HEADER)), {"fewer records than the sample counts"}, 1),
        (datagram(tagged(1, words(1, 1, 1, 1, 1, 1, 1, 0) + HEADER)), {"octets behind the last record"}, 1),
        (datagram(flow(words(1, HUGE) + HEADER[8:])), {"record cut short"}, 1),
        (datagram(flow(tagged(1, words(1, 64, 4, HUGE) + FRAME))), {"record shorter than its fields"}, 1),
        (datagram(flow(tagged(1003, GATEWAY[:28] + words(HUGE, 2, HUGE, 5)))), {"record shorter than its fields"}, 1),
        (datagram(flow(tagged(1003, GATEWAY[:20] + words(HUGE, 2, HUGE, 5)))), {"record shorter than its fields"}, 1),
        (datagram(flow(tagged(1003, GATEWAY[:20] + words(0, HUGE, 5)))), {"record shorter than its fields"}, 1),
        (datagram(flow(tagged(1004, words(0, HUGE)))), {"record shorter than its fields"}, 1),
        (datagram(flow(tagged(1006, words(7, HUGE)))), {"record shorter than its fields"}, 1),
        (datagram(flow(tagged(1007, words(1)))), {"record shorter than its fields"}, 1),
        (datagram(*[tagged(9, b"")] * 3000), {"more than 2048 samples"}, 0),
        (datagram(flow(*[tagged(9, b"")] * 300)), {"more than 256 records"}, 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("spare", [0, 300])
def test_broken_places_are_named_and_what_precedes_is_kept(sent: bytes, reasons: set[str], samples: int, spare: int) -> None:
    found = decoded(datagram(flow(HEADER)), sent, datagram(flow(HEADER)), spare=spare)
    check(found)
    assert broken(found) == {reason: [1] for reason in reasons}
    assert len(found.flows) == 2 + samples
    got = flows(found)
    for row in (got[0], got[-1]):
        assert {name: row[name] for name in SAMPLED} == SAMPLED


def test_a_gateway_that_is_cut_keeps_what_was_read() -> None:
    (row,) = flows(decoded(datagram(flow(tagged(1003, GATEWAY[:20] + words(2, 2, HUGE, 5, 6))))))
    assert (row["source_as"], row["next_as"], row["as_path"]) == (65001, 5, "5 6")
    assert "local_preference" not in row


def test_long_paths_are_bounded() -> None:
    path = words(*range(1, 1001))
    sent = [
        datagram(flow(tagged(1003, address("192.0.2.1") + words(1, 2, 3, 1, 2, 1000) + path + words(0, 5)))),
        datagram(flow(tagged(1003, address("192.0.2.1") + words(1, 2, 3, 100) + words(2, 1, 9) * 100 + words(0, 5)))),
    ]
    found = decoded(*sent)
    check(found)
    first, second = flows(found)
    assert (first["next_as"], first["destination_as"], first["local_preference"]) == (1, 1000, 5)
    assert first["as_path"].split(" ") == [str(one) for one in range(1, 129)]
    assert second["as_path"] == " ".join(["9"] * 16) and "local_preference" not in second
    assert broken(found) == {"record shorter than its fields": [1]}


def test_unknown_formats_are_named() -> None:
    strange = tagged(2, b"\0" * 8, enterprise=4413)
    found = decoded(
        datagram(tagged(1, b"\0" * 8, enterprise=9), flow(HEADER, strange, tagged(1005, bytes(12)))),
        datagram(tagged(77, b""), tagged(77, b""), tagged(2, words(1, 1, 2) + strange + strange)),
    )
    check(found)
    shown = [[(name, which.tolist()) for name, which in one] for one in (found.unknown_samples, found.unread_records)]
    assert shown == [[("0:77", [1, 1]), ("9:1", [0])], [("0:1005", [0]), ("4413:2", [0])]]
    assert [(name, which.tolist()) for name, which in found.counter_records] == [("4413:2", [1, 1])]
    many = decoded(datagram(*(tagged(number, b"") for number in range(100, 300))))
    assert len(many.unknown_samples) == 65 and many.unknown_samples[-1][0] == "other"
    assert sum(len(which) for _, which in many.unknown_samples) == 200


def test_nothing_at_all() -> None:
    found = sflow.decode(np.zeros((4, 100), np.uint8), np.empty(0, np.int64), np.empty(0, np.int64))
    check(found)
    assert len(found.flows) == 0 and found.malformed == []


def test_other_rows_are_left_alone() -> None:
    payload = np.full((3, 300), 0xFF, np.uint8)
    sent = datagram(flow(HEADER))
    payload[1, : len(sent)] = np.frombuffer(sent, np.uint8)
    found = sflow.decode(payload, np.array([1]), np.array([len(sent)]))
    assert [{name: row[name] for name in SAMPLED} for row in flows(found)] == [SAMPLED]


# ---------------------------------------------------------------- any octets


def real_datagrams() -> list[bytes]:
    return [
        block.payload[row, : block.length[row]].tobytes()
        for name in CASES
        for block in read_capture(corpus.capture_of(corpus.case(name)))
        for row in range(0, len(block.length), 5)
    ]


REAL = [
    *real_datagrams(),
    datagram(flow(HEADER, tagged(1003, GATEWAY)), expanded(tagged(1004, words(0) + text(b"me") + words(0, 0)))),
]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_octets(data: st.DataObject) -> None:
    sent = []
    for _ in range(data.draw(st.integers(1, 4))):
        base = bytearray(data.draw(st.sampled_from(REAL)) if data.draw(st.booleans()) else data.draw(st.binary(max_size=200)))
        for _ in range(data.draw(st.integers(0, 6))):
            if base:
                place = data.draw(st.integers(0, len(base) - 1))
                base[place] = data.draw(st.sampled_from([0, 1, 2, 5, 0x7F, 0x80, 0xFF]))
        sent.append(bytes(base[: data.draw(st.integers(0, len(base)))]) if data.draw(st.booleans()) else bytes(base))
    spare = data.draw(st.sampled_from([0, 64, 500]))
    found = decoded(*sent, spare=spare)
    check(found)
    other = decoded(*sent, width=max(map(len, sent)) + spare + 7)
    assert broken(found) == broken(other) and flows(found) == flows(other)
    apart = [row for one in sent for row in flows(decoded(one))]
    assert flows(found) == apart


@pytest.mark.parametrize("number", range(0, len(REAL), 3))
def test_truncated_anywhere(number: int) -> None:
    """Every shorter form decodes to the same samples as far as it goes, or is named."""
    sent = REAL[number]
    found = decoded(*(sent[:size] for size in range(0, len(sent), 7)), sent)
    check(found)
    complete = broken(found)
    for size in range(0, len(sent), 7):
        assert any(size // 7 in which for which in complete.values())
