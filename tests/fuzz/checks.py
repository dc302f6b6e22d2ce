"""Checks: a decoder, and what has to hold after each block that it is given."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import polars as pl

from nftui import schema
from nftui.capture.decoder import Decoder, Rules
from nftui.capture.values import UNKNOWN_START
from tests.fuzz.accounting import asks, counters, moved
from tests.fuzz.steps import Step

MODES = ("block", "alone", "both")
"""The blocks as they are, under the rules of a collector; each datagram a block of its own; both in two decoders under the rules of
files, whose results have to agree."""
LIVE = Rules(clock_threshold=60_000_000, template_lifetime=86_400_000_000, held_age=3_600_000_000, live=True)
ALWAYS = {"received", "exporter_address", "observation_domain", "protocol_version"}
COUNTERS = ("octets", "packets", "out_octets", "out_packets", "flow_count")
TIMES = ("flow_start", "flow_end")
CORE = ("exporter_address", "observation_domain", "protocol_version", "source_address", "destination_address", "source_port",
        "destination_port", "protocol", "tcp_flags", "octets", "packets", "ingress_interface", "egress_interface")  # fmt: skip
"""Columns that a record fills by itself, whatever options came with it."""
ABSURD = 2**53
LATEST = 9_223_372_036_854_775
STATUS_OCTETS = 150_000
"""Of the status as JSON for each exporter, at most."""
EVENTS = 1000
CPU_S, CPU_S_PER_MB = 3.0, 6.0
"""A block may take so much CPU time, and so much more for each million octets."""
LIMITED = "at a time"
"""How the counters end of what is beyond a limit that holds for a block."""
BY_BLOCK = (UNKNOWN_START, "time before 1970 or after 2262")
"""What depends on how datagrams fall into blocks: a system start that an IPFIX message tells holds for what came before it, too."""
_ORDER = {name: place for place, name in enumerate(schema.POLARS)}


class Failure(AssertionError):
    """Something that has to hold doesn't.

    Attributes:
        kind: The check that failed: an exception's place, or a word.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass
