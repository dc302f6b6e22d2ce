"""What is asked while a filter is typed: how much it takes, and which values the data has for a field.

Neither may keep a key waiting, nor whoever types: where a range holds many flows the newest of them are looked at, and it is said
that these are not all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import perf_counter

from nftui.engine import keys
from nftui.engine.filter_fields import FIELDS, Direction, Kind
from nftui.engine.filters import ANY, Filter
from nftui.engine.query import Answer, BackEnd, Interval, Measure, Query
from nftui.schema import BY_NAME
from nftui.screens import cells
from nftui.screens.questions import Reply
from nftui.screens.view import View
from nftui.units import octets, scaled

NEWEST = 1_000_000
"""Flows that are looked at first."""
SLICES = 60
"""Into which a range is cut to find the newest flows."""
UNLISTED = frozenset((Kind.TIME, Kind.FLAGS, Kind.COUNTRY, Kind.ORGANISATION, Kind.DSCP))
"""Kinds of fields whose values aren't those of a column."""
VALUES = 50
"""Values of a field that are told."""


@dataclass(frozen=True, slots=True)
class Hits:
    """How much a filter takes.

    Attributes:
        main: The totals of the filter over the range.
        among: What all pictures are limited to: the flows that it is counted among.
        newest: Of how many of the newest flows, about; None for all.
    """

    main: Query
    among: Filter = ANY
    newest: int | None = NEWEST

    def put(self, back_end: BackEnd) -> Reply:
        """Count; `more` has a `Counted` under `hits`."""
        began = perf_counter()
        cut = _newest(back_end, self.main, self.among, self.newest)
        answer = back_end.answer(replace(self.main, interval=cut.interval))
        counted = Counted(answer.total.flows, answer.total.octets, cut.flows, cut.held, perf_counter() - began)
        return Reply(answer, {"hits": counted})


@dataclass(frozen=True, slots=True)
class Counted:
    """What came of it.

    Attributes:
        flows: That the filter takes.
        octets: Of these.
        looked: Flows among which they were looked for.
        held: Flows of the range.
        seconds: That it took.
    """

    flows: int
    octets: int
    looked: int
    held: int
    seconds: float

    @property
    def whole(self) -> bool:
        """Whether all flows of the range were looked at."""
        return self.looked == self.held

    def words(self, iec: bool = False) -> str:
        """Return it as `41,201 of 1.1 M flows, 12 GB, 12 ms`, or with `of the newest … of …`."""
        among = scaled(self.looked) if self.looked >= 100_000 else f"{self.looked:,}"
        of = among if self.whole else f"the newest {among} of {scaled(self.held)}"
        return f"{self.flows:,} of {of} flows, {octets(self.octets, iec)}, {self.seconds * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class TopValues:
    """The values of a field that make the most traffic, of the newest flows.

    Attributes:
        main: Groups by the field.
    """

    main: Query

    def put(self, back_end: BackEnd) -> Reply:
        """Ask for them."""
        cut = _newest(back_end, self.main, self.main.where, NEWEST)
        return Reply(back_end.answer(replace(self.main, interval=cut.interval)))


@dataclass(frozen=True, slots=True)
class _Cut:
    """The end of a range in which the newest flows lie, with how many there are in it and in all of the range."""

    interval: Interval | None
    flows: int
    held: int


def _newest(back_end: BackEnd, query: Query, among: Filter, newest: int | None) -> _Cut:
    """Return the end of a question's range that has about so many flows, a slice of it at the least."""
    counts = replace(query, keys=(), where=among, measure=Measure.FLOWS, bins=SLICES if newest else None, limit=1)
    answer = back_end.answer(counts)
    held = answer.total.flows
    if newest is None or held <= newest or answer.series is None or answer.interval is None:
        return _Cut(query.interval, held, held)
    slices = answer.series.drop("time").sum_horizontal().to_list()
    first, looked = len(slices) - 1, slices[-1]
    while first > 0 and (looked + slices[first - 1] <= newest or not looked):
        first -= 1
        looked += slices[first]
    start = cells.micros(answer.series["time"][first])
    return _Cut(Interval(max(start, answer.interval.start), answer.interval.end), looked, held)


def hits(view: View, where: Filter, now: int, newest: int | None = NEWEST) -> Hits:
    """Return the question how much a filter takes of what is looked at."""
    taken = replace(view, where=where).taken
    among = replace(view, where=ANY).taken
    return Hits(Query(view.interval(now), where=taken, limit=1), among, newest)


def top_values(view: View, field: str, direction: Direction, now: int) -> TopValues | None:
    """Return the question for the values of a field; None where none are listed."""
    name = _key_of(field, direction)
    if name is None:
        return None
    return TopValues(Query(view.interval(now), keys=(name,), where=replace(view, where=ANY).taken, limit=VALUES))


def values_of(answer: Answer, iec: bool = False, named: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
    """Return the values of an answer to `TopValues` as a filter takes them, each with its traffic; most traffic first.

    Args:
        answer: The answer.
        iec: Octets in steps of 1024.
        named: What some values are called.
    """
    name = answer.query.keys[0]
    names = dict(named)
    found = []
    for row in answer.groups.iter_rows(named=True):
        if row[name] is None:
            continue
        # As it is, not as it is shown: what can't be typed is not offered.
        plain = isinstance(row[name], str) or name not in BY_NAME
        text = str(keys.value(name, row[name])) if plain else cells.cell(name, row[name])
        share = f"{octets(row['octets'], iec):>8}"
        found.append((text, f"{share}  {names[text]}" if text in names else share))
    return found


def _key_of(field: str, direction: Direction) -> str | None:
    """Return the key that groups by what a field of a direction is compared with."""
    known = FIELDS.get(field)
    if known is None or known.kind in UNLISTED or field in ("bytes", "packets"):
        return None
    columns = known.columns.get(Direction.NONE if direction is known.same else direction, ())
    if len(columns) == 1:
        return columns[0]
    return next((name for name, (_, sides) in keys.EITHER.items() if sides == tuple(columns)), None)
