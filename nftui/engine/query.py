"""A frozen question about flows, and its answer.

A `Query` knows no engine: each back end answers it by `partial` (one immutable part of the store), `merge` (of partials) and
`finish` (top list, series, coverage). Partials of disjoint parts merge by adding, so a part is read once.

Meaning of a range [start, end): a flow counts its octets and packets in proportion to the part of it that lies inside, and counts
as a flow where its last instant lies. `contained` asks instead for the flows that lie wholly inside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

import nftui.engine.flow_classes  # noqa: F401  makes its keys known: whoever makes a query may name them
from nftui.engine.filters import ANY, Filter

if TYPE_CHECKING:
    from nftui.engine.account import Account
    from nftui.engine.ordered import Records
    from nftui.engine.watch import Watch


class Measure(StrEnum):
    """What is summed, and ranked by."""

    OCTETS = "octets"
    PACKETS = "packets"
    FLOWS = "flows"


class Kind(StrEnum):
    """What is asked for: totals and groups (with a series where `bins` is set), or flow records."""

    GROUPS = "groups"
    FLOWS = "flows"


class Folding(StrEnum):
    """Whether both directions of a connection become one group, and which of them it is named after."""

    NONE = "none"
    FIRST = "first"
    """After the flow that started first; at the same time, after the one towards the lower port."""
    GUESS = "guess"
    """The same, but turned around where the source port is below 1024 and the destination port above (TCP, UDP): nfdump's `-B`."""


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A half-open range of time [start, end), microseconds since 1970, UTC."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Microseconds from start to end."""
        return self.end - self.start


KEYS: dict[str, tuple[str, ...]] = {
    "srcip": ("source_address",),
    "dstip": ("destination_address",),
    "srcport": ("source_port",),
    "dstport": ("destination_port",),
    "proto": ("protocol",),
    "none": (),
}
"""The dimensions to group by: name on the command line and in configuration -> columns of the schema."""

EACH_WAY = ("in_octets", "in_packets", "out_octets", "out_packets")
"""What a group of both directions tells beside its sums."""

GROUP_ORDERS = ("octets", "packets", "flows", "bps", "pps", "bpp", "first", "last", "duration", *EACH_WAY)
"""What groups may be ranked by; the last four where directions are folded."""

RECORD_KEYS = ("source_address", "destination_address", "source_port", "destination_port", "protocol")


@dataclass(frozen=True, slots=True)
class Query:
    """One question.

    Attributes:
        interval: The range of flow time; None for all that the store holds.
        kind: Groups or flow records.
        keys: Names of what is grouped by, as `engine/keys.py` knows them; () for one total.
        where: The filter, a tree free of any engine.
        measure: What a series shows.
        order: Ranking of groups: one of `GROUP_ORDERS`; of flow records any column. Descending.
        ascending: Turns the order around.
        limit: How many groups or records are shown; the other groups become `other`. None for all.
        bins: Number of equal bins of a series over the interval (all that is held when that is None); None for no series.
        sampling: Whether counters are multiplied by the sampling interval of their flow.
        contained: Only flows that lie wholly inside the interval, as nfdump's `-t`.
        times: Whether each group tells its first start and last end, as columns `first` and `last` (microseconds).
        folding: Whether groups are connections of both directions; not with `bins`. Keys come in pairs then, `source_…` and
            `destination_…`; where protocol and ports are among them, flows that aren't TCP or UDP stay as they are. Each group
            tells `EACH_WAY` beside the sums of both: `in_…` from source to destination, `out_…` back.
        only: The groups that are shown, by the values of their keys as in an answer's `groups`, in this order, instead of the best
            ones: so that one range can be told beside another. One that has no flows is shown with none.
        having: A filter over the groups: their sums, rates, times and keys. Groups that it leaves out belong to `other`.
    """

    interval: Interval | None = None
    kind: Kind = Kind.GROUPS
    keys: tuple[str, ...] = ()
    where: Filter = ANY
    measure: Measure = Measure.OCTETS
    order: str = "octets"
    ascending: bool = False
    limit: int | None = 10
    bins: int | None = None
    sampling: bool = True
    contained: bool = False
    times: bool = False
    folding: Folding = Folding.NONE
    having: Filter = ANY
    only: tuple[tuple[Any, ...], ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what nothing answers."""
        if self.bins and self.folding is not Folding.NONE:
            raise ValueError("bins of both directions together")


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over flows; `*_estimate` in words where sampling was applied."""

    octets: int = 0
    packets: int = 0
    flows: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.octets + other.octets, self.packets + other.packets, self.flows + other.flows)

    def __sub__(self, other: Totals) -> Totals:
        return Totals(self.octets - other.octets, self.packets - other.packets, self.flows - other.flows)

    def value(self, measure: Measure) -> int:
        """Return the sum of one measure."""
        return int(getattr(self, measure.value))


