"""The commands that rank: `top` and `pairs`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from nftui import filtering
from nftui.asking import back_end_of, explain, form_of, print_lines, printable_word, shared_of, write
from nftui.engine import having, keys
from nftui.engine.filters import ANY, parse
from nftui.engine.folding import twins
from nftui.engine.matrix import ENDS, MOST, matrix
from nftui.engine.query import EACH_WAY, GROUP_ORDERS, RECORD_KEYS, Answer, Folding, Measure, Query
from nftui.errors import FilterError, UsageError
from nftui.export import rows, text
from nftui.export.matrix_table import MatrixTable
from nftui.export.top_lists import top_block
from nftui.naming import naming_of

ORDERS: dict[str, str] = {
    **{name: name for name in GROUP_ORDERS},
    "bytes": "octets", "tstart": "first", "tend": "last",
    **dict.fromkeys(("ibyte", "ibytes"), "in_octets"), **dict.fromkeys(("obyte", "obytes"), "out_octets"),
    **dict.fromkeys(("ipkg", "ipackets"), "in_packets"), **dict.fromkeys(("opkg", "opackets"), "out_packets"),
    "ibps": "bps", "ipps": "pps", "ibpp": "bpp",
}  # fmt: skip
"""Orders of the command line, nfdump's among them -> those of a question."""

