"""The meter: frames in, flows out. One table of bounded size; what leaves it is counted, whatever the reason.

Source: RFC 7011, section 2 (Metering Process); RFC 5470, section 5.3; RFC 5475, section 5.1 (systematic count-based sampling).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture.dissection import Mask
from nftui.capture.probe import flows, keys, timeouts
from nftui.capture.probe.flows import CLIENT_RULES, KEY_FACT, OPENING, Labels
from nftui.capture.probe.fragments import CarriedPorts
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.keys import Seed, Words
from nftui.capture.probe.observing import ObservedCounts, Slots, chosen, observe
from nftui.capture.probe.rows import FIN, RST, Rows, Sightings, joined
from nftui.capture.probe.table import NOT_THERE, FlowTable
from nftui.capture.probe.timeouts import NO_ROOM, Timeouts
from nftui.capture.sets import Integers
from nftui.capture.values import LATEST

SECOND = 1_000_000
MAX_FRAMES = 1 << 16
"""Frames that are metered at once; larger blocks are taken in parts."""
_SWEEP = SECOND // 5
"""Microseconds between two looks at all flows, at least; more where there are many, up to a second."""
_TOGETHER = 1 << 16
_LEAST_WAITING = 200_000
_LEAVES_AT_ONCE = 8
"""Part of a full table that leaves at once when there is no room."""
_SPARE = 16
_FUTURE = 86400 * SECOND
"""A flow that is so far ahead of the clock is ended."""


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """How packets become flows.

    Attributes:
        active_s: A flow that lasts for so long ends, and another begins.
        inactive_s: A flow ends after such a silence.
        linger_s: A flow ends after such a silence once TCP said FIN or RST.
        entries: Flows in the table, at most; a flow of both directions counts once.
        waiting: Flows that ended and were not fetched yet, at most; those beyond are lost, and counted. 0 for twice `entries`, as
            all may end at once, but not below `_LEAST_WAITING`.
        sampling: N of 1 in N packets.
        random: Whether sampling draws its packets by chance, instead of taking every Nth.
        bidirectional: Both directions are one flow, that ends as one and becomes two rows, of which what the server sent is
            `reverse`. The TOS is that of each direction's first packet then.
        tunnels: The innermost IP header is the key, not the outermost.
        carry_fragments: Later fragments belong to the flow of the first, whose ports they lack.
        client_by: Rules which say who the client is, the first that applies holds: `syn` (it opened the TCP connection), `first`
            (it sent the first packet; not for TCP of which the beginning was not seen), `port` (the server's is lower).
        labels: Columns that are the same in all flows.
    """

    active_s: float = 60
    inactive_s: float = 15
    linger_s: float = 3
    entries: int = 1_000_000
    waiting: int = 0
    sampling: int = 1
    random: bool = False
    bidirectional: bool = False
    tunnels: bool = False
    carry_fragments: bool = False
    client_by: tuple[str, ...] = CLIENT_RULES
    labels: Labels = field(default_factory=Labels)


@dataclass(slots=True)
class MeterCounts(ObservedCounts):
    """What was seen, and what became of it.

    Attributes:
        flows: That ended, and wait or were fetched.
        emergency: Of these, those that had to make room before their time.
        lost_flows: That ended while too many waited, so that nobody gets them.
        lost_packets: Of these.
        lost_octets: Of these.
    """

    flows: int = 0
    emergency: int = 0
    lost_flows: int = 0
    lost_packets: int = 0
    lost_octets: int = 0


class Meter:
    """Makes flows of packets. Used from one thread.

    Attributes:
        counts: Brought up to date by each call.
        seen_us: A clock for files: it follows the packets, and one with a time from nowhere does not move it.
    """

    def __init__(self, settings: MeterSettings, seed: Seed | None = None) -> None:
        """Begin with no flow."""
        self._settings = settings
        self.counts = MeterCounts()
        self.seen_us = 0
        self._seed, self._other = seed or Seed(), Seed()
        self._slots = Slots()
        self._carried = CarriedPorts(self._seed) if settings.carry_fragments else None
        inactive = max(int(settings.inactive_s * SECOND), 1)
        linger = min(max(int(settings.linger_s * SECOND), 1), inactive)
        self._timeouts = Timeouts(max(int(settings.active_s * SECOND), 1), inactive, linger)
        self._lanes = 2 if settings.bidirectional else 1
        self._table = FlowTable(max(settings.entries, 1), self._lanes)
        self._ended: list[tuple[Rows, npt.NDArray[np.int16]]] = []
        self._waiting, self._most_waiting = 0, settings.waiting or max(2 * settings.entries, _LEAST_WAITING)
        self._offset = 0
        self._random = np.random.default_rng()
        self._swept = self._due = 0

    @property
    def entries(self) -> int:
        """How many flows are in the table."""
        return self._table.used

    @property
    def waiting(self) -> int:
        """How many flows ended and were not fetched yet."""
        return self._waiting

    @property
    def memory(self) -> int:
        """Octets that the table takes."""
        return self._table.memory

    def take(self, block: FrameBlock) -> None:
        """Meter the frames of a block; nothing of it is kept."""
        for begin in range(0, len(block), MAX_FRAMES):
            part = block if len(block) <= MAX_FRAMES else chosen(block, slice(begin, begin + MAX_FRAMES))
            self._take(part)

    def expired(self, now_us: int) -> pl.DataFrame | None:
        """Return the flows that have ended.

        Args:
            now_us: Microseconds since 1970: of the clock, or `seen_us` for what is not live.
        """
        if not self._swept <= now_us < self._due:
            self._sweep(now_us)
        return self._fetch(now_us)

    def rest(self, now_us: int | None = None) -> pl.DataFrame | None:
        """End all flows, and return them with those that have ended."""
        now = self.seen_us if now_us is None else now_us
        live = self._table.live()
        if len(live):
            first, last, _, ended = self._table.rows.times(live)
            self._end(live, self._timeouts.reasons(first, last, ended, now))
        return self._fetch(now)

    def _take(self, block: FrameBlock) -> None:
        self.counts.frames += len(block)
        self.counts.octets += int(block.length.sum())
        block = self._sampled(block)
        if not len(block):
            return
        if (block.time[1:] < block.time[:-1]).any():
            block = chosen(block, np.argsort(block.time, kind="stable"))
        if block.time[0] < 0 or block.time[-1] > LATEST:
            possible = np.clip(block.time, 0, LATEST)
            self.counts.odd_time += int((possible != block.time).sum())
            block = replace(block, time=possible)
        self.seen_us = int(block.time[-1 - len(block) // 16])
        packed, seen = observe(block, self.counts, self._slots, tunnels=self._settings.tunnels, carried=self._carried)
        if not len(packed):
            return
        lane = None
        if self._lanes == 2:
            for name, values in ((KEY_FACT, keys.one_way(packed)), (OPENING, seen.flags.astype(np.int64))):
                seen.facts.more[name] = np.zeros(len(block), np.int64)
                seen.facts.more[name][seen.frame] = values
            packed, lane = keys.both_ways(packed)
        self._meter(packed, seen, lane)

    def _sampled(self, block: FrameBlock) -> FrameBlock:
        every = self._settings.sampling
        if every <= 1:
            return block
        size = len(block)
        if self._settings.random:
            kept: npt.NDArray[np.int64] | slice = np.flatnonzero(self._random.integers(0, every, size) == 0)
        else:
            kept = slice(self._offset, None, every)
            self._offset = (self._offset - size) % every
        sampled = chosen(block, kept)
        self.counts.sampled_out += size - len(sampled)
        self.counts.sampled_out_octets += int(block.length.sum()) - int(sampled.length.sum())
        return sampled

    def _meter(self, packed: Words, seen: Sightings, lane: Integers | None) -> None:
        hashes = self._seed.hash(packed)
        rows = self._table.find(packed, hashes)
        new = np.flatnonzero(rows == NOT_THERE)
        if len(new) == 0:
            self._add(rows, seen, np.arange(len(rows)), lane)
            return
        if len(new) < len(rows):
            known = np.flatnonzero(rows != NOT_THERE)
            self._add(rows[known], seen, known, lane)
        # A part of the table at a time, so that there is always room for all of it.
        step = max(self._table.entries // 2, 1)
        for begin in range(0, len(new), step):
            some = new[begin : begin + step]
            if begin:
                rows[some] = self._table.find(packed[some], hashes[some])
                known = some[rows[some] != NOT_THERE]
                self._add(rows[known], seen, known, lane)
                some = some[rows[some] == NOT_THERE]
            self._make_room(packed[some])
            self._add(self._table.insert(packed[some], hashes[some]), seen, some, lane)

    def _add(self, rows: Integers, seen: Sightings, packets: Integers, lane: Integers | None) -> None:
        """Add packets to their flows; where they come too late for theirs, it ends, and another begins."""
        if not len(rows):
            return
        together = np.sort(rows << 20 | np.arange(len(rows)))
        rows, order = together >> 20, packets[together & (1 << 20) - 1]
        group = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
        last = order[np.append(group[1:], len(order)) - 1]
        first, until, there, ended = self._table.rows.times(rows[group])
        begin, end = seen.time[order[group]], seen.time[last]
        first, until = np.where(there, first, begin), np.where(there, until, begin)
        # Not within one flow for certain: too long, or a silence that may be one of its.
        fine = (end - first < self._timeouts.active) & (begin > first - self._timeouts.inactive)
        silent = np.maximum(end - until, end - begin)
        if int(silent.max()) >= self._timeouts.linger:
            ended |= np.bitwise_or.reduceat(seen.flags[order], group) & (FIN | RST) != 0
            fine &= silent < np.where(ended, self._timeouts.linger, self._timeouts.inactive)
        if fine.all():
            _put(self._table.rows, rows, seen, order, lane)
            return
        whole = np.repeat(fine, np.diff(np.append(group, len(order))))
        _put(self._table.rows, rows[whole], seen, order[whole], lane)
        self._split(rows[~whole], seen, order[~whole], lane)

    def _split(self, rows: Integers, seen: Sightings, order: Integers, lane: Integers | None) -> None:
        """Add packets, by row, to flows that end among them."""
        group = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
        slots, time = rows[group], seen.time[order]
        first, last, there, ended = self._table.rows.times(slots)
        on = there & self._timeouts.goes_on(first, last, ended, time[group])
        enders, before = self._enders(slots, seen.flags[order], None if lane is None else lane[order])
        starts = timeouts.begins(self._timeouts, time, group, (first, on), enders, before)
        starts[group] = True
        number = np.cumsum(starts) - 1
        made = Rows(int(number[-1]) + 1, self._lanes)
        made.heads[:] = self._table.rows.heads[rows[starts]]
        made.put(number[group[on]], self._table.rows.take(slots[on]))
        _put(made, number, seen, order, lane)
        gone = there & ~on
        if gone.any():
            why = self._timeouts.reasons(first[gone], last[gone], ended[gone], time[group[gone]])
            self._retire(self._table.rows.take(slots[gone]), why)
        final = number[np.append(group[1:], len(rows)) - 1]
        left = np.ones(made.size, np.bool_)
        left[final] = False
        if left.any():
            over = made.take(np.flatnonzero(left))
            first, last, _, ended = over.times(slice(None))
            self._retire(over, self._timeouts.reasons(first, last, ended, np.iinfo(np.int64).max))
        self._table.rows.put(slots, made.take(final))

    def _enders(self, slots: Integers, flags: npt.NDArray[np.int16], lane: Integers | None) -> tuple[list[Mask], list[Mask]]:
        """Return which packets say that their direction ends, or both; and for each row whether that was said before."""
        before = self._table.rows.lane["flags"].reshape(-1, self._lanes)[slots]
        fin, reset = (flags & FIN) != 0, (flags & RST) != 0
        each = [fin] if lane is None else [fin & (lane == one) for one in range(self._lanes)]
        said = [(before[:, one] & FIN) != 0 for one in range(self._lanes)]
        return [*each, reset], [*said, ((before & RST) != 0).any(axis=1)]

    def _sweep(self, now: int) -> None:
        """End the flows whose time is over."""
        table, found = self._table, []
        due = now + min(self._timeouts.linger, self._timeouts.active)
        # What is looked at together stays in the processor's cache.
        for begin in range(0, table.top, _TOGETHER):
            first, last, used, ended = table.rows.times(slice(begin, min(begin + _TOGETHER, table.top)))
            over = np.where(used, self._timeouts.over(first, last, ended), due)
            # From a clock that was set back since, or from nowhere: else they would be there for ever.
            done = np.flatnonzero(((over <= now) | (last > now + _FUTURE)) & used)
            over[done] = due
            due = min(due, int(over.min()))
            if len(done):
                found.append((done + begin, self._timeouts.reasons(first[done], last[done], ended[done], now)))
        if found:
            self._end(np.concatenate([rows for rows, _ in found]), np.concatenate([reasons for _, reasons in found]))
        pause = min(_SWEEP * (1 + table.top // _TOGETHER), SECOND)
        # Nothing ends before `due`: what comes meanwhile has at least the shortest of the timeouts.
        self._swept, self._due = now, max(now + pause, due)

    def _make_room(self, packed: Words) -> None:
        """See to it that there is room for new keys: flows of one packet leave first, the longest silent of them before others."""
        table = self._table
        if len(packed) <= table.room:
            return
        # Hashed by a seed of its own, so that keys which are alike to the table's count as two.
        wanted = min(len(np.unique(self._other.hash(packed))) + _SPARE, len(packed)) - table.room
        if wanted <= 0:
            return
        number = min(max(wanted, table.entries // _LEAVES_AT_ONCE), table.used)
        packets = table.rows.lane["packets"][: table.top * self._lanes].reshape(-1, self._lanes)
        packets = packets[:, 0] if self._lanes == 1 else packets.sum(axis=1)
        leaves = self._longest_silent(np.flatnonzero(packets == 1), number)
        if len(leaves) < number:
            others = self._longest_silent(np.flatnonzero(packets > 1), number - len(leaves))
            leaves = np.concatenate([leaves, others])
        self.counts.emergency += number
        self._end(leaves, np.full(number, NO_ROOM, np.int16))

    def _longest_silent(self, rows: Integers, number: int) -> Integers:
        """Return as many of the rows, or all where there are fewer."""
        if len(rows) <= number:
            return rows
        last = self._table.rows.lane["last"].reshape(-1, self._lanes)
        silent = last[rows, 0] if self._lanes == 1 else last[rows].max(axis=1)
        return rows[np.argpartition(silent, number - 1)[:number]]

    def _end(self, rows: Integers, reasons: npt.NDArray[np.int16]) -> None:
        self._retire(self._table.rows.take(rows), reasons)
        self._table.remove(rows)

    def _retire(self, rows: Rows, reasons: npt.NDArray[np.int16]) -> None:
        """Keep flows until they are fetched, as far as there is room; those that had to leave take only a part of it."""
        forced = bool(len(reasons)) and int(reasons[0]) == NO_ROOM
        room = max(self._most_waiting * (3 if forced else 4) // 4 - self._waiting, 0)
        if rows.size > room:
            lost = rows.take(np.arange(room, rows.size))
            self.counts.lost_flows += lost.size
            self.counts.lost_packets += int(lost.lane["packets"].sum())
            self.counts.lost_octets += int(lost.lane["octets"].sum())
            rows, reasons = rows.take(np.arange(room)), reasons[:room]
        if rows.size:
            self.counts.flows += rows.size
            self._waiting += rows.size
            self._ended.append((rows, reasons))

    def _fetch(self, received: int) -> pl.DataFrame | None:
        if not self._ended:
            return None
        rows, reasons = joined([rows for rows, _ in self._ended]), np.concatenate([reasons for _, reasons in self._ended])
        self._ended, self._waiting = [], 0
        settings = self._settings
        return flows.frame(rows, reasons, received, self._slots, settings.sampling, settings.labels, settings.client_by)


def _put(rows: Rows, numbers: Integers, seen: Sightings, order: Integers, lane: Integers | None) -> None:
    """Add packets to rows, of which `numbers` has those of `order`, ascending."""
    if lane is None:
        rows.add(numbers, seen, order)
        return
    for one in range(rows.lanes):
        some = lane[order] == one
        rows.add(numbers[some] * rows.lanes + one, seen, order[some])
