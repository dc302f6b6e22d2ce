"""Checks: what has to hold of each block of frames, of the meter that takes it, and of the flows that it makes."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl

from nftui import schema
from nftui.capture.packets import Packets, dissect
from nftui.capture.probe import observing, plain
from nftui.capture.probe.fragments import CarriedPorts
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.keys import Seed
from nftui.capture.probe.meter import Meter, MeterSettings
from nftui.capture.probe.observing import ObservedCounts, Slots
from nftui.capture.values import LATEST
from tests.fuzz.checks import Counts, Failure
from tests.fuzz.packet_traffic import PacketStep

CPU_S, CPU_S_PER_FRAME = 1.0, 0.002
"""A block may take so much CPU time, and so much more for each frame."""
TABLE_OCTETS = 64 << 20
ALONE = 12
"""Frames of a block that are also looked at each alone."""


class PacketChecker:
    """Gives blocks to one meter, from the first to the last.

    Attributes:
        counts: What was seen; datagrams are frames, malformed those cut, unread those without an IP header.
    """

    def __init__(self, settings: MeterSettings) -> None:
        self.counts = Counts()
        self._settings = settings
        self._meter = Meter(settings)
        self._packets = self._octets = self._frames = self._wire = 0

    def step(self, step: PacketStep) -> None:
        """Meter a block.

        Raises:
            Failure: Something doesn't hold.
        """
        began = time.process_time()
        try:
            self._meter.take(step.block)
            frame = self._meter.expired(step.now)
            taken = time.process_time() - began
            self._frames += len(step.block)
            self._wire += int(step.block.length.sum())
            self._flows(frame)
            self._counted()
            _each_alone(step.block, tunnels=self._settings.tunnels)
            _plain_as_general(step.block, tunnels=self._settings.tunnels)
        except Failure:
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise Failure(f"{type(error).__name__} {Path(place.filename).name}:{place.name}", repr(error)) from error
        allowed = CPU_S + CPU_S_PER_FRAME * len(step.block)
        _hold(taken <= allowed, "time", f"{taken:.2f} s for {len(step.block)} frames")
        self.counts.blocks += 1
        self.counts.slowest = max(self.counts.slowest, (taken, step.number))

    def close(self) -> None:
        """End the flows that are left."""
        self._flows(self._meter.rest())
        counts = self._meter.counts
        told = counts.packets, counts.packet_octets
        found = self._packets + counts.lost_packets, self._octets + counts.lost_octets
        _hold(found == told, "conserved", f"(packets, octets) {told} were metered, flows and what was lost have {found}")
        _hold(self._meter.entries == self._meter.waiting == 0, "left", f"{self._meter.entries} flows are left")
        self.counts.datagrams, self.counts.malformed, self.counts.unread = counts.frames, counts.cut, counts.not_ip

    def _counted(self) -> None:
        counts, settings = self._meter.counts, self._settings
        negative = [name for name, number in counts.as_dict().items() if number < 0]
        _hold(not negative, "negative", f"negative counters: {negative}")
        _hold(
            (counts.frames, counts.octets) == (self._frames, self._wire), "given", f"{counts}, given {self._frames}, {self._wire}"
        )
        frames = counts.packets + counts.not_ip + counts.cut + counts.sampled_out
        _hold(frames == counts.frames, "frames", f"{counts.frames} frames, {frames} by reason: {counts}")
        octets = counts.packet_octets + counts.link_octets + counts.not_ip_octets + counts.cut_octets + counts.sampled_out_octets
        _hold(octets == counts.octets, "octets", f"{counts.octets} octets, {octets} by reason: {counts}")
        _hold(self._meter.entries <= settings.entries, "entries", f"{self._meter.entries} flows of {settings.entries}")
        _hold(self._meter.memory <= TABLE_OCTETS, "memory", f"the table takes {self._meter.memory:,} octets")

    def _flows(self, frame: pl.DataFrame | None) -> None:
        if frame is None:
            return
        _hold(frame.height > 0, "empty", "a frame without a flow")
        wrong = [name for name, dtype in frame.schema.items() if schema.POLARS.get(name) != dtype]
        _hold(not wrong, "dtype", f"columns of another dtype: {wrong}")
        _hold(list(frame.columns) == [name for name in schema.POLARS if name in frame.columns], "order", f"{frame.columns}")
        for name in ("source_address", "destination_address", "packets", "octets", "flow_start", "flow_end", "flow_end_reason"):
            _hold(name in frame.columns and frame[name].null_count() == 0, "absent", f"{name} is missing in some flows")
        _hold(bool((frame["packets"] > 0).all() and (frame["octets"] >= 0).all()), "counters", "a flow without a packet")
        start, end = (frame[name].dt.timestamp("us") for name in ("flow_start", "flow_end"))
        _hold(bool((start <= end).all() and (start >= 0).all() and (end <= LATEST).all()), "times", "a flow ends before it starts")
        self._packets += int(frame["packets"].sum())
        self._octets += int(frame["octets"].sum())
        self.counts.flows += frame.height


def _each_alone(block: FrameBlock, *, tunnels: bool) -> None:
    """See that what is found in a frame does not depend on what is around it, or behind its end."""
    rows = np.arange(min(len(block), ALONE))
    link = block.link[rows] if isinstance(block.link, np.ndarray) else block.link
    together = dissect(block.flat, block.start[rows], block.end[rows], link, tunnels=tunnels)
    for row in rows.tolist():
        begin, end = int(block.start[row]), int(block.end[row])
        octets = np.concatenate([block.flat[begin:end], np.full(64, 0x45, np.uint8)])
        one = block.link if isinstance(block.link, int) else int(block.link[row])
        alone = dissect(octets, np.array([0]), np.array([end - begin]), one, tunnels=tunnels)
        got, wanted = _said(together, row, begin), _said(alone, 0, 0)
        _hold(got == wanted, "alone", f"frame {row}: {_difference(got, wanted)}: {block.flat[begin:end].tobytes().hex()}")


def _said(found: Packets, row: int, begin: int) -> dict[str, Any]:
    """Return what was found in a packet; places count from its begin."""
    said: dict[str, Any] = {name: int(values[row]) for name, values in found.numbers.items() if values[row] != -1}
    for name in ("transport", "ip_end", "network"):
        if name in said:
            said[name] -= begin
    for name in ("source", "destination", "outer_source", "outer_destination"):
        said[name] = getattr(found, name)[row].tobytes()
    return said | {"depth": int(found.depth[row])}


def _plain_as_general(block: FrameBlock, *, tunnels: bool) -> None:
    """See that packets which are read in one gather are read as the general dissection does."""
    told = []
    for read in (plain.read, _none_is_plain):
        counts, carried = ObservedCounts(), CarriedPorts(Seed(np.arange(1, 40, 2).astype(np.uint64)))
        with mock.patch.object(observing.plain, "read", read):
            keys, seen = observing.observe(block, counts, Slots(), tunnels=tunnels, carried=carried)
        facts = seen.facts.of(seen.frame) if len(keys) else {}
        told.append((counts, keys, seen, facts))
    (counts, keys, seen, facts), (counts_2, keys_2, seen_2, facts_2) = told
    _hold(counts == counts_2, "plain counts", f"{counts} is not {counts_2}")
    _same("plain keys", [keys], [keys_2])
    names = ("time", "octets", "flags", "ttl", "icmp")
    _same("plain sightings", [getattr(seen, name) for name in names], [getattr(seen_2, name) for name in names])
    absent = np.full(len(keys), -1)
    for name in sorted({*facts, *facts_2}):
        _same(f"plain {name}", [facts.get(name, absent)], [facts_2.get(name, absent)])


def _none_is_plain(block: FrameBlock, *_: object, **__: object) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(len(block))


def _same(kind: str, these: Sequence[Any], those: Sequence[Any]) -> None:
    for place, (one, other) in enumerate(zip(these, those, strict=True)):
        if not np.array_equal(one, other):
            raise Failure(kind, f"at {place}: {np.asarray(one)[:10]} is not {np.asarray(other)[:10]}")


def _difference(got: dict[str, Any], wanted: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {got.get(name)} is not {wanted.get(name)}" for name in got | wanted if got.get(name) != wanted.get(name)
    )


def _hold(true: bool, kind: str, text: str) -> None:
    if not true:
        raise Failure(kind, text)
