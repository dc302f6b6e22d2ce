"""Accounts: what the processes of one collector say of themselves, made one.

Each writes an account of the form of `status.json`; an exporter is in several when it sends over TCP as well, or when relays pass
on what one sFlow agent says. A process that ended leaves what it counted, which the next with its number goes on from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nftui.engine import packet_source

Account = dict[str, Any]

OK = "ok"
"""State of a store that is written."""
EVENTS = 100
"""Events of an account, the latest."""

# Of an account: what adds up over processes and over those that ended; what adds up over processes only; what the first says.
COUNTED = ("queue_dropped", "undecodable", "datagrams", "flows", "flows_stored", "flows_odd", "sequence_lost")
PRESENT = ("drops", "datagrams_per_s", "flows_per_s", "flows_pending", "held_octets", "exporters_known", "waiting_datagrams")
FOR_ALL = ("version", "pid", "running", "started", "now", "interval")
PARTS = ("listen", "exporters", "unknown_exporters", "events", "store", "probes")

# Of a socket. What the kernel dropped stands at the socket, which stays when a process ends.
SOCKET_COUNTED = ("datagrams", "octets", "truncated")
SOCKET_PRESENT = ("drops",)

# Of an exporter.
EXPORTER_COUNTED = (
    "datagrams", "octets", "flows", "reverse_flows", "options_records", "sequence_lost", "templates_replaced",
    "templates_expired", "held_back", "released", "restarts", "gaps",
)  # fmt: skip
EXPORTER_COUNTED_BY = ("lost", "malformed", "unread", "unknown_elements", "samples", "discards")
EXPORTER_PRESENT = ("templates", "flows_per_s", "datagrams_per_s", "held_octets")
EXPORTER_LISTS = ("domains", "templates_awaited")
EXPORTER_DESCRIBED = ("observation_domains",)
"""Lists of what each process knows by itself, one behind the other."""
EXPORTER_LATEST = (
    "name", "clock_skew_s", "clock_correction_s", "watermark_s", "known_since", "last_seen", "last_gap", "last_restart", "started",
    "silent", "sampling",
)  # fmt: skip
"""As whoever heard of it last says."""


def read(path: Path) -> Account | None:
    """Return an account; None where there is none, or none that can be understood."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def together(first: Account, others: Sequence[Account]) -> Account:
    """Return one account of some processes; all but sums, sockets, exporters and events is as the first says."""
    everything = [first, *others]
    return {
        **first,
        **{key: round(_sum(everything, key), 1) for key in (*COUNTED, *PRESENT) if key in first},
        "store": _store(everything),
        "unknown_exporters": _unknown(everything),
        "listen": _sockets(first, others),
        "exporters": _exporters(everything),
        "probes": packet_source.together(one for account in everything for one in _dicts(account, "probes")),
        "events": sorted((one for account in everything for one in _dicts(account, "events")), key=_time)[-EVENTS:],
    }


def left(account: Account) -> Account:
    """Return what stays of an account when its process has ended: what was counted, and nothing of how things stood."""
    exporters = [
        {
            **{key: value for key, value in one.items() if key not in EXPORTER_PRESENT},
            **dict.fromkeys(EXPORTER_PRESENT, 0),
            "templates_awaited": [],
            "observation_domains": [],
        }
        for one in _dicts(account, "exporters")
    ]
    sockets = [{**one, **dict.fromkeys(SOCKET_PRESENT, 0)} for one in _dicts(account, "listen")]
    counted = {key: account[key] for key in (*COUNTED, "unknown_exporters") if key in account}
    probes = [packet_source.left(one) for one in _dicts(account, "probes")]
    return {**counted, "listen": sockets, "exporters": exporters, "probes": probes, "events": _dicts(account, "events")}


def _sockets(first: Account, others: Sequence[Account]) -> list[Account]:
    """Return the first's sockets, each with what came to those that share its port."""
    sharing: dict[tuple[Any, ...], list[Account]] = {}
    for account in others:
        for one in _dicts(account, "listen"):
            sharing.setdefault(_place(one), []).append(one)
    return [
        {**one, **{key: _sum([one, *sharing.get(_place(one), [])], key) for key in (*SOCKET_COUNTED, *SOCKET_PRESENT)}}
        for one in _dicts(first, "listen")
    ]


def _store(accounts: Sequence[Account]) -> Account:
    """Return what the first says of the store; how much all write, and what is in the way of whom."""
    some = [one for account in accounts if isinstance(one := account.get("store"), dict)]
    wrong = [one["state"] for one in some if one.get("state", OK) != OK]
    return {**(some[0] if some else {}), "written_per_s": round(_sum(some, "written_per_s"), 1), "state": wrong[0] if wrong else OK}


def _unknown(accounts: Sequence[Account]) -> Account:
    """Return what came from exporters that are not allowed: an address sends to one process, or over a connection to the first."""
    some = [one for account in accounts if isinstance(one := account.get("unknown_exporters"), dict)]
    sums: dict[str, int] = {}
    for one in some:
        for address, number in one.get("addresses", {}).items():
            sums[address] = sums.get(address, 0) + number
    most = dict(sorted(sums.items(), key=lambda one: -one[1]))
    return {"datagrams": _sum(some, "datagrams"), "octets": _sum(some, "octets"), "addresses": most}


def _place(one: Account) -> tuple[Any, ...]:
    return one.get("address"), one.get("port"), one.get("transport")


def _exporters(accounts: Iterable[Account]) -> list[Account]:
    found: dict[str, list[Account]] = {}
    for account in accounts:
        for one in _dicts(account, "exporters"):
            found.setdefault(str(one.get("address")), []).append(one)
    return [some[0] if len(some) == 1 else _exporter(some) for some in found.values()]


def _exporter(some: list[Account]) -> Account:
    latest = max(some, key=lambda one: str(one.get("last_seen") or ""))
    counts: dict[str, dict[str, int]] = {}
    for key in EXPORTER_COUNTED_BY:
        sums = counts[key] = {}
        for one in some:
            for name, count in one.get(key, {}).items():
                sums[name] = sums.get(name, 0) + count
    protocols = {word for one in some for word in str(one.get("protocol", "")).split(", ") if word}
    return {
        **latest,
        **{key: _sum(some, key) for key in EXPORTER_COUNTED},
        **{key: round(_sum(some, key), 1) for key in EXPORTER_PRESENT},
        **{key: sorted({value for one in some for value in one.get(key, ())}) for key in EXPORTER_LISTS},
        **{key: [value for one in some for value in one.get(key, ())] for key in EXPORTER_DESCRIBED},
        **counts,
        "protocol": ", ".join(sorted(protocols)),
    }


def _sum(some: Iterable[Account], key: str) -> Any:
    return sum(one.get(key, 0) for one in some)


def _dicts(account: Account, key: str) -> list[Account]:
    return [one for one in account.get(key, ()) if isinstance(one, dict)]


def _time(event: Account) -> int:
    return int(event.get("time", 0))