class Counts:
    """What was seen so far.

    Attributes:
        slowest: CPU seconds of the slowest block, with the number of its step.
    """

    blocks: int = 0
    datagrams: int = 0
    octets: int = 0
    flows: int = 0
    malformed: int = 0
    unread: int = 0
    seconds: float = 0.0
    slowest: tuple[float, int] = (0.0, 0)

    def add(self, other: Counts) -> None:
        """Take in the counts of another session."""
        for name in ("blocks", "datagrams", "octets", "flows", "malformed", "unread", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.slowest = max(self.slowest, other.slowest)


@dataclass
class _Side:
    """A decoder, and what it gave."""

    decoder: Decoder = field(default_factory=lambda: Decoder())  # noqa: PLW0108 - looked up when called, for tests
    datagrams: int = 0
    rows: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    digest: int = 0
    compared: bool = False

    def take(self, frames: Sequence[pl.DataFrame], datagrams: int, received: int) -> int:
        """Check frames and the status after them; return by how much counters have moved."""
        self.datagrams += datagrams
        for frame in frames:
            _check_frame(frame, received)
            self.rows += len(frame)
            self.digest = (self.digest + _digest(frame)) % 2**64 if self.compared else 0
        status = self.decoder.status(received)
        size = len(json.dumps(status, allow_nan=False))
        exporters = status["exporters"]
        _hold(size <= STATUS_OCTETS * (len(exporters) + 1), "status size", f"{size:,} octets for {len(exporters)} exporters")
        _hold(len(self.decoder.events) <= EVENTS, "events", f"{len(self.decoder.events):,} events are kept")
        for name, wanted in (("datagrams", self.datagrams), ("flows", self.rows)):
            waiting = status["waiting_datagrams"] if name == "datagrams" else 0
            told = status[name], waiting + sum(one[name] for one in exporters)
            _hold(told == (wanted, wanted), name, f"{wanted:,} {name}, but counted are {told[0]:,}, by exporter {told[1]:,}")
        before, self.counters = self.counters, counters(status)
        negative = [name for name, number in self.counters.items() if number < 0]
        _hold(not negative, "negative", f"negative counters: {negative}")
        return moved(before, self.counters)

    def total(self, kind: str) -> int:
        """Return the sum of the counters of a kind, those left out that depend on how datagrams fall into blocks."""
        return sum(number for name, number in self.counters.items() if name.startswith(kind) and not name.endswith(BY_BLOCK))


class Checker:
    """Gives steps to one decoder (in mode `both` to two) from the first to the last.

    Attributes:
        counts: What was seen.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.counts = Counts()
        alone = {"block": _Side(Decoder(LIVE))} if mode == "block" else {mode: _Side()}
        self._sides = {"block": _Side(compared=True), "alone": _Side(compared=True)} if mode == "both" else alone

    def step(self, step: Step) -> None:
        """Decode a step.

        Raises:
            Failure: Something doesn't hold.
        """
        try:
            for name, side in self._sides.items():
                if name == "block":
                    self._block(side, step)
                else:
                    self._alone(side, step)
        except Failure:
            raise
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            raise Failure(f"{type(error).__name__} {last.filename.rpartition('/')[2]}:{last.name}", text) from error
        if self.mode == "both":
            self._agree()
        first = next(iter(self._sides.values()))
        self.counts.datagrams += len(step.sent)
        self.counts.octets += step.octets
        self.counts.flows = first.rows
        self.counts.malformed, self.counts.unread = first.total("malformed"), first.total("unread")

    def close(self) -> None:
        """Check that what exporters announced can be saved and taken back.

        Raises:
            Failure: It can't.
        """
        for side in self._sides.values():
            saved = json.loads(json.dumps(side.decoder.save_templates(), allow_nan=False))
            refused = Decoder().load_templates(saved)
            _hold(refused == 0, "saved templates", f"{refused} of the saved entries are not taken back")

    def _block(self, side: _Side, step: Step) -> None:
        frames = self._timed(side, step, 0, None)
        asking = sum(asks(one.octets, step.local_port) for one in step.sent)
        trace = side.take(frames, len(step.sent), step.received)
        _hold(trace >= asking, "vanished", f"{asking} datagrams ask for a trace, and counters moved by {trace}")

    def _alone(self, side: _Side, step: Step) -> None:
        for row, one in enumerate(step.sent):
            trace = side.take(self._timed(side, step, row, row + 1, stale=step.stale ^ 0xFF), 1, step.received)
            if not trace and asks(one.octets, step.local_port):
                head = one.octets[:64].hex(" ", 4)
                raise Failure("vanished", f"datagram {row} of {len(one.octets)} octets moved no counter: {head}")

    def _timed(self, side: _Side, step: Step, first: int, last: int | None, stale: int | None = None) -> list[pl.DataFrame]:
        block = step.block(first, last, stale=stale)
        began = time.process_time()
        frames = side.decoder.decode(block)
        seconds = time.process_time() - began
        self.counts.blocks += 1
        self.counts.seconds += seconds
        self.counts.slowest = max(self.counts.slowest, (seconds, step.number))
        octets = int(block.length.sum())
        most = CPU_S + CPU_S_PER_MB * octets / 1e6
        _hold(seconds <= most, "slow", f"{len(block.length)} datagrams of {octets:,} octets took {seconds:.1f} s of CPU time")
        return frames

    def _agree(self) -> None:
        """Check that the same came out of blocks as of datagrams one by one."""
        block, alone = self._sides["block"], self._sides["alone"]
        if any(name.endswith(LIMITED) for side in (block, alone) for name in side.counters):
            # What was beyond a limit is missing from all that follows.
            return
        for kind in ("flows", "options_records", "templates", "malformed", "unread"):
            together, single = block.total(kind), alone.total(kind)
            _hold(together == single, f"blocks differ: {kind}", f"{kind}: {together:,} in blocks, {single:,} one by one")
        _hold(block.digest == alone.digest, "blocks differ: flows", "the flows differ when datagrams are decoded one by one")


def _hold(condition: bool, kind: str, text: str) -> None:
    if not condition:
        raise Failure(kind, text)


def _check_frame(frame: pl.DataFrame, received: int) -> None:
    columns, kinds = frame.columns, dict(frame.schema)
    _hold(len(frame) > 0, "empty frame", f"a frame of {len(columns)} columns without rows")
    unknown = [(name, kind) for name, kind in kinds.items() if kind != schema.POLARS.get(name)]
    _hold(not unknown, "dtypes", f"{unknown} are not of the schema")
    _hold(columns == sorted(columns, key=_ORDER.__getitem__), "order", f"columns are not in order: {columns}")
    _hold(kinds.keys() >= ALWAYS, "columns", f"{ALWAYS - kinds.keys()} missing")
    nulls = [name for name in ALWAYS if frame.get_column(name).null_count()]
    _hold(not nulls, "nulls", f"nulls in {nulls}")
    for names, limit in ((COUNTERS, ABSURD - 1), (TIMES, LATEST), (("received",), received)):
        for name in kinds.keys() & names:
            values = frame.get_column(name).to_physical()
            least, most = (int(one) for one in (values.min() or 0, values.max() or 0))  # type: ignore[arg-type]
            fine = least >= 0 and most <= limit
            _hold(fine, "range", f"{name} from {least} to {most}")
    for name in (name for name, kind in kinds.items() if kind == pl.Binary and name.endswith("address")):
        sizes = frame.get_column(name).bin.size()
        _hold(sizes.min() in (16, None) and sizes.max() in (16, None), "address", f"{name} holds something else than 16 octets")


def _digest(frame: pl.DataFrame) -> int:
    """Return a sum of hashes of rows, the same whatever their order and frames are."""
    rows, known = len(frame), set(frame.columns)
    core = [frame.get_column(name) if name in known else _nulls(name).new_from_index(0, rows) for name in CORE]
    return int(pl.DataFrame(core).hash_rows().to_numpy().sum(dtype="u8"))


@cache
def _nulls(name: str) -> pl.Series:
    return pl.Series(name, [None], schema.POLARS[name])
