"""What empties an answer: the clause, or the fewest clauses together, with few questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nftui.engine.filter_emptiness import MOST_QUESTIONS, what_empties
from nftui.engine.filters import parse, text
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Answer, Folding, Interval, Kind, Query
from tests.running import nftui

FIXTURE = Path(__file__).parents[1] / "data" / "ten-flows.pcap"


class Counting(LocalBackEnd):
    """The back end of a store, which counts its questions."""

    asked = 0

    def answer(self, query: Query) -> Answer:
        self.asked += 1
        return super().answer(query)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("store")
    nftui("import", "--data", data, FIXTURE)
    return data


def found(store: Path, written: str, **more: Any) -> tuple[list[list[str]], int]:
    back_end = Counting(store, keep=False)
    emptying = what_empties(back_end, Query(where=parse(written), **more))
    return [[text(term) for term in one.terms] for one in emptying], back_end.asked


@pytest.mark.parametrize(
    ("written", "clauses"),
    [
        ("port 9999", [["port 9999"]]),
        ("proto tcp and port 9999", [["port 9999"]]),
        ("proto tcp and not any and port 80", [["not any"]]),
        ("proto tcp and (port 9999 or port 9998)", [["port 9999 or port 9998"]]),
        ("proto tcp and dst port 53", [["proto tcp", "dst port 53"]]),
        ("bytes > 0 and proto tcp and packets > 0 and dst port 53", [["proto tcp", "dst port 53"]]),
        ("src ip 10.0.0.1 and dst port 80 and proto udp and bytes > 0", [["dst port 80", "proto udp"]]),
        ("(proto tcp and port 9999) or (ip 1.2.3.4 and proto udp)", [["port 9999"], ["ip 1.2.3.4"]]),
        ("port 80", []),
    ],
)
def test_names_the_fewest_clauses(store: Path, written: str, clauses: list[list[str]]) -> None:
    assert found(store, written)[0] == clauses


def test_a_range_without_flows_is_no_fault_of_the_filter(store: Path) -> None:
    assert found(store, "port 80", interval=Interval(0, 1_000_000)) == ([[]], 2)
    assert str(what_empties(LocalBackEnd(store), Query(Interval(0, 1_000_000)))[0]) == "there are no flows in this range at all"


def test_whatever_was_asked_only_totals_are(store: Path) -> None:
    queries = [
        Query(kind=Kind.FLOWS, order="flow_start", limit=None),
        Query(keys=("source_address",), bins=5, times=True),
        Query(contained=True, sampling=False),
        Query(keys=("source_address", "destination_address"), folding=Folding.GUESS, having=parse("bytes > 1T")),
    ]
    for query in queries:
        (one,) = what_empties(LocalBackEnd(store), replace(query, where=parse("port 80 and port 9999")))
        assert str(one) == "no flow in this range matches port 9999"


def test_one_of_many_is_found_with_few_questions(store: Path) -> None:
    many = [f"bytes > {n}" for n in range(40)]
    for place in (0, 17, 40):
        clauses, asked = found(store, " and ".join([*many[:place], "port 9999", *many[place:]]))
        assert clauses == [["port 9999"]]
        assert asked < MOST_QUESTIONS
    clauses, asked = found(store, " and ".join(["proto tcp", *many, "dst port 53"]))
    assert clauses == [["proto tcp", "dst port 53"]]
    assert asked < MOST_QUESTIONS


def test_questions_are_bounded(store: Path) -> None:
    apart = " and ".join(f"not ip 10.0.{n // 10}.{n % 10}" for n in range(100))
    hosts = " and ".join(f"not ip {address}" for address in ("192.168.0.1", "8.8.8.8", "192.168.0.22", "172.16.0.9", "192.168.0.9"))
    back_end = Counting(store, keep=False)
    (one,) = what_empties(back_end, Query(where=parse(f"{apart} and {hosts} and bytes < 127 and packets > 0 and packets < 2")))
    assert (back_end.asked, one.questions, one.least, len(one.terms)) == (MOST_QUESTIONS, MOST_QUESTIONS, False, 108)
    assert str(one) == "no flow in this range matches the 108 terms together; which of them is to blame was not found"
    back_end = Counting(store)
    assert what_empties(back_end, Query(where=parse("port 9999")), seconds=-1) == []
    assert back_end.asked == 0
