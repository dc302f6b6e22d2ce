"""How urgent threads are: whoever waits for a key goes before what can wait."""

from __future__ import annotations

import contextlib
import os
import threading
from io import BytesIO

import polars as pl

NICENESS = 10
"""How much less urgent than keys, and than receiving, the library's work is."""


def lower_pool() -> None:
    """Have Polars start its threads, which do nearly all of the work of files and questions, less urgent than whoever calls.

    They inherit it from the thread that starts them. Where they run already this has no effect. Threads that run Python stay as
    they are: one that waits for its turn while it holds the interpreter's lock would have everybody wait.
    """

    def start() -> None:
        with contextlib.suppress(OSError):
            mine = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(mine + NICENESS, 19))
        file = BytesIO()
        pl.DataFrame({"": [0]}).write_parquet(file)
        pl.scan_parquet(file.getvalue()).group_by("").len().collect(engine="streaming")

    starter = threading.Thread(target=start, name="pool")
    starter.start()
    starter.join()
