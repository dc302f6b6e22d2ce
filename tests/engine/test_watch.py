"""Watched questions: read in steps, given up and asked again, they are answered as if asked once."""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nftui.engine import compaction, ground, sealer
from nftui.engine import store as stores
from nftui.engine.compaction import HOUR_US, Compactor
from nftui.engine.filters import parse
from nftui.engine.leaving import Leaving
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Answer, Interval, Kind, Query
from nftui.engine.sealer import Sealer
from nftui.engine.set_aside import SetAside
from nftui.engine.watch import Watch
from nftui.engine.writer import StoreWriter
from nftui.errors import GivenUp
from nftui.units import SECOND
from tests.engine.conftest import flows_frame

BASE = 1_700_000_000 * SECOND
LENGTH = 60 * SECOND
WHOLE = Interval(BASE + 7 * SECOND, BASE + LENGTH - 5 * SECOND)
QUERIES = (
    Query(WHOLE, keys=("source_address",), bins=10, limit=5),
    Query(WHOLE, keys=("destination_port",), bins=7, limit=2, order="bps"),
    Query(WHOLE, keys=("address",), bins=7, limit=3, where=parse("port 53 or port 80")),
    Query(WHOLE, keys=("source_address",), bins=10, limit=5, contained=True),
    Query(WHOLE, bins=5, where=parse("port 53")),
    Query(keys=("source_address", "destination_port"), limit=None),
    Query(),
    Query(WHOLE, kind=Kind.FLOWS, order="flow_start", limit=30),
)


