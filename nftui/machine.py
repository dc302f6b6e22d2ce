"""What this machine is like: limits of the kernel, clock, processor, file systems, terminal. What can't be told is None."""

from __future__ import annotations

import ctypes
import importlib
import locale
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

UNSYNCHRONISED = 0x0040
"""STA_UNSYNC of adjtimex(2)."""
CPU_FLAGS = {"sse4.1": "sse4_1", "sse4.2": "sse4_2", "sse3": "pni", "pclmulqdq": "pclmulqdq", "lzcnt": "abm", "cmpxchg16b": "cx16"}
"""What the Polars build calls a processor's feature -> what the kernel calls it, where they differ."""
LEAST_FLAGS = ("sse4.2", "avx", "avx2", "fma", "bmi1", "bmi2", "lzcnt", "movbe", "popcnt")
"""What Polars is built for on x86-64, where its package doesn't say."""
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Clock:
    """The kernel's clock: whether something keeps it right, and how far it may be off, seconds."""

    synchronised: bool
    error_s: float


class _Timex(ctypes.Structure):
    """The first fields of `struct timex`, adjtimex(2), and room for the others."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("max_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 64),
    )


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system: where it is mounted, its kind, and what it is made of."""

    place: str
    kind: str
    source: str


def clock() -> Clock | None:
    """Return how the kernel's clock is kept."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    timex = _Timex()
    if adjtimex is None or adjtimex(ctypes.byref(timex)) < 0:
        return None
    return Clock(not timex.status & UNSYNCHRONISED, timex.max_error / 1e6)


def sysctl(name: str) -> int | None:
    """Return a number of the kernel's, such as `net.core.rmem_max`."""
    try:
        return int(Path("/proc/sys", *name.split(".")).read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def missing_cpu_features() -> list[str] | None:
    """Return what Polars was built for and this processor has not; always empty where it is no x86-64."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return []
    try:
        found = re.search(r"^flags\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text("ascii", "replace"), re.MULTILINE)
    except OSError:
        return None
    if found is None:
        return None
    flags = set(found[1].split())
    return [feature for feature in _built_for() if CPU_FLAGS.get(feature, feature) not in flags]


def mount(path: Path) -> Mount | None:
    """Return the file system that a path is, or would be, on; proc_pid_mountinfo(5)."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    path, found = path.absolute(), None
    for line in lines:
        before, _, after = line.partition(" - ")
        words, more = before.split(" "), after.split(" ")
        if len(words) < 5 or len(more) < 2:
            continue
        place = _OCTAL.sub(lambda match: chr(int(match[1], 8)), words[4])
        # Of two at one place, and of two above the path, the later or longer one is what is seen.
        if path.is_relative_to(place) and (found is None or len(place) >= len(found.place)):
            found = Mount(place, more[0], more[1])
    return found


def terminal_size() -> tuple[int, int] | None:
    """Return columns and lines of the terminal that output, or a diagnostic, goes to."""
    for handle in (1, 2, 0):
        try:
            size = os.get_terminal_size(handle)
        except OSError:
            continue
        return size.columns, size.lines
    return None


def encoding() -> str:
    """Return how the locale has text encoded, `utf-8` in lower case for one."""
    return locale.getencoding().lower()


def _built_for() -> list[str]:
    for build in ("compat", "64", "32"):  # the order in which Polars looks for one
        try:
            module = importlib.import_module(f"_polars_runtime_{build}")
        except ImportError:
            continue
        flags = str(getattr(module, "BUILD_FEATURE_FLAGS", ""))
        return [word.removeprefix("+") for word in flags.split(",") if word.startswith("+")]
    return list(LEAST_FLAGS)
