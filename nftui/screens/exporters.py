"""Exporters as an account describes them, ready for a table: a frame with a row each. Made off the screen's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

import polars as pl

from nftui.engine.account import CLOCK_S, Account, dicts, entries, instant, integer, numbers, real
from nftui.screens import cells
from nftui.screens.widgets.flow_table import Row, TableColumn
from nftui.units import SECOND, duration, scaled

MINUTE = 60 * SECOND
FRESH = 5 * MINUTE
"""A loss this recent is shown in a colour."""
NOW = 3 * SECOND
"""What is younger than this is now: the account itself is up to a second old."""
LIVE = "live"
"""What is said of a probe to which packets come."""
TREND = 16
"""Looks that a trend is made of."""
SOURCES = ("configured", "record", "sflow", "options", "header")
"""Who says what the sampling interval is, the one that holds first."""
SCHEMA: dict[str, Any] = {
    "key": pl.Binary, "address": pl.String, "name": pl.String,
    "protocol": pl.String, "flows_per_s": pl.Float64, "datagrams_per_s": pl.Float64,
    "lost": pl.Int64, "gap": pl.Int64, "templates": pl.Int64, "awaited": pl.Int64, "interval": pl.Int64, "sampling": pl.String,
    "seen": pl.Int64, "silent": pl.Boolean, "wrong": pl.Int64, "skew": pl.Float64, "started": pl.Int64, "restarts": pl.Int64,
    "flows": pl.Int64, "datagrams": pl.Int64, "octets": pl.Int64, "late": pl.Float64, "place": pl.Int64,
    "probe": pl.Boolean, "problem": pl.Boolean,
}  # fmt: skip
KERNEL = "kernel"
"""The kind of what the kernel's connection tracking tells: flows without packets of their own."""
ASCENDING = ("address", "protocol")
"""Columns that begin with the least; the others begin with the greatest."""
ORDERS = {"address": "key", "templates": "awaited", "sampling": "interval"}
"""Columns that are ordered by another one."""


@dataclass(frozen=True)
class Exporters:
    """What an account says of exporters.

    Attributes:
        account: The account.
        now: When it was written, microseconds since 1970; 0 where it doesn't say.
        frame: A row for each exporter and probe, columns `SCHEMA`; `place` is that in `entries`.
        entries: As the account has them: exporters, then probes.
        known: How many exporters there are.
        probes: How many probes.
    """

    account: Account = field(default_factory=Account)
    now: int = 0
    frame: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SCHEMA))
    entries: tuple[dict[str, Any], ...] = ()
    known: int = 0
    probes: int = 0

    @classmethod
    def of(cls, account: Account) -> Exporters:
        """Read an account; any of its values may be hostile."""
        status = account.status or {}
        found, probes = dicts(status.get("exporters")), dicts(status.get("probes"))
        rows = [_row(one, place) for place, one in enumerate(found)]
        rows += [_probe(one, place) for place, one in enumerate(probes, len(found))]
        frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        known = max(integer(status.get("exporters_known")), len(found))
        return cls(account, integer(status.get("now")), frame, (*found, *probes), known, len(probes))

    def ordered(self, by: str, *, ascending: bool) -> pl.DataFrame:
        """Return the rows ordered by a column; equals by address."""
        column = ORDERS.get(by, by)
        more = {"awaited": ["templates"], "key": []}.get(column, [])
        keys = [column, *more, "key"] if column != "key" else ["key"]
        descending = [not ascending] * (len(keys) - 1) + [False] if column != "key" else [not ascending]
        return self.frame.sort(keys, descending=descending, nulls_last=True)

    @property
    def silent(self) -> int:
        """How many are silent."""
        return int(self.frame["silent"].sum())