WAYS = {"": False, "d": False, "desc": False, "a": True, "asc": True}
ONE_WAY = {"in_octets": "octets", "in_packets": "packets"}
"""What counts one way is all there is, unless directions are folded."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """One top list that is asked for.

    Attributes:
        name: As asked for: `srcip`, `ip:p`, `record`.
        keys: What is grouped by.
        order: What groups are ranked by, as in a question.
        ascending: Whether the smallest come first.
    """

    name: str
    keys: tuple[str, ...]
    order: str
    ascending: bool = False


def top(data: Path, options: argparse.Namespace, *, given: bool) -> int:
    """Print one top list a statistic and order; as text with the summary, the time window and the cost below."""
    naming_of(options)
    folding = Folding.GUESS if options.guess else Folding.FIRST if options.both_ways else Folding.NONE
    grouped = keys.parse(options.aggregate) if options.aggregate is not None else RECORD_KEYS
    together = options.aggregate is not None or options.records or folding is not Folding.NONE
    saved = None if together else filtering.aggregate_by(options)
    words = options.statistic or ["record" if saved in (None, "none") else saved]
    asked = [one for word in words for one in statistics(word, grouped, options.order or options.metric, folding)]
    if together and (alone := [one.name for one in asked if one.name != "record"]):
        raise UsageError(
            f"-A, -a, -b and -B say what flows become records of; -s {alone[0]} groups by itself: leave one of them out"
        )
    return _answer(data, options, asked, folding, given=given)


def pairs(data: Path, options: argparse.Namespace, *, given: bool) -> int:
    """Print pairs of addresses, whoever of the two began: what went each way; or the matrix of those who talk most."""
    if options.matrix:
        return _matrix(data, options, given=given)
    if options.by != "ip":
        raise UsageError("--by says what a matrix is of; add --matrix")
    asked = statistics("record", ("source_address", "destination_address"), options.order or options.metric, Folding.FIRST)
    return _answer(data, options, asked, Folding.FIRST, given=given)


def statistics(word: str, grouped: tuple[str, ...], order: str, folding: Folding = Folding.NONE) -> list[Statistic]:
    """Return the lists that one `-s` asks for.

    Args:
        word: `STAT[:p][/LENGTH][/ORDER[:a|:d]]…`.
        grouped: What a record is grouped by.
        order: The order where the word has none.
        folding: Whether directions are folded.

    Raises:
        UsageError: It means nothing.
    """
    first, *parts = word.split("/")
    name, _, split = first.partition(":")
    lengths = [part for part in parts if part.isdigit()]
    orders = [part for part in parts if not part.isdigit()]
    said = f"-s {printable_word(word)}" if orders else f"-O {printable_word(order)}"
    if split not in ("", "p"):
        raise UsageError(f"-s {printable_word(word)}: only :p may follow the statistic, for a list by protocol")
    if name == "record":
        by = grouped
    else:
        by = keys.parse("/".join([name, *lengths]), "-s") if name != "none" else ()
        if len(by) != 1:
            raise UsageError(f"-s {printable_word(word)}: one statistic at a time; -A groups by several")
    if split and "protocol" not in by:
        by = (*by, "protocol")
    if not by:
        raise UsageError("-A: name a key at least")
    return [Statistic("/".join([first, *lengths]), by, *_order(said, one, folding)) for one in orders or [order]]


def _order(said: str, order: str, folding: Folding) -> tuple[str, bool]:
    name, _, way = order.partition(":")
    found = ORDERS.get(name)
    if found is None or way not in WAYS:
        raise UsageError(f"{said}: no such order; take one of {', '.join(sorted(ORDERS))}, with :a for the smallest first")
    if folding is Folding.NONE:
        if found in ("out_octets", "out_packets"):
            raise UsageError(f"{said}: {name} is what came back; it is counted with -b")
        found = ONE_WAY.get(found, found)
    return found, WAYS[way]


def _answer(data: Path, options: argparse.Namespace, asked: list[Statistic], folding: Folding, *, given: bool) -> int:
    began, began_cpu = time.perf_counter(), time.process_time()
    if options.limit < 0:
        raise UsageError(f"-n {options.limit}: a number of groups is 0 (all) or more")
    shared = shared_of(options, given=given)
    queries = [
        Query(
            keys=one.keys, order=one.order, ascending=one.ascending, limit=options.limit or None, times=True, folding=folding,
            having=_having(options.having), **shared,
        )
        for one in asked
    ]  # fmt: skip
    for query in queries:
        having.check(query)
        if folding is not Folding.NONE:
            twins(query.keys)
    back_end = back_end_of(data, options)
    answers = [back_end.answer(query) for query in queries]
    if options.output != "text":
        _rows(options, asked, answers)
        explain(data, options, answers[0].query, answers[0].total.flows)
        return 0
    naming = naming_of(options)
    naming.read_interfaces(back_end.account().interfaces)
    for answer in answers:
        naming.learn(rows.group_rows(answer))
    form = form_of(options)
    for one, answer in zip(asked, answers, strict=True):
        print_lines(top_block(answer, one.name.partition(":")[0], form))
        print()
    totals = answers[0]
    wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    scanned, skipped = totals.coverage.flows_scanned, len(totals.coverage.unread)
    print_lines(text.summary_block(totals, form, wall=wall, cpu=cpu, processed=scanned, skipped=skipped))
    explain(data, options, totals.query, totals.total.flows)
    return 0


def _matrix(data: Path, options: argparse.Namespace, *, given: bool) -> int:
    if not 1 <= options.limit <= MOST:
        raise UsageError(f"-n {options.limit}: a matrix is of 1 to {MOST}")
    if options.having or options.order:
        raise UsageError("--matrix takes neither -P nor -O; --metric says what is summed and who comes first")
    by = keys.parse(options.by, "--by")
    if len(by) != 1 or by[0] not in ENDS:
        raise UsageError(f"--by {printable_word(options.by)}: a matrix is of ip, port, as, if or vlan")
    measure = Measure(options.metric)
    query = Query(measure=measure, **shared_of(options, given=given))
    found = matrix(back_end_of(data, options), query, by[0], options.limit)
    table = MatrixTable(found, measure)
    write(options, found.top, table.rows(), table.fields, lambda: table.lines(form_of(options)), {"elements": table.elements})
    explain(data, options, found.top.query, found.total.flows)
    return 0


def _having(words: str | None) -> Any:
    try:
        return parse(words) if words else ANY
    except FilterError as error:
        raise UsageError(f"-P {printable_word(words or '')}: {error}") from error


def _rows(options: argparse.Namespace, asked: list[Statistic], answers: list[Answer]) -> None:
    several = len(answers) > 1
    listed: list[Iterator[dict[str, Any]]] = []
    others: list[dict[str, Any]] = []
    fields: list[str] = ["statistic"] if several else []
    for one, answer in zip(asked, answers, strict=True):
        names = [keys.key(name).field for name in one.keys]
        fields += [name for name in names if name not in fields]
        mark = {"statistic": f"{one.name}/{one.order}"} if several else {}
        listed.append(_marked(rows.group_rows(answer), mark))
        others.append({**mark, **rows.other_row(answer)})
    folded = answers[0].query.folding is not Folding.NONE
    fields += [name for name in rows.GROUP_FIELDS if folded or name not in EACH_WAY]
    total = answers[0].total
    more = {
        "total": {"octets": total.octets, "packets": total.packets, "flows": total.flows},
        "other": others if several else others[0],
    }
    write(options, answers[0], chain.from_iterable(listed), fields, lambda: (), more)


def _marked(listed: Iterator[dict[str, Any]], mark: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return ({**mark, **row} for row in listed)
