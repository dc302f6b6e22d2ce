"""Checks of the machine: processor, programs, open files, clock, time zone, terminal."""

from __future__ import annotations

import os
import platform
import resource
import time
import zoneinfo
from collections.abc import Iterator
from importlib import metadata

from nftui import machine
from nftui.checks.finding import CLOCK_S, Finding, Patient, counted, number, ok, problem, warning
from nftui.units import SECOND, duration

DESCRIPTORS = 256
"""Open files that a collector wants beside its connections."""
SMALLEST = (80, 24)
"""Columns and lines that the dashboard wants."""


def check_processor(patient: Patient) -> Iterator[Finding]:
    """See that the processor has what Polars is built for."""
    missing = machine.missing_cpu_features()
    cores = f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} processors"
    if missing is None:
        yield ok(f"{cores}; which features they have can't be told")
    elif missing:
        yield problem(f"it lacks {', '.join(missing)}, which Polars is built for", "install the package polars[rtcompat] beside it")
    else:
        yield ok(f"{cores}, with all that Polars is built for")


def check_programs(patient: Patient) -> Iterator[Finding]:
    """Tell versions, and see that nothing is missing."""
    versions = {name: _version(name) for name in ("nftui", "polars", "numpy", "textual")}
    told = f"Python {platform.python_version()}, " + ", ".join(
        f"{name} {version or 'missing'}" for name, version in versions.items()
    )
    if not all(versions.values()):
        yield problem(told, "install nftui again: parts of it are missing")
    else:
        yield ok(told)


def check_descriptors(patient: Patient) -> Iterator[Finding]:
    """See that as many files may be open as the collector wants."""
    from nftui.capture.streams import CONNECTIONS

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    streams = sum(not text.rpartition("/")[2].isdigit() and not text.endswith("/udp") for text in patient.config.collector.listen)
    wanted = DESCRIPTORS + streams * CONNECTIONS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        yield warning(
            f"{hard:,} open files are allowed, {wanted:,} wanted for {counted(streams, 'listening stream')}",
            "raise it: LimitNOFILE= of the service, or /etc/security/limits.conf",
        )
    else:
        yield ok(f"{'any number of' if hard == resource.RLIM_INFINITY else f'{hard:,}'} open files are allowed, {wanted:,} wanted")


def check_clock(patient: Patient) -> Iterator[Finding]:
    """See that this machine's clock is kept right, and that the store has nothing from the future."""
    clock = machine.clock()
    if clock is None:
        yield ok("the kernel does not tell how it is kept")
    elif not clock.synchronised:
        yield warning(
            "nothing keeps this machine's clock right", "run a time service: systemctl enable --now systemd-timesyncd, or chrony"
        )
    elif clock.error_s > CLOCK_S:
        yield warning(
            f"synchronised, but it may be {clock.error_s:.1f} s off", "look at the time service: chronyc tracking, timedatectl"
        )
    else:
        yield ok(f"synchronised, at most {clock.error_s * 1000:,.0f} ms off")
    if not patient.readable:
        return
    newest = max((part.name.received_to for part in patient.store.parts()), default=0) / SECOND
    ahead = max(newest, number(patient.status.get("now")) / SECOND) - patient.moment
    if ahead > CLOCK_S:
        yield problem(
            f"the store was written {duration(int(ahead * SECOND))} in the future: the clock was set back",
            "set the clock right: date, timedatectl",
        )


def check_time_zone(patient: Patient) -> Iterator[Finding]:
    """Tell the time zone in which times are shown."""
    wanted = os.environ.get("TZ", "").removeprefix(":")
    told = f"{time.tzname[time.localtime().tm_isdst > 0]}, UTC{time.strftime('%z')}"
    if wanted and "/" in wanted and not wanted.startswith("/") and wanted not in zoneinfo.available_timezones():
        yield warning(
            f"TZ={wanted} is no zone that this machine knows, so times are shown in UTC",
            "set TZ to one of timedatectl list-timezones",
        )
    else:
        yield ok(f"{told}; times are stored in UTC")


def check_terminal(patient: Patient) -> Iterator[Finding]:
    """See that the dashboard can be shown here."""
    size, term = machine.terminal_size(), os.environ.get("TERM", "")
    if size is None:
        yield ok("not on a terminal, so none was looked at")
        return
    if term in ("", "dumb"):
        yield problem(f"TERM is {term or 'not set'}", "set TERM to what the terminal is: export TERM=xterm-256color")
    elif os.environ.get("COLORTERM", "") not in ("truecolor", "24bit") and "256color" not in term and "direct" not in term:
        yield warning(f"TERM={term} promises few colours", "where the terminal has more: export TERM=xterm-256color")
    if "utf-8" not in machine.encoding().replace("utf8", "utf-8"):
        yield warning(f"the locale has text in {machine.encoding()}", "set a locale with UTF-8: export LANG=C.UTF-8")
    if size[0] < SMALLEST[0] or size[1] < SMALLEST[1]:
        yield warning(f"{size[0]} columns, {size[1]} lines", f"make it {SMALLEST[0]} by {SMALLEST[1]} or larger")
    else:
        yield ok(f"{term}, {size[0]} columns, {size[1]} lines")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
