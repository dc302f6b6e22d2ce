"""Checks of the collector: its sockets, whether it is at work, what it lost, what it tells of exporters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from nftui import config, machine
from nftui.checks.finding import Finding, Patient, counted, me, number, ok, problem, tables, warning
from nftui.errors import ConfigError, ListenError
from nftui.printable import printable
from nftui.units import SECOND, duration, octets

SKEW_S = 60.0
"""How far the clock of an exporter may be off without a word."""
LOST_SHARE = 0.001
FEW = 3


def check_buffer(patient: Patient) -> Iterator[Finding]:
    """See that UDP sockets have, or would have, the receive buffer that is asked for."""
    asked, limit = config.size(patient.config.collector.receive_buffer), machine.sysctl("net.core.rmem_max")
    mend = f"sysctl -w net.core.rmem_max={asked}, and the same in /etc/sysctl.d/nftui.conf; then restart the collector"
    if patient.fresh:
        sockets = [one for one in patient.listens if "receive_buffer" in one]
        small = [one for one in sockets if number(one["receive_buffer"]) < number(one.get("receive_buffer_asked"))]
        for one in small:
            got, wanted = number(one["receive_buffer"]), number(one.get("receive_buffer_asked"))
            yield warning(f"port {number(one.get('port')):.0f} has {octets(got)} of the {octets(wanted)} asked for", mend)
        if not small:
            yield ok(f"each of {len(sockets)} UDP sockets has what was asked for")
    elif limit is None:
        yield ok("net.core.rmem_max can't be read here")
    elif limit < asked and os.geteuid() != 0:
        yield warning(f"net.core.rmem_max is {octets(limit)}, collector.receive_buffer {octets(asked)}", mend)
    elif limit < asked:
        yield warning(
            f"net.core.rmem_max is {octets(limit)}, collector.receive_buffer {octets(asked)}: only root gets that",
            f"for a collector of another user: {mend}",
        )
    else:
        yield ok(f"net.core.rmem_max is {octets(limit)}, of which {octets(asked)} are asked for")


def check_ports(patient: Patient) -> Iterator[Finding]:
    """See that each port is the running collector's, or free to be bound."""
    from nftui.capture.sockets import bound
    from nftui.engine.listening import parsed

    if not patient.config.collector.enabled:
        yield ok("none wanted: collector.enabled is false")
        return
    ours = {(number(one.get("port")), str(one.get("transport"))) for one in patient.listens} if patient.running else set()
    for text in patient.config.collector.listen:
        try:
            ((address, port, transport),) = parsed([text])
            if (port, transport) in ours:
                yield ok(f"{text}: our collector has it")
                continue
            bound(address, port, transport).close()
        except (ConfigError, ListenError) as error:
            reason = str(error)
            cut = min((place for place in (reason.find(": "), reason.find("; ")) if place > 0), default=len(reason))
            yield problem(reason[:cut], reason[cut + 2 :] or "choose another in collector.listen")
        else:
            yield ok(f"{text}: free")


def check_collector(patient: Patient) -> Iterator[Finding]:
    """See that a collector is at work, tells of itself, and can store."""
    if patient.data.is_dir() and not patient.readable:
        yield ok(f"can't be told: {me()} may not look into {patient.data}")
    elif not patient.config.collector.enabled and not patient.running:
        yield ok("switched off")
    elif not patient.running:
        yield warning("none at work on this store", f"start one: systemctl start nftui, or nftui collect --data {patient.data}")
    elif not patient.fresh:
        when = f"{duration(int(abs(patient.age) * SECOND))} {'old' if patient.age > 0 else 'ahead'}"
        yield problem(f"it holds the store, but its account is {when}", "see its log; restart it: systemctl restart nftui")
    else:
        since = duration(int(max(patient.moment - number(patient.status.get("started")) / SECOND, 0) * SECOND))
        yield ok(f"process {number(patient.status.get('pid')):.0f}, at work for {since}")
    state = _store_state(patient.status)
    if patient.fresh and state != "ok":
        yield problem(f"storing: {state}", "see to the disk and the data directory; flows wait in memory as long as there is room")


def check_losses(patient: Patient) -> Iterator[Finding]:
    """Tell what was lost: in the kernel, in the queue before the disk, on the network."""
    status = patient.status
    if not status:
        return
    drops, queue = number(status.get("drops")), number(status.get("queue_dropped"))
    undecodable, lost = number(status.get("undecodable")), number(status.get("sequence_lost"))
    arrived = number(status.get("flows"))
    if drops:
        yield warning(f"{drops:,.0f} datagrams dropped by the kernel", "raise collector.receive_buffer and net.core.rmem_max")
    if queue:
        yield warning(f"{queue:,.0f} flows dropped, as the disk could not follow", "put the store on a faster disk, or make room")
    if undecodable:
        yield warning(f"{undecodable:,.0f} datagrams could not be decoded", "please report it, with the collector's log")
    if lost > (arrived + lost) * LOST_SHARE:
        worst = sorted(tables(status.get("exporters")), key=lambda one: -number(one.get("sequence_lost")))[:FEW]
        names = ", ".join(printable(one.get("address", "?"), 45) for one in worst if number(one.get("sequence_lost")))
        yield warning(
            f"{lost:,.0f} flows lost on the way by sequence numbers, {arrived:,.0f} came; most of {names or 'exporters unknown'}",
            "look at the network between them and here; where the kernel drops too, begin with that",
        )
    if not (drops or queue or undecodable or lost > (arrived + lost) * LOST_SHARE):
        yield ok(f"none to speak of: {arrived:,.0f} flows came, {lost:,.0f} are missing by sequence numbers")


def check_events(patient: Patient) -> Iterator[Finding]:
    """Tell the latest of the collector's events."""
    recent = [one for one in tables(patient.status.get("events")) if 0 <= patient.moment - number(one.get("time")) / SECOND < 3600]
    if recent:
        yield ok(f"{len(recent)} in the last hour; the last: {printable(recent[-1].get('text', ''), 200)}")
    else:
        yield ok("none in the last hour")


def check_exporters(patient: Patient) -> Iterator[Finding]:
    """Tell which exporters' clocks are off."""
    exporters = tables(patient.status.get("exporters"))
    off = [one for one in exporters if abs(number(one.get("clock_skew_s"))) > SKEW_S]
    if off:
        names = ", ".join(f"{printable(one.get('address', '?'), 45)} {_skew(number(one.get('clock_skew_s')))}" for one in off[:FEW])
        yield warning(
            f"{counted(len(off), 'clock')} off: {names}{', …' if len(off) > FEW else ''}",
            "have those exporters keep time (NTP); until then their times are corrected by collector.clock_threshold",
        )
    elif exporters:
        yield ok(f"clocks of {counted(len(exporters), 'exporter')} looked at")


def _store_state(status: dict[str, Any]) -> str:
    store = status.get("store")
    return printable(store.get("state", "ok"), 200) if isinstance(store, dict) else "ok"


def _skew(seconds: float) -> str:
    return f"{duration(int(abs(seconds) * SECOND))} {'behind' if seconds > 0 else 'ahead'}"
