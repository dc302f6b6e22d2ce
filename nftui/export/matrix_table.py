"""A matrix as a table for people, and as rows of plain values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nftui.engine import keys
from nftui.engine.matrix import ENDS, Matrix
from nftui.engine.query import Measure
from nftui.export.text import Form, table
from nftui.printable import printable

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class MatrixTable:
    """The rows of a matrix.

    Attributes:
        elements: Its values as in machine-readable output, best first.
        fields: The names of a row's fields.
    """

    def __init__(self, matrix: Matrix, measure: Measure) -> None:
        """Look at a matrix.

        Args:
            matrix: The sums.
            measure: What the table for people shows.
        """
        self._matrix, self._measure = matrix, measure
        self._ends = ENDS[matrix.key].keys
        self.elements = [keys.value(matrix.key, value) for value in matrix.elements]
        self.fields = (*self._ends, *(one.value for one in Measure))

    def rows(self) -> list[dict[str, Any]]:
        """Return a row a pair that has flows, in the order of the elements."""
        sources, destinations = self._matrix.sums[Measure.FLOWS].nonzero()
        return [
            {
                self._ends[0]: self.elements[source],
                self._ends[1]: self.elements[destination],
                **{one.value: int(cells[source, destination]) for one, cells in self._matrix.sums.items()},
            }
            for source, destination in zip(sources.tolist(), destinations.tolist(), strict=True)
        ]

    def lines(self, form: Form) -> Iterator[str]:
        """Yield a line a source; its cells are what it sent to each destination, which are lettered."""
        if not self.elements:
            yield "no flows in this range"
            return
        write = form.octets if self._measure is Measure.OCTETS else form.count
        cells = self._matrix.sums[self._measure]
        letters = [_letters(number) for number in range(len(self.elements))]
        names = ["from", *(f"to {letter}" for letter in letters), "sum"]
        lines = [
            [f"{letter} {printable(element)}", *("-" if not sum_ else write(sum_) for sum_ in row), write(sum(row))]
            for letter, element, row in zip(letters, self.elements, cells.tolist(), strict=True)
        ]
        lines.append(["sum", *(write(sum_) for sum_ in cells.sum(axis=0).tolist()), write(int(cells.sum()))])
        yield from table(names, lines, {"from"})


def _letters(number: int) -> str:
    first, second = divmod(number, len(LETTERS))
    return (LETTERS[first - 1] if first else "") + LETTERS[second]
