"""The command `status`: the collector's own account, in words. Each value of it may be absent, of another kind, or hostile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nftui.engine.account import CLOCK_S, STALE, AccountReader, counts, dicts, entries, instant, integer, real
from nftui.engine.packet_source import KERNEL, PACKETS
from nftui.engine.store import Store
from nftui.errors import StoreError
from nftui.printable import printable
from nftui.units import SECOND, duration, octets, scaled

FEW = 5
"""Names of elements that are shown; `-o json` has all."""
FEW_INTERFACES = 12
PROBE_COUNTS = (
    ("packets", "packets"), ("flows", "flows"), ("not_ip", "not IP"), ("fragments", "fragments"), ("cut", "cut"),
    ("sampled_out", "not looked at"), ("emergency", "flows ended early"), ("lost_packets", "packets in no flow"),
)  # fmt: skip
"""What is counted of a source of packets, and how it is called."""
LIMIT = 60
"""Cells of a name from outside."""


def status(data: Path, output: str) -> int:
    """Print the collector's own account; exit status 1 where there is none, or it is stale."""
    if not data.is_dir():
        raise StoreError(f"{data}: no such data directory; --data DIR names another")
    account = AccountReader(Store(data)).account()
    found, running = account.status, account.running
    if account.problem:
        raise StoreError(f"{data}: {printable(account.problem, 200)}: not trusted; a collector at work replaces the file")
    if found is None:
        raise StoreError(f"{data}: no collector has written a status here; start one with `nftui collect --data {data}`")
    now = integer(found.get("now"))
    age = time.time_ns() // 1000 - now
    fresh = running and 0 <= age < STALE
    if output == "json":
        print(json.dumps({**found, "collector_running": running, "stale": not fresh}))
        return 0 if fresh else 1
    state = "running" if fresh else "holds the lock, but its status is stale" if running else "not running"
    print(f"collector {state}, process {integer(found.get('pid'))}, status {duration(max(age, 0))} old")
    for line in _collector_lines(found):
        print(f"  {line}")
    for source in dicts(found.get("probes")):
        for line in _probe_lines(source):
            print(f"  {line}")
    for exporter in dicts(found.get("exporters")):
        interfaces = account.interfaces.get(str(exporter.get("address")), {})
        for line in _exporter_lines(exporter, interfaces, now):
            print(f"  {line}")
    for event in dicts(found.get("events"))[-10:]:
        when = time.strftime("%H:%M:%S", time.localtime(min(max(integer(event.get("time")) / SECOND, 0), 4e9)))
        print(f"  {when} {printable(event.get('text', ''), 120)}")
    return 0 if fresh else 1


