"""What is counted while a filter is typed: as a question of its own would say, of the newest flows where there are many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nftui.engine.filter_fields import FIELDS, Direction
from nftui.engine.filters import ANY, parse
from nftui.engine.local import LocalBackEnd
from nftui.screens.hits import Counted, hits, top_values, values_of
from nftui.screens.view import View, parse_range
from tests.screens.conftest import NOW


@pytest.mark.row("V13")
@pytest.mark.parametrize("text", ["", "dst port 443", "not src net 10.0.4.0/28", "port 80 or proto udp"])
def test_counts_are_those_of_the_range(store: Path, text: str) -> None:
    back_end, view, where = LocalBackEnd(store), View(), parse(text)
    counted = hits(view, where, NOW).put(back_end).more["hits"]
    whole = back_end.answer(replace(view, where=where).groups(NOW)).total
    assert (counted.flows, counted.octets) == (whole.flows, whole.octets)
    assert counted.whole and counted.held == back_end.answer(view.groups(NOW)).total.flows


@pytest.mark.parametrize("span", ["-15m", "all", "-1h"])
@pytest.mark.parametrize("newest", [1, 100, 400])
def test_of_many_flows_the_newest_are_counted(store: Path, span: str, newest: int) -> None:
    back_end = LocalBackEnd(store)
    view = View(parse_range(span))
    question = hits(view, parse("proto tcp"), NOW, newest)
    reply = question.put(back_end)
    counted = reply.more["hits"]
    assert not counted.whole and counted.held > newest
    slice_ = max(counted.held // 40, 60)
    assert 0 < counted.looked <= newest + slice_, "as many as were asked for, or one slice of the range"
    assert counted.looked >= min(newest - slice_, 1)
    interval = reply.main.query.interval
    assert interval is not None
    assert counted.looked == back_end.answer(replace(reply.main.query, where=ANY)).total.flows
    assert counted.flows <= counted.looked
    whole = view.interval(NOW)
    assert whole is None or interval.end == whole.end
    everything = hits(view, parse("proto tcp"), NOW, None).put(back_end).more["hits"]
    assert everything.whole and everything.flows >= counted.flows


def test_what_is_left_out_of_every_picture_is_not_counted(store: Path) -> None:
    view = View(without=parse("proto tcp"))
    counted = hits(view, ANY, NOW).put(LocalBackEnd(store)).more["hits"]
    assert counted.flows == counted.held == hits(View(), parse("not proto tcp"), NOW).put(LocalBackEnd(store)).more["hits"].flows


def test_words() -> None:
    assert Counted(41_201, 12_300_000_000, 1_100_000, 1_100_000, 0.0123).words() == "41,201 of 1.1M flows, 12.3 GB, 12 ms"
    assert Counted(3, 999, 99_000, 99_000, 0.0004).words(True) == "3 of 99,000 flows, 999 B, 0 ms"
    assert Counted(1, 60, 1_000_000, 33_000_000, 0.2).words() == "1 of the newest 1.0M of 33.0M flows, 60 B, 200 ms"


@pytest.mark.parametrize(
    ("field", "direction", "first"),
    [
        ("ip", Direction.DST, "93.184.216.34"), ("port", Direction.DST, "443"), ("proto", Direction.NONE, "TCP"),
        ("ip", Direction.ROUTER, "192.0.2.1"), ("if", Direction.IN, "1"), ("port", Direction.NONE, "443"),
    ],
)  # fmt: skip
def test_values_of_the_data_are_what_a_filter_takes(store: Path, field: str, direction: Direction, first: str) -> None:
    back_end = LocalBackEnd(store)
    question = top_values(View(), field, direction, NOW)
    assert question is not None
    found = values_of(question.put(back_end).main)
    assert first in [value for value, _ in found[:3]]
    phrase = "router ip" if direction is Direction.ROUTER else f"{direction.value} {field}"
    for value, _ in found[:3]:
        assert hits(View(), parse(f"{phrase} {value}"), NOW).put(back_end).more["hits"].flows > 0


def test_every_field_has_values_or_none_and_never_fails(store: Path) -> None:
    back_end = LocalBackEnd(store)
    for name, field in FIELDS.items():
        for direction in field.columns:
            question = top_values(View(), name, direction, NOW)
            if question is not None:
                values_of(question.put(back_end).main)
    assert top_values(View(), "seen", Direction.FIRST, NOW) is None
    assert top_values(View(), "geo", Direction.SRC, NOW) is None