@dataclass(frozen=True, slots=True)
class Coverage:
    """What part of the asked time and exporters an answer stands on.

    Attributes:
        asked: The interval of the question, None for all.
        held: From the first start to the last end of the flows the answer stands on; None where there were none.
        parts: Files read, or reused from an earlier answer.
        parts_read: Files read for this answer.
        flows_scanned: Flows in the files that the answer stands on, looked at now or earlier.
        octets_read: Size of the files behind the answer.
        seconds: Wall time of the answer.
        sampled: Whether a sampling interval above 1 was among the flows.
        settling_from: The time after which more flows are to be expected; None where nothing is known of it.
        drops: Datagrams, and packets of probes, lost in the kernel within the collector's life, as its status says.
        lost: Flows or messages that gaps in sequence numbers stand for.
        unread: Files that couldn't be read, each with the reason.
        partial: The share of these flows that was read so far, 0 to 1; None where the answer stands on all of them.
    """

    asked: Interval | None = None
    held: Interval | None = None
    parts: int = 0
    parts_read: int = 0
    flows_scanned: int = 0
    octets_read: int = 0
    seconds: float = 0.0
    sampled: bool = False
    settling_from: int | None = None
    drops: int = 0
    lost: int = 0
    unread: tuple[str, ...] = ()
    partial: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the coverage as plain values for machine-readable output."""
        from nftui.units import rfc3339

        def span(interval: Interval | None) -> list[str] | None:
            return None if interval is None else [rfc3339(interval.start), rfc3339(interval.end)]

        return {
            "asked": span(self.asked),
            "held": span(self.held),
            "parts": self.parts,
            "flows_scanned": self.flows_scanned,
            "octets_read": self.octets_read,
            "seconds": round(self.seconds, 6),
            "sampled": self.sampled,
            "settling_from": None if self.settling_from is None else rfc3339(self.settling_from),
            "drops": self.drops,
            "lost": self.lost,
            "unread": list(self.unread),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a query.

    Attributes:
        query: The question, as asked.
        groups: A row a shown group, best first: the keys (schema dtypes), `octets`, `packets`, `flows`, and what `times` and
            `folding` ask for. One row when `keys` is ().
        total: Sums over all matching flows.
        group_count: Groups in all that `having` takes, shown or not.
        series: None without `bins`; else a row a bin: `time` (start of the bin), then `g0`, `g1`, … in the order of `groups`, then
            `other`: Int64, sums of the measure in the bin, never rates. Each row sums to all matching flows in that bin; each
            column sums to its group's total.
        bin_width: Microseconds of a bin, 0 without `bins`. With unequal bins (a range that does not divide) the widest.
        flows: Flow records of the schema's columns, kind FLOWS only.
        first: Earliest start among the matching flows, microseconds; None where there were none.
        last: Latest end.
        coverage: What the answer stands on.
    """

    query: Query
    groups: pl.DataFrame
    total: Totals
    group_count: int
    coverage: Coverage
    series: pl.DataFrame | None = None
    bin_width: int = 0
    flows: pl.DataFrame | None = None
    first: int | None = None
    last: int | None = None

    @property
    def other(self) -> Totals:
        """Sums over the groups that are not shown; where groups overlap, over the flows that stand in none that is."""
        if self.groups.is_empty():
            return self.total
        if self.covered is not None:
            return self.total - self.covered
        shown = self.groups.select(pl.col("octets", "packets", "flows").sum()).row(0)
        return self.total - Totals(*shown)

    interval: Interval | None = field(default=None)
    """The range that the bins cover: the question's, or all that is held."""
    covered: Totals | None = None
    """Of an either-side key: what the flows sum to that stand in a group that is shown, each counted once; else None."""
    left_out: int = 0
    """Groups that `having` doesn't take."""


class BackEnd(Protocol):
    """What answers queries: here, on another host, on a cluster."""

    def answer(self, query: Query, watch: Watch | None = None) -> Answer:
        """Answer a question; may take long, is called off the screen's thread.

        Args:
            query: The question.
            watch: Follows it: takes answers that stand on what was read so far, and may give it up.
        Raises:
            StoreError: The store can't be read at all.
            GivenUp: The watch gave it up. What was read is kept: asked again, the question goes on from there.
        """
        ...

    def records(self, query: Query) -> Records:
        """Return flow records to be read in order in bounded memory, however many there are: to be written to a file.

        Raises:
            StoreError: The store can't be read at all.
        """
        ...

    def status(self) -> dict[str, Any] | None:
        """Return the collector's last status, or None where there is none; every string in it is from outside."""
        ...

    def held(self) -> Interval | None:
        """Return the range of flow times that there are flows of, None where there are none; costs little."""
        ...

    def account(self) -> Account:
        """Return all that the collector says of itself; every string in it is from outside."""
        ...