def _collector_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield what concerns all exporters: sockets, counts, what was lost here, the store."""
    for one in dicts(found.get("listen")):
        yield from _listen_lines(one)
    for one in dicts(found.get("processes")):
        yield _process_line(one)
    yield (
        f"{integer(found.get('datagrams')):,} datagrams, {integer(found.get('flows')):,} flows, "
        f"{integer(found.get('flows_stored')):,} stored, {integer(found.get('sequence_lost')):,} lost by sequence numbers"
    )
    for key, words in (
        ("queue_dropped", "flows dropped: the disk couldn't follow"),
        ("undecodable", "datagrams that could not be decoded"),
        ("held_octets", "octets wait for their template"),
    ):
        if count := integer(found.get(key)):
            yield f"{count:,} {words}"
    yield from _unknown_exporters(dict(entries(found.get("unknown_exporters"))))
    yield from _store_lines(dict(entries(found.get("store"))))
    if asked := dict(entries(found.get("snmp"))):
        yield (
            f"snmp: {integer(asked.get('listed')):,} known exporters may be asked, {integer(asked.get('answered')):,} answered, "
            f"{integer(asked.get('failing')):,} do not; {integer(asked.get('interfaces')):,} interfaces"
        )
    known, shown = integer(found.get("exporters_known")), len(dicts(found.get("exporters")))
    if known > shown:
        yield f"{known:,} exporters, of which {shown:,} have an entry yet"


def _store_lines(store: Mapping[str, Any]) -> Iterator[str]:
    if not store:
        return
    words = [printable(store.get("state", "ok"), 200)]
    words += [octets(integer(store["octets"]))] if "octets" in store else []
    words += [f"{integer(store['segments']):,} segments"] if "segments" in store else []
    words += [f"since {printable(store['oldest'], 30)}"] if store.get("oldest") else []
    words += [f"{octets(integer(store['free_octets']))} free"] if "free_octets" in store else []
    words += [f"{octets(integer(store['written_per_s']))}/s written"] if "written_per_s" in store else []
    yield f"store: {', '.join(words)}"
    aside = store.get("set_aside")
    for name in aside[:FEW] if isinstance(aside, list) else ():
        yield f"    set aside: {printable(name, 100)}"
    for key in ("retention", "compaction"):
        if store.get(key):
            yield f"    {key}: {printable(store[key], 160)}"


def _listen_lines(one: dict[str, Any]) -> Iterator[str]:
    """Yield what a socket has to tell; of a stream, a line more for each reason why connections were refused or closed."""
    address = printable(one.get("address", "?"), 45)
    where = f"[{address}]" if ":" in address else address
    connections = dict(entries(one.get("connections")))
    if not isinstance(one.get("connections"), dict):
        words = (
            f"buffer {integer(one.get('receive_buffer')):,} of {integer(one.get('receive_buffer_asked')):,} octets  "
            f"drops {integer(one.get('drops')):,}"
        )
    else:
        words = (
            f"connections {integer(connections.get('open')):,} of {integer(connections.get('limit')):,}  "
            f"accepted {integer(connections.get('accepted')):,}  "
            f"discarded {integer(connections.get('discarded_octets')):,} octets"
        )
    yield f"{where}:{integer(one.get('port'))}/{printable(one.get('transport', '?'), 10)}  {words}"
    for kind in ("refused", "closed"):
        for reason, count in counts(connections.get(kind)):
            yield f"    {kind}: {count:,} {printable(reason, LIMIT)}"


def _process_line(one: dict[str, Any]) -> str:
    again = integer(one.get("restarts"))
    return (
        f"process {integer(one.get('number'))}, id {integer(one.get('pid'))}: {integer(one.get('exporters')):,} exporters  "
        f"{integer(one.get('datagrams')):,} datagrams  {real(one.get('flows_per_s')):,.1f} flows/s  "
        f"drops {integer(one.get('drops')):,}{f'  started again {again:,} times' if again else ''}"
    )


def _probe_lines(source: dict[str, Any]) -> Iterator[str]:
    """Yield what is known of a source of packets: its rates, then what was lost, and why nothing comes."""
    kind = "" if source.get("kind") == PACKETS else f" {printable(source.get('kind', '?'), 12)}"
    used, entries = integer(source.get("used")), integer(source.get("entries"))
    holds = "connections" if source.get("kind") == KERNEL else "follows"
    yield (
        f"probe {printable(source.get('source', '?'), 15)}{kind}  "
        f"{scaled(real(source.get('packets_per_s')))} packets/s  {octets(real(source.get('octets_per_s')))}/s  "
        f"{real(source.get('flows_per_s')):,.1f} flows/s  drops {integer(source.get('drops')):,}"
        f"{f'  {holds} {used:,} of {entries:,}' if entries else ''}"
    )
    lines = [
        printable(source["problem"], 200) if source.get("problem") else "",
        f"1 in {integer(source.get('sampling')):,} packets is looked at" if integer(source.get("sampling")) > 1 else "",
        f"filter: {printable(source['bpf'], 100)}" if source.get("bpf") else "",
        ", ".join(f"{integer(source.get(key)):,} {words}" for key, words in PROBE_COUNTS if integer(source.get(key))),
    ]
    yield from (f"    {line}" for line in lines if line)


def _unknown_exporters(refused: Mapping[str, Any]) -> Iterator[str]:
    """Yield what came from addresses that are not on the list, and from which; nothing where there is no such thing."""
    if count := integer(refused.get("datagrams")):
        named = [printable(name, 45) for name, _ in counts(refused.get("addresses"))]
        more = ", …" if len(named) > FEW else ""
        yield f"{count:,} datagrams of addresses not in collector.allow: {', '.join(named[:FEW])}{more}"


def _exporter_lines(exporter: dict[str, Any], interfaces: Mapping[str, Any], now: int) -> Iterator[str]:
    """Yield what is known of an exporter: its counts, then a line for each thing that is not as plain as could be."""
    name = f"{printable(exporter['name'], 64)} " if exporter.get("name") else ""
    yield (
        f"{name}{printable(exporter.get('address', '?'), 40):<15} {printable(exporter.get('protocol', '?'), 12):<6} "
        f"{integer(exporter.get('flows')):>12,} flows {real(exporter.get('flows_per_s')):>10,.1f}/s  "
        f"datagrams {real(exporter.get('datagrams_per_s')):,.1f}/s  "
        f"templates {integer(exporter.get('templates'))}  lost {integer(exporter.get('sequence_lost')):,}  "
        f"last {printable(exporter.get('last_seen') or 'never', 30)}"
    )
    lines = [
        "silent" if exporter.get("silent") is True else "",
        *(f"sampling: 1 in {count:,} by {printable(word, 20)}" for word, count in counts(exporter.get("sampling"))),
        _clock(real(exporter.get("clock_skew_s")), real(exporter.get("clock_correction_s"))),
        _lost(exporter, now),
        _waiting(exporter),
        *_awaited(exporter, now),
        _running(exporter, now),
        *_counted(exporter),
        *_interfaces(interfaces),
    ]
    yield from (f"    {line}" for line in lines if line)


def _clock(skew: float, correction: float) -> str:
    if abs(skew) < CLOCK_S:
        return ""
    off = f"clock {duration(int(abs(skew) * SECOND))} {'behind' if skew > 0 else 'ahead'}"
    if not correction:
        return off
    return f"{off}: times are corrected by {'+' if correction > 0 else '-'}{duration(int(abs(correction) * SECOND))}"


def _lost(exporter: dict[str, Any], now: int) -> str:
    gaps, last = integer(exporter.get("gaps")), instant(exporter.get("last_gap"))
    if not gaps:
        return ""
    units = ", ".join(f"{count:,} {printable(unit, 20)}" for unit, count in counts(exporter.get("lost")) if count)
    when = f", the last {duration(max(now - last, 0))} ago" if last else ""
    return f"lost {units or 'nothing in the end'} in {gaps:,} gap{'' if gaps == 1 else 's'}{when}"


def _waiting(exporter: dict[str, Any]) -> str:
    held = integer(exporter.get("held_back"))
    if not held:
        return ""
    return f"data before its template: {held:,} sets held back, {integer(exporter.get('released')):,} of them read since"


def _awaited(exporter: dict[str, Any], now: int) -> Iterator[str]:
    described = False
    for domain in dicts(exporter.get("observation_domains")):
        for one in dicts(domain.get("awaited"))[:FEW]:
            described = True
            until = instant(one.get("until"))
            left = f", {duration(max(until - now, 0))} left" if until else ""
            yield (
                f"awaited: template {integer(one.get('template'))} of domain {integer(domain.get('number'))}, "
                f"{integer(one.get('sets')):,} sets of {octets(integer(one.get('octets')))} held{left}"
            )
    if exporter.get("templates_awaited") and not described:
        yield f"awaited: {printable(exporter['templates_awaited'], 40)}"


def _running(exporter: dict[str, Any], now: int) -> str:
    started, restarts, last = (
        instant(exporter.get("started")), integer(exporter.get("restarts")), instant(exporter.get("last_restart")),
    )  # fmt: skip
    words = [f"running for {duration(max(now - started, 0))}"] if started else []
    if restarts:
        when = f", the last {duration(max(now - last, 0))} ago" if last else ""
        words.append(f"{restarts:,} restart{'' if restarts == 1 else 's'} seen{when}")
    return ", ".join(words)


def _counted(exporter: dict[str, Any]) -> Iterator[str]:
    if mark := real(exporter.get("watermark_s")):
        yield f"99 of 100 flows come within {duration(int(mark * SECOND))} of their start"
    for key, words in (
        ("reverse_flows", "flows are the other half of a biflow record"),
        ("templates_replaced", "templates replaced"),
        ("templates_expired", "templates expired"),
    ):
        if count := integer(exporter.get(key)):
            yield f"{count:,} {words}"
    for key, words in (("samples", "samples"), ("discards", "dropped packets"), ("malformed", "malformed"), ("unread", "unread")):
        for name, count in counts(exporter.get(key)):
            yield f"{words}: {count:,} {printable(name, LIMIT)}"
    elements = counts(exporter.get("unknown_elements"))
    if elements:
        names = ", ".join(printable(name, 40) for name, _ in elements[:FEW])
        yield f"without a column, {len(elements):,}: {names}{', …' if len(elements) > FEW else ''}"


def _interfaces(known: Mapping[str, Any]) -> Iterator[str]:
    some = [(index, one) for index, one in known.items() if isinstance(one, dict)]
    if not some:
        return
    some.sort(key=lambda pair: (len(pair[0]), pair[0]))
    words = []
    for index, one in some[:FEW_INTERFACES]:
        names = "/".join(printable(one[name], 24) for name in ("name", "description") if one.get(name))
        speed = integer(one.get("speed"))
        words.append(
            " ".join([printable(index, 12), *([names] if names else []), *([scaled(speed).replace(".0", "")] if speed else [])])
        )
    more = f", {len(some) - FEW_INTERFACES:,} more" if len(some) > FEW_INTERFACES else ""
    yield f"interfaces: {', '.join(words)}{more}"
