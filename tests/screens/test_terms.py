"""Groups as filters: what a filter made from a row sums to is what the row says."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nftui.engine import filters, keys
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Query
from nftui.engine.writer import StoreWriter
from nftui.schema import BY_NAME, POLARS
from nftui.screens import terms
from tests.screens.conftest import NOW, octets_of

ADDRESSES = ("10.0.4.1", "10.0.9.9", "203.0.113.7", "0.0.0.0", "::", "::1", "2001:db8::1", "2001:db8:0:1::1")
TEXTS = ("web", "DNS", "o'clock", 'say "hi"', "a and b", "x' or any", "ünïcode", "\x1b[2J", "both ' and \"")
UNSAID = {"ivrfnam", "iacl", "eacl", "user", "srcnet", "dstnet", "flags"}
"""Words of keys that no filter can say: `flags` of a filter are those of TCP alone, and a group's those of any flow."""


def values(name: str) -> st.SearchStrategy[object]:
    """Return values of a column, absent ones among them."""
    column = BY_NAME[name]
    if column.kind == "address":
        return st.sampled_from([None, *map(octets_of, ADDRESSES)])
    if POLARS[name] == pl.String:
        return st.sampled_from([None, *TEXTS])
    return st.sampled_from([None, 0, 1, 6, 17, 255])


def frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Return flows with these columns, of 1, 2, 4 and so on octets: each subset has a sum of its own."""
    whole = [
        {
            "flow_start": NOW, "flow_end": NOW, "received": NOW, "exporter_address": octets_of("192.0.2.1"), "packets": 1,
            "source_address": None, "destination_address": None, "protocol": None, "octets": 1 << n,
        } | row
        for n, row in enumerate(rows)
    ]  # fmt: skip
    return pl.DataFrame(whole, schema={name: POLARS[name] for name in whole[0]})


def check(root: Path, rows: list[dict[str, object]], names: tuple[str, ...]) -> int:
    """Hold each group against its filter; return how many could be said."""
    writer = StoreWriter(root)
    writer.append([frame(rows)])
    writer.write_tail()
    back_end = LocalBackEnd(root)
    groups = back_end.answer(Query(None, keys=names, limit=None)).groups
    said = 0
    for row in groups.iter_rows(named=True):
        words = terms.of_group(names, row)
        if words is None:
            continue
        said += 1
        taken = back_end.answer(Query(None, where=filters.parse(words))).total
        assert (taken.octets, taken.flows) == (row["octets"], row["flows"]), words
        left = back_end.answer(Query(None, where=filters.parse(terms.negated(words)))).total
        assert left.octets + taken.octets == (1 << len(rows)) - 1, words
    return said


WORDS = sorted(keys.WORDS.items())
RICH = ["srcip,dstport", "ip", "port,proto", "srcip4/24,srcip6/64", "srcip/8/0", "dstip/0/64", "ip/16/48", "tos", "mac", "app,if"]


@pytest.mark.row("F08")
@pytest.mark.parametrize("by", RICH)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_filter_made_from_a_row_matches_its_flows(tmp_path_factory: pytest.TempPathFactory, by: str, data: st.DataObject) -> None:
    names = keys.parse(by)
    columns = sorted(keys.columns(names))
    rows = data.draw(st.lists(st.fixed_dictionaries({name: values(name) for name in columns}), min_size=1, max_size=8))
    check(tmp_path_factory.mktemp("terms"), rows, names)


def test_every_key_is_said_but_those_known_not_to_be(tmp_path: Path) -> None:
    for place, (word, name) in enumerate(WORDS):
        if name in terms.CLASSES:
            continue  # of what is summed up itself: tests/engine/test_flow_classes.py holds them against the engine
        columns = sorted(keys.columns((name,)))
        drawn = {"address": list(map(octets_of, ADDRESSES)), "text": ["web", "o'clock"], "mac": [1, 300]}
        rows = [
            {column: drawn.get(BY_NAME[column].kind, [1, 6])[(n + shift) % 2] for shift, column in enumerate(columns)}
            for n in range(2)
        ]
        if word in UNSAID:
            assert terms.term(name, None) is None
            continue
        assert check(tmp_path / str(place), rows, (name,)) >= 1, word


def test_what_a_filter_cannot_say() -> None:
    assert terms.term("user_name", "both ' and \"") is None
    assert terms.term("user_name", "\x1b[2J") is None
    assert terms.term("user_name", "") is None
    assert terms.term("user_name", None) is None
    assert terms.term("no_such_key", 1) is None
    assert terms.of_group((), {}) is None


def test_places_are_said_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "value", lambda name, raw: raw)
    assert terms.term("source_country", "DE") == "src geo 'DE'"
    assert terms.term("as_organization", "Example 'Net'") == "asorg \"Example 'Net'\""
    assert terms.term("known_destination_as", 64500) == "dst as 64500"
    assert filters.parse("src geo 'DE'") == filters.parse("src geo DE")