class After(Watch):
    """Gives up by itself after a number of steps."""

    def __init__(self, steps: int, hear: Callable[[Answer], None] | None = None) -> None:
        super().__init__(hear)
        self._left = steps

    def check(self) -> None:
        self._left -= 1
        if self._left < 0:
            self.give_up()
        super().check()

    @property
    def due(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have steps of some flows, so that parts are cut into pieces too."""
    for name, flows in (("FIRST_STEP", 40), ("LEAST_STEP", 20), ("MOST_STEP", 90)):
        monkeypatch.setattr(ground, name, flows)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with segments and a tail, of flows that are long and short."""
    root, chance = tmp_path_factory.mktemp("watched"), random.Random(1)
    writer, sealer = StoreWriter(root), Sealer(root, interval_s=8)
    for second in range(60):
        writer.append([flows_frame(list(_flows(chance, BASE + second * SECOND)))])
        writer.write_tail()
        if second % 9 == 8 and second < 45:
            sealer.sweep(BASE + second * SECOND)
    return root


def _flows(chance: random.Random, at: int) -> Iterator[dict[str, Any]]:
    for _ in range(chance.randrange(1, 60)):
        end = at + chance.randrange(SECOND)
        yield {
            "flow_start": end - chance.choice([0, 5_000, 300_000, 20 * SECOND]), "flow_end": end, "received": at + SECOND,
            "octets": chance.choice([1, 40, 1_000_000]), "packets": chance.randrange(1, 1000), "protocol": 6,
            "source_address": chance.randrange(30), "destination_address": chance.randrange(30, 50),
            "destination_port": chance.choice([53, 80, 443]), "source_port": 7,
            "sampling_interval": chance.choice([None, None, 4]),
        }  # fmt: skip


def _comparable(answer: Answer) -> tuple[Any, ...]:
    series = None if answer.series is None else answer.series.rows()
    flows = None if answer.flows is None else answer.flows.rows()
    facts = (answer.total, answer.group_count, answer.first, answer.last, answer.covered, answer.coverage.partial)
    return answer.groups.rows(), series, flows, facts


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_what_was_given_up_and_asked_again_is_answered_as_if_asked_once(store: Path, query: Query) -> None:
    wanted = LocalBackEnd(store, keep=False).answer(query)
    chance, back_end = random.Random(2), LocalBackEnd(store)
    assert _comparable(back_end.answer(query, Watch())) == _comparable(wanted)
    back_end, patience = LocalBackEnd(store), 1
    for _ in range(500):
        try:
            answer = back_end.answer(query, After(chance.randrange(patience)))
            break
        except GivenUp:
            patience += 1
    assert _comparable(answer) == _comparable(wanted)
    moved = replace(query, interval=Interval(WHOLE.start + 10 * SECOND, WHOLE.end + 5 * SECOND))
    assert _comparable(back_end.answer(moved, Watch())) == _comparable(LocalBackEnd(store, keep=False).answer(moved))


def test_a_question_goes_on_from_where_it_was_given_up(store: Path) -> None:
    back_end, query = LocalBackEnd(store), QUERIES[0]
    with pytest.raises(GivenUp):
        back_end.answer(query, After(12))
    parts = back_end.answer(query, Watch()).coverage
    # The series of a question that was given up among its groups is still to be read.
    groups_only = LocalBackEnd(store)
    once = Query(query.interval, keys=query.keys, limit=5)
    with pytest.raises(GivenUp):
        groups_only.answer(once, After(12))
    assert 0 < groups_only.answer(once, Watch()).coverage.parts_read < parts.parts


def test_what_is_known_so_far_grows_and_says_its_share(store: Path) -> None:
    for query in (QUERIES[0], QUERIES[5]):
        heard: list[Answer] = []
        watch = After(1 << 30, heard.append)
        answer = LocalBackEnd(store).answer(query, watch)
        shares = [one.coverage.partial or 0.0 for one in heard]
        groups = [one.coverage.partial or 0.0 for one in heard if one.series is None]
        assert len(groups) > 5 and groups == sorted(groups) and 0 < groups[0] < 0.3 and groups[-1] == 1
        assert shares[len(groups) :] == sorted(shares[len(groups) :])
        totals = [one.total.flows for one in heard]
        assert totals == sorted(totals) and totals[0] < answer.total.flows == totals[-1]
        for one in heard:
            assert one.query == query and one.other.flows >= 0
            assert one.other.octets + one.groups["octets"].sum() == one.total.octets
        assert answer.coverage.partial is None


def test_several_threads_ask_at_once_what_they_would_alone(store: Path) -> None:
    wanted = [_comparable(LocalBackEnd(store, keep=False).answer(query)) for query in QUERIES]
    back_end, found = LocalBackEnd(store), []

    def ask(turn: int) -> None:
        chance = random.Random(turn)
        for number in chance.sample(range(len(QUERIES)), len(QUERIES)):
            with contextlib.suppress(GivenUp):
                back_end.answer(QUERIES[number], After(chance.randrange(20)))
            found.append((number, _comparable(back_end.answer(QUERIES[number], Watch()))))

    threads = [threading.Thread(target=ask, args=(turn,)) for turn in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 3 * len(QUERIES)
    assert all(answer == wanted[number] for number, answer in found)


@pytest.fixture
def hasty() -> Iterator[None]:
    """Have threads take turns a thousand times as often."""
    every = sys.getswitchinterval()
    sys.setswitchinterval(every / 1000)
    yield
    sys.setswitchinterval(every)


@pytest.mark.usefixtures("hasty")
def test_threads_ask_while_what_they_read_is_sealed_and_compacted_beneath(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What was superseded goes in a moment, and a reader soon forgets what has gone: both happen again and again.
    monkeypatch.setattr(sealer, "GRACE_S", 0.3)
    monkeypatch.setattr(compaction, "GRACE_S", 0.3)
    monkeypatch.setattr(stores, "KNOWN", 4)
    chance, writer = random.Random(3), StoreWriter(tmp_path)
    for second in range(60):
        writer.append([flows_frame(list(_flows(chance, BASE + second * SECOND)))])
        writer.write_tail()
    wanted = [_comparable(LocalBackEnd(tmp_path, keep=False).answer(query)) for query in QUERIES]
    back_end, over = LocalBackEnd(tmp_path), threading.Event()
    back_end.store._room = 4
    right, failed = [0] * 4, []

    def ask(turn: int) -> None:
        chance = random.Random(turn)
        while not over.is_set() or not right[turn]:
            number = chance.randrange(len(QUERIES))
            try:
                answer = back_end.answer(QUERIES[number], Watch() if turn % 2 else None)
            except Exception as error:  # noqa: BLE001  whatever fails is what the test looks for
                failed.append(f"{number}: {error!r}")
                return
            if _comparable(answer) != wanted[number]:
                failed.append(f"{number} is answered otherwise: {answer.total} of {wanted[number][3][0]}")
                return
            right[turn] += 1

    threads = [threading.Thread(target=ask, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    sealing, leaving = Sealer(tmp_path, interval_s=4), Leaving()
    for second in range(4, 64, 4):
        sealing.sweep(BASE + second * SECOND)
        time.sleep(0.05)
    sealing.sweep(BASE + HOUR_US, everything=True)
    monkeypatch.setattr(compaction, "PIECE_FLOWS", 500)
    compactor = Compactor(tmp_path, leaving, SetAside(tmp_path))
    while compactor.step(BASE + 10 * HOUR_US, 1 << 40):
        leaving.remove()
        time.sleep(0.02)
    over.set()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert compactor.made > 1 and sealing.made > 10
    assert all(right)


def test_threads_that_meet_a_damaged_file_at_once_all_pass_over_it(tmp_path: Path) -> None:
    chance, writer, sealing = random.Random(4), StoreWriter(tmp_path), Sealer(tmp_path, interval_s=8)
    for second in range(0, 32, 8):
        writer.append([flows_frame(list(_flows(chance, BASE + second * SECOND)))])
        writer.write_tail()
    damaged = sealing.sweep(BASE + HOUR_US, everything=True)[1]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    back_end, together, found = LocalBackEnd(tmp_path), threading.Barrier(4), []

    def ask() -> None:
        together.wait()
        found.append(back_end.answer(Query(keys=("source_address",)), Watch()))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert len({_comparable(answer)[3] for answer in found}) == 1
    assert all(len(answer.coverage.unread) == 1 for answer in found)
