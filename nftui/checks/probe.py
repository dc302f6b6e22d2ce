"""Checks of the probe: rights, interfaces and what keeps packets from being seen as they were, memory, and what was lost."""

from __future__ import annotations

import os
from collections.abc import Iterator

from nftui import config
from nftui.checks.finding import Finding, Patient, counted, number, ok, problem, tables, warning
from nftui.engine import memory
from nftui.engine.meter_settings import ring_of
from nftui.engine.packet_source import KERNEL
from nftui.printable import printable
from nftui.units import octets

RING_SHARE = 0.25
"""Of the memory that rings may take without a word."""
FULL = 0.9
"""Share of the kernel's table of connections that may be taken without a word."""


def check_probe(patient: Patient) -> Iterator[Finding]:
    """See that packets can be taken of the interfaces that are configured, and tell what the probe says of itself."""
    settings = patient.config.probe
    entries = tables(patient.status.get("probes")) if patient.fresh else []
    if not settings.interfaces and not settings.conntrack and not entries:
        yield ok("no interface is looked at; `nftui probe` lists those there are")
        return
    if not entries:
        yield from _rights()
    yield from _interfaces(patient)
    yield from _memory(settings)
    for entry in entries:
        yield from _entry(entry)


def _rights() -> Iterator[Finding]:
    from nftui.capture.probe import rights

    if rights.permitted():
        yield ok("packets may be taken by whoever runs this")
    else:
        yield warning("packets may not be taken by whoever runs this", rights.how_to_grant().partition(": ")[2])


def _interfaces(patient: Patient) -> Iterator[Finding]:
    from nftui.capture.probe.interfaces import interfaces, joined_segments

    settings = patient.config.probe
    there = {one.name: one for one in interfaces()}
    for name in settings.interfaces:
        found = there.get(name)
        if found is None:
            yield problem(f"{name}: no such interface", f"name another in probe.interfaces: {', '.join(sorted(there))}")
            continue
        if not found.up:
            yield warning(f"{name} is down", f"ip link set {name} up")
        elif not found.running:
            yield warning(f"{name} has no carrier", "look at its cable, or at the other end")
        else:
            only = "" if settings.promiscuous or found.promiscuous else ", only what is for this machine"
            yield ok(f"{name} is up{only}")
        if joined := joined_segments(name):
            names = " ".join(f"{one} off" for one in joined)
            yield ok(
                f"{name} joins segments ({', '.join(joined)}): octets are right to within their headers, packets are fewer "
                f"than on the wire; for packets as they were: ethtool -K {name} {names}"
            )


def _memory(settings: config.ProbeSettings) -> Iterator[Finding]:
    ring = ring_of(settings) * len(settings.interfaces) * max(settings.processes or os.cpu_count() or 1, 1)
    there = memory.octets()
    if ring > there * RING_SHARE:
        yield warning(f"rings take {octets(ring)} of {octets(there)} of memory", "make probe.ring, or probe.processes, less")
    elif ring:
        yield ok(f"rings take {octets(ring)} of memory")


def _entry(entry: dict[str, object]) -> Iterator[Finding]:
    """Tell what one source says of itself."""
    name = printable(entry.get("source", "?"), 15)
    if entry.get("problem"):
        yield problem(f"{name}: {printable(entry['problem'], 300)}", "until then nothing comes from there")
    if entry.get("kind") == KERNEL:
        yield from _connections(entry, name)
        return
    packets, drops = number(entry.get("packets")), number(entry.get("drops"))
    if drops:
        yield warning(
            f"{name}: {drops:,.0f} packets dropped by the kernel, {packets:,.0f} taken",
            "raise probe.ring against bursts, probe.processes or probe.sampling where it is for long",
        )
    if early := number(entry.get("emergency")):
        yield warning(
            f"{name}: {early:,.0f} flows ended early, as there was no room for more than {number(entry.get('entries')):,.0f}",
            "raise probe.entries where there is memory; lower probe.inactive",
        )
    if lost := number(entry.get("lost_packets")):
        yield warning(f"{name}: {lost:,.0f} packets are in no flow", "raise probe.entries, or probe.sampling")
    if not (entry.get("problem") or drops or early or lost):
        yield ok(f"{name}: {counted(int(packets), 'packet')} taken, none dropped")


def _connections(entry: dict[str, object], name: str) -> Iterator[Finding]:
    """Tell what the kernel's connection tracking says of itself."""
    used, most, lost = (number(entry.get(key)) for key in ("used", "entries", "drops"))
    if lost:
        yield warning(
            f"{name}: {lost:,.0f} connections ended untold, as the kernel had no room for more events",
            "have the probe take no packets beside them, or give it a core",
        )
    if used > FULL * most > 0:
        yield warning(
            f"{name}: {used:,.0f} of {most:,.0f} connections are in the kernel's table; packets of more than that are dropped",
            "sysctl -w net.netfilter.nf_conntrack_max=… where there is memory, at 400 octets each",
        )
    elif not lost and not entry.get("problem"):
        yield ok(f"{name}: {counted(int(used), 'connection')} in the kernel's table, the end of none was lost")