def _row(one: dict[str, Any], place: int) -> tuple[Any, ...]:
    address = str(one.get("address", "?"))[:128]
    interval, sampling = _sampling(one)
    wrong = sum(integer(number) for name in ("malformed", "unread") for _, number in entries(one.get(name)))
    awaited = one.get("templates_awaited")
    return (
        _key(address),
        address,
        str(one.get("name") or "")[:64],
        str(one.get("protocol", "?"))[:64],
        real(one.get("flows_per_s")),
        real(one.get("datagrams_per_s")),
        integer(one.get("sequence_lost")),
        instant(one.get("last_gap")),
        integer(one.get("templates")),
        len(awaited) if isinstance(awaited, list) else 0,
        interval,
        sampling,
        instant(one.get("last_seen")),
        one.get("silent") is True,
        min(wrong, 2**63 - 1),
        real(one.get("clock_skew_s")),
        instant(one.get("started")),
        integer(one.get("restarts")),
        integer(one.get("flows")),
        integer(one.get("datagrams")),
        integer(one.get("octets")),
        real(one.get("watermark_s")),
        place,
        False,
        False,
    )


def _probe(one: dict[str, Any], place: int) -> tuple[Any, ...]:
    """Return the row of a probe: what it drops is lost, and of what a message would tell there is nothing."""
    packets = one.get("kind") != KERNEL
    interval, name = integer(one.get("sampling")), probe_name(one)
    known = {
        "address": name, "key": (b"\xfe" if packets else b"\xfe\xff") + name.encode("utf-8", "replace"), "name": "",
        "protocol": str(one.get("kind", "?"))[:64], "flows_per_s": real(one.get("flows_per_s")),
        "datagrams_per_s": real(one.get("packets_per_s")) if packets else None, "lost": integer(one.get("drops")),
        "gap": instant(one.get("last_drop")), "templates": 0, "awaited": 0, "interval": interval if packets else 0,
        "sampling": f"1:{interval}" if packets and interval else "-", "seen": instant(one.get("last_seen")), "silent": False,
        "wrong": min(sum(integer(one.get(key)) for key in ("cut", "lost_packets")), 2**63 - 1), "flows": integer(one.get("flows")),
        "datagrams": integer(one.get("packets")) if packets else None, "octets": integer(one.get("octets")) if packets else None,
        "place": place, "probe": True, "problem": bool(one.get("problem")),
    }  # fmt: skip
    return tuple(known.get(column) for column in SCHEMA)


def probe_name(one: dict[str, Any]) -> str:
    """Return what a probe is called in lists."""
    source = str(one.get("source", "?"))[:64]
    return source if one.get("kind") == KERNEL else f"probe {source}"


def _sampling(one: dict[str, Any]) -> tuple[int, str]:
    """Return the interval that holds, and how it is shown; those that hold for some flows only are counted behind it."""
    told = sorted(
        (
            (SOURCES.index(word) if word in SOURCES else len(SOURCES), integer(number))
            for word, number in entries(one.get("sampling"))
        )
    )
    if not told:
        return 0, "-"
    interval = told[0][1]
    others = len({number for _, number in told} - {interval})
    return interval, f"1:{interval if abs(interval) < 10_000 else scaled(interval)}{f' +{others}' if others else ''}"


@lru_cache(maxsize=20_000)
def _key(address: str) -> bytes:
    """Return what an address is ordered by: IPv4 first, by number; what is no address last."""
    try:
        value = ip_address(address)
    except ValueError:
        return b"\xff" + address.encode("utf-8", "replace")
    return bytes([value.version]) + value.packed


