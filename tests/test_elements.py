"""The table of information elements is sound, and a user's own mappings come before it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nftui import config, elements, schema
from nftui.capture import layouts
from nftui.capture.values import READINGS
from nftui.errors import ConfigError
from tests.capture import build, corpus

ROWS = [tuple(line.split(",")) for line in Path(elements.__file__).with_name("elements.csv").read_text("ascii").splitlines()]
RESERVED = {*range(65, 70), 97, *range(105, 128), 416, 419}
"""Ids below 534 that IANA has not given a meaning, or has taken it back."""


@pytest.fixture
def own_mappings() -> Iterator[None]:
    """Undo what a test maps."""
    before = dict(elements.ELEMENTS)
    yield
    elements.ELEMENTS.clear()
    elements.ELEMENTS.update(before)
    layouts.forget()


def test_table_is_sound() -> None:
    assert ROWS[0] == ("enterprise", "id", "name", "reading", "column", "rank")
    rows = ROWS[1:]
    keys = [(int(row[0]), int(row[1])) for row in rows]
    assert keys == sorted(keys)
    assert len({(key, row[4]) for key, row in zip(keys, rows, strict=True)}) == len(rows)
    names = {(key, row[2]) for key, row in zip(keys, rows, strict=True)}
    assert len(names) == len({key for key, _ in names}) == len({(key[0], name) for key, name in names})
    for enterprise, number, name, reading, column, rank in rows:
        assert re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name)
        assert 0 < int(number) < (1 << (15 if int(enterprise) else 16)), name
        if column:
            assert reading in READINGS or reading in ("address", "text", "octets")
            assert column in schema.BY_NAME and int(rank) > elements.CHOSEN_RANK
        else:
            assert (reading, rank) == ("", "")


def test_reading_fits_the_column() -> None:
    for element in elements.ELEMENTS.values():
        for mapping in element.mappings:
            column = schema.BY_NAME[mapping.column]
            assert (mapping.reading == "address") == (column.kind == "address"), element
            assert (mapping.reading in ("text", "octets")) == (column.kind == "text"), element
            assert (mapping.reading in ("seconds", "milliseconds", "ntp", "uptime", "before export")) == (column.kind == "time")


def test_no_standard_element_is_a_bare_number() -> None:
    assert [number for number in range(1, 534) if number not in RESERVED and not elements.name(elements.IANA, number)] == []


@pytest.mark.parametrize(
    ("enterprise", "number", "name"),
    [
        (0, 99, "multicastReplicationFactor"),
        (0, 101, "classificationEngineId"),
        (0, 495, "srhActiveSegmentIPv6"),
        (0, 56702, "paloAltoUserId"),
        (0, 45003, "ciscoApplicationHttpHost"),
        (9, 12235, "ciscoApplicationHttpHost"),
        (0, 57591, "L7_PROTO_NAME"),
        (35632, 119, "L7_PROTO_NAME"),
        (29305, 1, "reverseOctetDeltaCount"),
        (6871, 14, "initialTCPFlags"),
        (6871, 16398, "reverseInitialTCPFlags"),
        (0, 9999, ""),
        (29305, 9999, ""),
        (1, 1, ""),
    ],
)
def test_name(enterprise: int, number: int, name: str) -> None:
    assert elements.name(enterprise, number) == name


def test_names_are_not_read_at_import() -> None:
    code = "import nftui.capture.layouts, nftui.elements as e; print(e.names.cache_info().currsize)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "0\n"


@pytest.mark.usefixtures("own_mappings")
def test_chosen_element_of_a_real_export_fills_its_column() -> None:
    path = corpus.capture_of(corpus.case("ipfix-ls-ixia-256"))
    before = corpus.decode(path)
    assert before.counted("unknown_elements")["3054:193 ixiaThreatIPv4"] == 1
    assert before.flows["application_name"].to_list() == ["unknown"]
    text = b'[elements]\n"3054/193" = "station_address"\n"3054:163" = "application_name"\n"3054/176" = "out_octets"'
    layouts.define(config.parse(text, "here").elements)
    after = corpus.decode(path)
    assert "3054:193 ixiaThreatIPv4" not in after.counted("unknown_elements")
    (flow,) = after.flows.to_dicts()
    assert corpus._address(flow["station_address"]) == "0.0.0.0"
    assert flow["out_octets"] == 0
    assert flow["application_name"] == "-", "what the user maps is preferred over the table's own"


@pytest.mark.usefixtures("own_mappings")
@pytest.mark.parametrize(
    ("column", "octets", "value"),
    [
        ("user_name", b"an\0", "an"),
        ("ingress_acl", b"\1\2\3", b"\1\2\3"),
        ("station_mac", b"\0\1\2", 258),
        ("station_mac", b"\0\0\0", None),
        ("out_octets", b"\0\0\0", 0),
        ("source_as", b"\0\0\7", 7),
        ("customer_vlan", b"\0\0\0", None),
        ("source_port", b"\0\0\0", 0),
    ],
)
def test_reading_follows_from_the_column(column: str, octets: bytes, value: object) -> None:
    layouts.define({"99/1": column})
    template = build.template(256, [(8, 4), (1, 3, 99)])
    flows, _ = build.decode(build.ipfix(build.one_set(2, template), build.one_set(256, bytes([10, 0, 0, 1]) + octets)))
    assert flows[column].to_list() == [value]


@pytest.mark.usefixtures("own_mappings")
def test_chosen_element_leaves_the_column_that_it_had() -> None:
    layouts.define({"57590": "application_name"})
    template = build.template(256, [(8, 4), (57590, 3)])
    flows, _ = build.decode(build.netflow9(build.one_set(0, template), build.one_set(256, bytes(4) + b"tls")))
    assert flows["application_name"].to_list() == ["tls"]
    assert flows["application_id"].to_list() == [None]


@pytest.mark.parametrize(
    ("key", "column", "why"),
    [
        ("", "user_name", "is no information element"),
        ("9/", "user_name", "is no information element"),
        ("0", "user_name", "is no information element"),
        ("65536", "user_name", "is no information element"),
        ("9/32768", "user_name", "is no information element"),
        ("4294967296/1", "user_name", "is no information element"),
        ("٣", "user_name", "is no information element"),
        ("9/1", "", "is no column"),
        ("9/1", "flow_strt", "did you mean flow_start?"),
        ("9/1", "flow_start", "choose another column"),
        ("9/1", "reverse", "choose another column"),
        ("9/1", "exporter_address", "choose another column"),
        ("9/1", "sampling_source", "choose another column"),
    ],
)
def test_mistake_is_one_line_and_changes_nothing(key: str, column: str, why: str) -> None:
    before = dict(elements.ELEMENTS)
    with pytest.raises(ConfigError, match=re.escape(why)) as caught:
        elements.define({"9/2": "user_name", key: column})
    assert "\n" not in str(caught.value) and f'"{key}"' in str(caught.value)
    assert before == elements.ELEMENTS
