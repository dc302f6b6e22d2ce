"""Allocators: what they keep of memory that was freed, which is then nobody's.

A process has two: jemalloc, which is Polars' own, and the C library's, for numpy, Python and what else there is.
"""

from __future__ import annotations

import ctypes
import os
import time
import warnings
from collections.abc import MutableMapping

POLARS_OWN = "_RJEM_MALLOC_CONF"
"""The variable that jemalloc of Polars reads (jemalloc(3), TUNING), once, when Polars is loaded."""
CACHED = 4096
"""Octets of the largest piece that each thread keeps some of. There are dozens of threads, and most read a file, then wait."""
DIRTY_MS = 200
"""How long freed pages wait to be used again."""
READERS, FEW_READERS = "POLARS_MAX_BLOCKING_THREAD_COUNT", 16
"""The variable that Polars reads when it begins to work, of the threads that wait for files; 512 is its own."""
TRIM_PAUSE_S = 60.0
WORTH = 8 << 20
"""Octets to give back below which nothing is done."""


class _Mallinfo2(ctypes.Structure):
    """`struct mallinfo2`, mallinfo(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    )


def keep_little(environ: MutableMapping[str, str]) -> None:
    """Have Polars' allocator keep little, in this process and its children; without effect where Polars is loaded already.

    What is set there already holds.

    Args:
        environ: The environment, `os.environ`.
    """
    arenas = len(os.sched_getaffinity(0))
    environ.setdefault(POLARS_OWN, f"narenas:{arenas},tcache_max:{CACHED},dirty_decay_ms:{DIRTY_MS},muzzy_decay_ms:0")


def read_by_few(environ: MutableMapping[str, str]) -> None:
    """Have Polars open and read files by few threads: each keeps half a megabyte, and a screen's questions make a hundred of them.

    They wait for files alone, never for each other, so that few take turns. Without effect where Polars has begun to work.

    Args:
        environ: The environment, `os.environ`.
    """
    environ.setdefault(READERS, str(FEW_READERS))
    # It takes many files at once for a deadlock.
    warnings.filterwarnings("ignore", message=READERS)


class Trim:
    """Gives back what the C library's allocator keeps, now and then.

    It gives back by itself only what lies at the end of its heap: a burst's arrays are freed, and stay below what came after them.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        self._trim = getattr(libc, "malloc_trim", None)
        self._info = getattr(libc, "mallinfo2", None)
        if self._info is not None:
            self._info.restype = _Mallinfo2
        self._due = time.monotonic() + TRIM_PAUSE_S

    def look(self) -> int:
        """Give back, when it is time and there is much; return how many octets were free. It takes some milliseconds.

        To be called while there is little to do: others that want memory of the C library wait meanwhile.
        """
        now = time.monotonic()
        if now < self._due or self._trim is None or self._info is None:
            return 0
        self._due = now + TRIM_PAUSE_S
        free = int(self._info().fordblks)
        if free < WORTH:
            return 0
        self._trim(0)
        return free
