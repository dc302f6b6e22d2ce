"""How fast the disk of a store is: written and read through a file that has no name, and scanned as questions scan."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nftui.engine.segments import Part
from nftui.engine.store import Store

TRIAL = 64 << 20
"""Octets that are written, at most."""
TRIAL_S = 2.0
"""How long writing may take; a slow disk gets fewer octets."""
PIECE = 1 << 20
FREE_SHARE = 10
"""Of what is free no more than this part is taken."""
SCANNED = 256 << 20
"""Octets of segments that are scanned, at most."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured.

    Attributes:
        octets: Of the trial.
        written: Octets a second, until the disk had them.
        read: Octets a second, from the disk, as far as the kernel let go of what it had in memory.
    """

    octets: int
    written: float
    read: float


@dataclass(frozen=True, slots=True)
class Scan:
    """How fast flows were summed up: flows, octets of their files, seconds."""

    flows: int
    octets: int
    seconds: float


def measure(folder: Path) -> Speed:
    """Write a file into a folder, have the disk take it, and read it.

    Raises:
        OSError: The folder can't be written, or is full.
    """
    status = os.statvfs(folder)
    limit = max(min(TRIAL, status.f_bavail * status.f_frsize // FREE_SHARE), PIECE)
    piece = os.urandom(PIECE)
    with tempfile.TemporaryFile(dir=folder) as file:
        handle, octets = file.fileno(), 0
        began = time.monotonic()
        while octets < limit and time.monotonic() - began < TRIAL_S:
            octets += os.write(handle, piece)
        os.fsync(handle)
        written = time.monotonic() - began
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.lseek(handle, 0, os.SEEK_SET)
        began = time.monotonic()
        while os.read(handle, PIECE):
            pass
        read = time.monotonic() - began
    return Speed(octets, octets / max(written, 1e-6), octets / max(read, 1e-6))


def scan(store: Store) -> Scan | None:
    """Sum up the flows of the newest segments; None where there are none.

    Raises:
        OSError, StoreError, polars.exceptions.PolarsError: A segment can't be read.
    """
    try:
        return _scan(store)
    except FileNotFoundError:  # superseded since it was listed
        return _scan(store)


def _scan(store: Store) -> Scan | None:
    chosen: list[Part] = []
    octets = 0
    for part in reversed(store.parts()):
        size = part.path.stat().st_size
        if not part.name.is_parquet or octets + size > SCANNED:
            continue
        chosen.append(part)
        octets += size
    if not chosen:
        return None
    began = time.monotonic()
    sums = store.scan(chosen, ("octets", "packets")).select(pl.len(), pl.col("octets").sum(), pl.col("packets").sum())
    flows = int(sums.collect(engine="streaming").item(0, 0))
    return Scan(flows, octets, max(time.monotonic() - began, 1e-6))
