"""The flow table: keys to rows, for a block of packets at once.

An index of four times as many cells as there are flows, probed with growing steps, holds for each flow its row and 32 bits of its
hash. A block is looked up in rounds: of all packets the first cell, of those that did not find their key there the next one,
and so on; all words of the key are compared, so hashes that are alike cost a round, never a wrong flow. New keys take an empty cell
by writing themselves into it and reading who is there: of several that want it one wins, the others look again, as it may be their
own flow.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nftui.capture.probe.keys import KEY_WORDS, Words
from nftui.capture.probe.rows import HEAD, Rows
from nftui.capture.sets import Integers

NOT_THERE = -1
_LOW = np.uint64(0xFFFFFFFF)
_TAG = np.uint64(32)
_EMPTY, _DEAD = np.uint64(0), np.uint64(0xFFFFFFFF)
"""A cell that was never used, and one that was: who looks for a key goes on behind the latter."""
_LEAST_CELLS, _CELLS_A_ROW, _FULL = 1 << 12, 4, 0.5
"""Cells of an index that is made anew, for each row, and the share of them that may be used or dead."""
_LEAST_ROWS = 1 << 14
"""A table of fewer rows is never made smaller."""


class FlowTable:
    """Rows by key.

    Attributes:
        rows: The rows; what is in one that is not in use means nothing, but its lanes are empty.
        entries: How many there may be.
        used: How many are in use.
        top: All rows in use are before this one.
    """

    def __init__(self, entries: int, lanes: int) -> None:
        """Make an empty table; memory becomes real as rows are used."""
        self.entries, self._lanes = entries, lanes
        self._empty()

    def _empty(self) -> None:
        self.rows = Rows(self.entries, self._lanes)
        self._new_index(0)
        self._free: Integers = np.zeros(0, np.int64)
        self.used = self.top = 0

    @property
    def room(self) -> int:
        """How many rows are not in use."""
        return self.entries - self.used

    @property
    def memory(self) -> int:
        """Octets that the table takes, as far as its rows have been used."""
        return self._index.nbytes + self.rows.memory * self.top // max(self.entries, 1)

    def find(self, keys: Words, hashes: Words) -> Integers:
        """Look keys up.

        Args:
            keys: Shape (packets, KEY_WORDS).
            hashes: Shape (packets,).
        Returns:
            Shape (packets,), the row of each, `NOT_THERE` where there is none.
        """
        found = np.full(len(keys), NOT_THERE, np.int64)
        if not self.used:
            return found
        cells, tags = self._first_cells(hashes), hashes >> _TAG
        left: Integers | None = None
        step = 0
        while len(cells):
            cell = self._index[cells]
            row = (cell & _LOW).view(np.int64) - 1
            hit = (cell >> _TAG == tags) & (cell != _EMPTY) & (cell != _DEAD)
            some = np.flatnonzero(hit)
            mine = keys.take(some if left is None else left[some], axis=0)
            same = some[self._equal(row[some], mine)]
            found[same if left is None else left[same]] = row[same]
            go_on = cell != _EMPTY
            go_on[same] = False
            some = np.flatnonzero(go_on)
            step += 1
            cells, tags = cells[some] + step & self._mask, tags[some]
            left = some if left is None else left[some]
        return found

    def insert(self, keys: Words, hashes: Words) -> Integers:
        """Make rows for keys that are not there; there must be room for all of them.

        Args:
            keys: Shape (packets, KEY_WORDS), some of them the same.
            hashes: Shape (packets,).
        Returns:
            Shape (packets,), the row of each.
        """
        found = np.full(len(keys), NOT_THERE, np.int64)
        if self._taken + len(keys) > len(self._index) * _FULL:
            self._index_again(len(keys))
        left, cells, step = np.arange(len(keys)), self._first_cells(hashes), np.zeros(len(keys), np.int64)
        while len(left):
            cell = self._index[cells]
            free = (cell == _EMPTY) | (cell == _DEAD)
            wanted = np.flatnonzero(free)
            if len(wanted):
                self._contest(left[wanted], cells[wanted], cell[wanted] == _EMPTY, keys, hashes, found)
            taken = np.flatnonzero(~free)
            row = (cell[taken] & _LOW).view(np.int64) - 1
            alike = np.flatnonzero(cell[taken] >> _TAG == hashes[left[taken]] >> _TAG)
            same = alike[self._equal(row[alike], keys.take(left[taken[alike]], axis=0))]
            found[left[taken[same]]] = row[same]
            step[taken] += 1
            cells[taken] = cells[taken] + step[taken] & self._mask
            again = found[left] == NOT_THERE
            left, cells, step = left[again], cells[again], step[again]
        return found

    def _contest(
        self, packets: Integers, cells: Integers, new: npt.NDArray[np.bool_], keys: Words, hashes: Words, found: Integers
    ) -> None:
        """Give each free cell to one of the packets that want it, and a new row with it."""
        self._index[cells] = packets.view(np.uint64)
        won = self._index[cells] == packets.view(np.uint64)
        self._taken += int((new & won).sum())
        packets, cells = packets[won], cells[won]
        rows = self._new_rows(len(packets))
        heads = np.empty((len(packets), HEAD), np.uint64)
        heads[:, :KEY_WORDS] = keys.take(packets, axis=0)
        heads[:, KEY_WORDS] = hashes[packets]
        self.rows.name(rows, heads)
        self._index[cells] = heads[:, KEY_WORDS] >> _TAG << _TAG | (rows + 1).view(np.uint64)
        found[packets] = rows

    def _new_rows(self, number: int) -> Integers:
        again = min(number, len(self._free))
        rows = np.concatenate([self._free[len(self._free) - again :], np.arange(self.top, self.top + number - again)])
        self._free = self._free[: len(self._free) - again]
        self.top += number - again
        self.used += number
        return rows

    def remove(self, rows: Integers) -> None:
        """Give rows back."""
        if len(rows) == self.used:
            self._empty()
            return
        self.rows.clear(rows)
        self.used -= len(rows)
        self._free = np.concatenate([self._free, rows])
        if self.used < self.top // 4 and self.top > _LEAST_ROWS:
            self._shrink()
        elif len(rows) > self.used:
            self._index_again()
        else:
            self._forget(rows)

    def live(self) -> Integers:
        """Return the rows in use, ascending."""
        lanes = self.rows.lane["packets"][: self.top * self._lanes].reshape(self.top, self._lanes)
        return np.flatnonzero(lanes[:, 0] > 0 if self._lanes == 1 else (lanes > 0).any(axis=1))

    def _forget(self, rows: Integers) -> None:
        """Mark the cells of rows as dead."""
        hashes = self.rows.heads[rows, KEY_WORDS]
        wanted = hashes >> _TAG << _TAG | (rows + 1).view(np.uint64)
        cells, step = self._first_cells(hashes), 0
        while len(cells):
            here = self._index[cells] == wanted
            self._index[cells[here]] = _DEAD
            step += 1
            cells, wanted = cells[~here] + step & self._mask, wanted[~here]

    def _new_index(self, rows: int) -> None:
        cells = max(_LEAST_CELLS, 1 << (_CELLS_A_ROW * rows - 1).bit_length())
        self._index: Words = np.zeros(cells, np.uint64)
        self._mask, self._taken = np.int64(cells - 1), 0

    def _index_again(self, more: int = 0) -> None:
        """Make the index anew, without dead cells, and with room for more."""
        rows = self.live()
        self._new_index(min(len(rows) + more, self.entries))
        self._taken = len(rows)
        hashes = self.rows.heads[rows, KEY_WORDS]
        entry = hashes >> _TAG << _TAG | (rows + 1).view(np.uint64)
        cells, step = self._first_cells(hashes), 0
        while len(cells):
            free = self._index[cells] == _EMPTY
            self._index[cells[free]] = entry[free]
            left = self._index[cells] != entry
            step += 1
            cells, entry = cells[left] + step & self._mask, entry[left]

    def _shrink(self) -> None:
        """Move what is left to the first rows of new memory: after a flood the rest goes back to the system."""
        rows = self.live()
        kept, used = self.rows.take(rows), self.used
        self._empty()
        self.rows.put(np.arange(used), kept)
        self.used = self.top = used
        self._index_again()

    def _first_cells(self, hashes: Words) -> Integers:
        return hashes.view(np.int64) & self._mask

    def _equal(self, rows: Integers, keys: Words) -> npt.NDArray[np.bool_]:
        heads = self.rows.heads.take(rows, axis=0)
        same = heads[:, KEY_WORDS - 1] == keys[:, KEY_WORDS - 1]
        for word in range(KEY_WORDS - 1):
            same &= heads[:, word] == keys[:, word]
        return np.asarray(same)