def columns(now: int, rates: Iterable[Mapping[str, float]] = ()) -> list[TableColumn]:
    """Return the columns of the table.

    Args:
        now: When the account was written, microseconds since 1970.
        rates: Flows a second by address, as they were looked at so far.
    """

    def warned(when: Callable[[Row], bool]) -> Callable[[int, Row], str | None]:
        return lambda n, row: "warn" if when(row) else None

    def count(name: str, label: str, width: int, rank: int = 0, when: Callable[[Row], bool] | None = None) -> TableColumn:
        return TableColumn(name, label, width, lambda n, row: _count(row[name]), True, 0, rank, when and warned(when))

    def rate(name: str, label: str) -> TableColumn:
        return TableColumn(name, label, len(label), lambda n, row: _rate(row[name]), True)

    def clock_is_off(row: Row) -> bool:
        return abs(float(row["skew"] or 0.0)) >= CLOCK_S

    def age(name: str, none: str) -> Callable[[int, Row], str]:
        return lambda n, row: none if not row[name] else "now" if now - row[name] < NOW else since(row[name], now)

    def seen_colour(_: int, row: Row) -> str:
        return "error" if row["problem"] else "warn" if row["silent"] else "good" if last(0, row) == LIVE else "dim"

    def last(_: int, row: Row) -> str:
        if row["problem"]:
            return "off"
        shown = age("seen", "never")(0, row)
        return LIVE if row["probe"] and shown == "now" else shown

    def trend(_: int, row: Row) -> str:
        # In hundredths: a trend is of whole numbers.
        values = [round(100 * seen.get(row["address"], 0.0)) for seen in rates]
        return cells.spark(values, TREND) if len(values) > 1 else ""

    return [
        TableColumn("address", "exporter", 15, lambda n, row: full_name(row), grows=2, middle=True),
        TableColumn("protocol", "protocol", 9, lambda n, row: row["protocol"]),
        rate("flows_per_s", "flows/s"),
        TableColumn("trend", "trend", TREND, trend, rank=10),
        rate("datagrams_per_s", "dgrams/s"),
        count("lost", "lost", 5, when=lambda row: row["gap"] > now - FRESH > 0),
        TableColumn("templates", "templ", 7, _templates, True, colour=warned(lambda row: row["awaited"] > 0)),
        TableColumn("sampling", "sampling", 8, lambda n, row: row["sampling"], True, rank=1),
        count("wrong", "wrong", 5, 4, lambda row: row["wrong"] > 0),
        TableColumn("skew", "clock", 7, _skew, True, rank=2, colour=warned(clock_is_off)),
        count("restarts", "restarts", 8, 5),
        TableColumn("started", "up", 6, age("started", "-"), True, rank=3),
        count("flows", "flows", 6, 6),
        count("datagrams", "dgrams", 6, 7),
        count("octets", "octets", 6, 8),
        TableColumn("late", "late", 6, lambda n, row: duration(int(row["late"] * SECOND)) if row["late"] else "-", True, rank=9),
        TableColumn("seen", "seen", 5, last, True, colour=seen_colour),
    ]


def full_name(row: Row) -> str:
    """Return what an exporter is called: the name that the user gave it, then its address."""
    return f"{row['name']} {row['address']}" if row["name"] else str(row["address"])


def _templates(_: int, row: Row) -> str:
    known, awaited = row["templates"], row["awaited"]
    if not known and not awaited:
        return "-"
    return f"{scaled(known)}/{scaled(known + awaited)}" + (" !" if awaited else "")


def _count(value: int | None) -> str:
    return "-" if value is None else scaled(value)


def _rate(value: float | None) -> str:
    return "-" if value is None else scaled(value) if abs(value) >= 0.05 else "0"


def _skew(_: int, row: Row) -> str:
    if row["skew"] is None:
        return "-"
    return skew(row["skew"]) if abs(row["skew"]) >= CLOCK_S else "ok"


def skew(seconds: float) -> str:
    """Return how far a clock is off: `+` when it is behind, as times have to be moved on."""
    return ("+" if seconds > 0 else "-") + duration(int(abs(seconds) * SECOND))


def since(then: int, now: int) -> str:
    """Return a length of time without the parts that would change all the while: `12s`, `5m`, `3h`, `41d`."""
    length = max(now - then, 0)
    for unit, size in (("d", 24 * 60 * MINUTE), ("h", 60 * MINUTE), ("m", MINUTE)):
        if length >= size:
            return f"{length // size}{unit}"
    return f"{length // SECOND}s"


def template_ids(domain: dict[str, Any]) -> tuple[list[int], list[int]]:
    """Return the ids of a domain's templates, and those of its options templates."""
    return numbers(domain.get("templates")), numbers(domain.get("options_templates"))
