"""What a panel of the Summary screen breaks traffic down by: the name of its choice, the keys behind it, and how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from nftui.engine import filters, keys
from nftui.engine.filters import Filter, all_of
from nftui.engine.query import KEYS, Interval, Kind, Measure, Query
from nftui.screens.presets import DIMENSIONS
from nftui.screens.view import DAY, HOUR, MINUTE, View, zone_offset
from nftui.screens.view import keys_of as words_of

MOST = 50
"""Groups that a panel asks for."""
TREND = 30
"""Bins of a panel's trends, where there is room for them."""
LONGEST = 62 * DAY
"""What the hours of a panel go back at most."""
WEEK = 7


class Shape(Enum):
    """How a panel is laid out."""

    RANKED = "the largest groups, and what they leave"
    CLASSES = "all classes in their order, by flows"
    INTERFACES = "what came in and went out by each interface"
    HOURS = "days by hours"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing to break down by.

    Attributes:
        name: As it is chosen and typed: words of `-A`, or a name of `PRESETS`.
        title: Behind `by`, or in the place of it.
        keys: Names of keys.
        shape: How it is laid out.
        within: A filter that goes with it.
        into: The name of what a step down into a group shows next; empty to stay.
    """

    name: str
    title: str
    keys: tuple[str, ...]
    shape: Shape = Shape.RANKED
    within: str = ""
    into: str = ""

    @property
    def either(self) -> bool:
        """Whether groups overlap, so that what some of them leave can't be told from their sums."""
        return keys.either(self.keys) is not None

    def queries(self, view: View, now: int, bins: int, seen: Interval | None) -> tuple[Query, ...]:
        """Return what is asked for it.

        Args:
            view: The shared view.
            now: Microseconds since 1970.
            bins: Of trends; 0 for none.
            seen: What is held of the view's range, where that has no edges.
        """
        where: Filter = all_of(view.taken, filters.parse(self.within)) if self.within else view.taken
        if self.shape is Shape.HOURS:
            interval, count = hours(view.interval(now) or seen, now)
            return (Query(interval, where=where, bins=count),)
        measure, order, limit = view.measure, view.order.value, MOST
        if self.shape is Shape.CLASSES:
            measure, order, limit = Measure.FLOWS, Measure.FLOWS.value, 250
        one = Query(view.interval(now), Kind.GROUPS, self.keys, where, measure, order, view.ascending, limit, bins or None)
        if self.shape is not Shape.INTERFACES:
            return (one,)
        ends = ("ingress_interface", "egress_interface")
        return tuple(replace(one, keys=("exporter_address", end), bins=None) for end in ends)


def hours(interval: Interval | None, now: int) -> tuple[Interval, int]:
    """Return the range of days by hours, and its bins: the last seven local days, or all of a longer range than one day.

    Bins are an hour, or a quarter where local time is not whole hours off UTC.
    """
    end = min(now, now if interval is None else interval.end)
    shift = zone_offset(end)
    width = HOUR if shift % HOUR == 0 else 15 * MINUTE
    last = (end + shift) // HOUR * HOUR + HOUR - shift
    if interval is None or interval.length <= DAY:
        first = (end + shift) // DAY * DAY - (WEEK - 1) * DAY - shift
    else:
        first = (max(interval.start, end - LONGEST) + shift) // HOUR * HOUR - shift
    return Interval(first, last), (last - first) // width


PRESETS = {
    one.name: one
    for one in (
        Dimension("app", "app", ("service",)),
        Dimension("interfaces", "interface", ("exporter_address", "interface"), Shape.INTERFACES),
        Dimension("hours", "hour", (), Shape.HOURS),
        Dimension("size", "flows by size", ("size_class",), Shape.CLASSES),
        Dimension("durclass", "flows by duration", ("duration_class",), Shape.CLASSES),
        Dimension("ports", "top ports", ("protocol", "service_port"), into="ip"),
        Dimension("listeners", "top listeners", ("destination_address",)),
        Dimension("talkers", "top talkers", ("source_address",)),
        Dimension("tcp ports", "top TCP ports", ("destination_port",), within="proto tcp", into="ip"),
        Dimension("udp ports", "top UDP ports", ("destination_port",), within="proto udp", into="ip"),
        Dimension("srcas", "source AS", ("source_as",)),
    )
}
"""Those with a name, a title or a shape of their own."""
EXPLORER = ("listeners", "talkers", "tcp ports", "udp ports")
"""What one key goes through."""
FIRST = ("app", "srcas", "interfaces", "hours", "ports", "size")
"""What the panels show at first."""
INSTEAD = {"srcas": "srcip"}
"""What a panel shows at first where flows tell nothing of the other."""
OFFERED: dict[str, str] = {
    **{name: one.title for name, one in PRESETS.items()}, **{name: DIMENSIONS[name] for name in KEYS if name != "none"},
    "ip": "address, either side", "port": "port, either side", "dstas": "destination AS", "srcip/24/64": "source network",
    "dstip/24/64": "destination network", "router": "exporter", "tos": "type of service", "flags": "TCP flags",
    "vlan": "VLAN, either side", "mac": "MAC, any", "nhip": "next hop",
}  # fmt: skip
"""Choices of a list: name, and words for it. Others can be typed."""


def dimension(name: str) -> Dimension:
    """Return what a name or typed words stand for.

    Raises:
        UsageError: A word is no key.
    """
    name = name.strip()
    if name in PRESETS:
        found = PRESETS[name]
        if name == "srcas":
            # With a MaxMind file the word stands for what that tells, too.
            return replace(found, keys=words_of(name))
        return found
    return Dimension(name, " ".join(keys.key(one).label for one in words_of(name)) or "all flows", words_of(name))
