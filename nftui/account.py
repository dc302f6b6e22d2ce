"""The command `status`: the collector's own account, in words. Each value of it may be absent, of another kind, or hostile."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nftui.engine.store import Store
from nftui.errors import StoreError
from nftui.printable import printable
from nftui.units import SECOND, duration

STALE_US = 5 * SECOND
CLOCK_S = 2.0
"""Seconds that a clock may be off without a word: headers tell whole seconds."""
FEW = 5
"""Names of elements that are shown; `-o json` has all."""


def status(data: Path, output: str) -> int:
    """Print the collector's own account; exit status 1 where there is none, or it is stale."""
    if not data.is_dir():
        raise StoreError(f"{data}: no such data directory; --data DIR names another")
    store = Store(data)
    found = store.status()
    running = store.collector_running()
    if found is None:
        raise StoreError(f"{data}: no collector has written a status here; start one with `nftui collect --data {data}`")
    age = time.time_ns() // 1000 - _integer(found.get("now"))
    fresh = running and 0 <= age < STALE_US
    if output == "json":
        print(json.dumps({**found, "collector_running": running, "stale": not fresh}))
        return 0 if fresh else 1
    state = "running" if fresh else "holds the lock, but its status is stale" if running else "not running"
    print(f"collector {state}, process {_integer(found.get('pid'))}, status {duration(max(age, 0))} old")
    for one in _dicts(found.get("listen")):
        print("\n".join(f"  {line}" for line in _listen_lines(one)))
    print(
        f"  {_integer(found.get('datagrams')):,} datagrams, {_integer(found.get('flows')):,} flows, "
        f"{_integer(found.get('flows_stored')):,} stored, {_integer(found.get('sequence_lost')):,} lost by sequence numbers"
    )
    if line := _unknown_exporters(found.get("unknown_exporters")):
        print(f"  {line}")
    for exporter in _dicts(found.get("exporters")):
        print("\n".join(f"  {line}" for line in _exporter_lines(exporter)))
    for event in _dicts(found.get("events"))[-10:]:
        when = time.strftime("%H:%M:%S", time.localtime(_integer(event.get("time")) / SECOND))
        print(f"  {when} {printable(event.get('text', ''), 120)}")
    return 0 if fresh else 1


def _listen_lines(one: dict[str, Any]) -> list[str]:
    """Return what a socket has to tell; of a stream, a line more for each reason why connections were refused or closed."""
    address = printable(one.get("address", "?"), 45)
    where = f"[{address}]" if ":" in address else address
    connections = one.get("connections")
    if not isinstance(connections, dict):
        counts = (
            f"buffer {_integer(one.get('receive_buffer')):,} of {_integer(one.get('receive_buffer_asked')):,} octets  "
            f"drops {_integer(one.get('drops')):,}"
        )
        connections = {}
    else:
        counts = (
            f"connections {_integer(connections.get('open')):,} of {_integer(connections.get('limit')):,}  "
            f"accepted {_integer(connections.get('accepted')):,}  "
            f"discarded {_integer(connections.get('discarded_octets')):,} octets"
        )
    lines = [f"{where}:{_integer(one.get('port'))}/{printable(one.get('transport', '?'), 10)}  {counts}"]
    for kind in ("refused", "closed"):
        reasons = connections.get(kind)
        for reason, count in reasons.items() if isinstance(reasons, dict) else ():
            lines.append(f"    {kind}: {_integer(count):,} {printable(reason, 60)}")
    return lines


def _unknown_exporters(unknown: object) -> str:
    """Return what came from addresses that are not on the list, and from which; nothing where there is no such thing."""
    if not isinstance(unknown, dict) or not _integer(unknown.get("datagrams")):
        return ""
    named = [printable(name, 45) for name, _ in _counts(unknown, "addresses")]
    more = ", …" if len(named) > FEW else ""
    return f"{_integer(unknown.get('datagrams')):,} datagrams of addresses not in collector.allow: {', '.join(named[:FEW])}{more}"


def _exporter_lines(exporter: dict[str, Any]) -> Iterator[str]:
    """Yield what is known of an exporter: its counts, then a line for each thing that is not as plain as could be."""
    yield (
        f"{printable(exporter.get('address', '?'), 40):<15} {printable(exporter.get('protocol', '?'), 12):<6} "
        f"{_integer(exporter.get('flows')):>12,} flows {_real(exporter.get('flows_per_s')):>10,.1f}/s  "
        f"templates {_integer(exporter.get('templates'))}  lost {_integer(exporter.get('sequence_lost')):,}  "
        f"last {printable(exporter.get('last_seen', '?'), 30)}"
    )
    lines = [
        *(f"sampling: 1 in {count:,} by {word}" for word, count in _counts(exporter, "sampling")),
        _clock(_real(exporter.get("clock_skew_s")), _real(exporter.get("clock_correction_s"))),
        _waiting(exporter),
        *_counted(exporter),
    ]
    yield from (f"    {line}" for line in lines if line)


def _clock(skew: float, correction: float) -> str:
    if abs(skew) < CLOCK_S:
        return ""
    off = f"clock {duration(int(abs(skew) * SECOND))} {'behind' if skew > 0 else 'ahead'}"
    if not correction:
        return off
    return f"{off}: times are corrected by {'+' if correction > 0 else '-'}{duration(int(abs(correction) * SECOND))}"


def _waiting(exporter: dict[str, Any]) -> str:
    awaited, held = exporter.get("templates_awaited"), _integer(exporter.get("held_back"))
    if not held:
        return ""
    released = _integer(exporter.get("released"))
    words = f"data before its template: {held:,} sets held back, {released:,} of them read since"
    return f"{words}; awaited {printable(awaited, 40)}" if awaited else words


def _counted(exporter: dict[str, Any]) -> Iterator[str]:
    mark = _real(exporter.get("watermark_s"))
    if mark:
        yield f"99 of 100 flows come within {duration(int(mark * SECOND))} of their start"
    for key, words in (
        ("restarts", "restarts"),
        ("reverse_flows", "flows are the other half of a biflow record"),
        ("templates_replaced", "templates replaced"),
        ("templates_expired", "templates expired"),
    ):
        if count := _integer(exporter.get(key)):
            yield f"{count:,} {words}"
    for key, words in (("samples", "samples"), ("discards", "dropped packets"), ("malformed", "malformed"), ("unread", "unread")):
        for name, count in _counts(exporter, key):
            yield f"{words}: {count:,} {printable(name, 60)}"
    elements = sorted(_counts(exporter, "unknown_elements"), key=lambda one: -one[1])
    if elements:
        names = ", ".join(printable(name, 40) for name, _ in elements[:FEW])
        yield f"without a column, {len(elements):,}: {names}{', …' if len(elements) > FEW else ''}"


def _counts(exporter: dict[str, Any], key: str) -> list[tuple[str, int]]:
    counts = exporter.get(key)
    return [(str(name), _integer(count)) for name, count in counts.items()] if isinstance(counts, dict) else []


def _real(value: object) -> float:
    """Return a number; 0 for what is none, or beyond all sense."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or abs(value) > 1e12:
        return 0.0
    return float(value)


def _integer(value: object) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else 0


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
