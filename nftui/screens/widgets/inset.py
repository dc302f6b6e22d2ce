"""Pictures inside a panel: groups as a donut or as rectangles, drawn by the widgets that draw these elsewhere."""

from __future__ import annotations

from textual.strip import Strip

from nftui.screens.breakdown import Breakdown
from nftui.screens.widgets.donut import Donut, Slice
from nftui.screens.widgets.flow_table import Row
from nftui.screens.widgets.treemap import Tile, Treemap


class InsetDonut(Donut):
    """A donut that is never mounted: a panel has it painted."""

    def strips(self, shown: Breakdown, rows: list[Row], width: int, height: int) -> list[Strip]:
        """Return the lines of a donut of some groups, best first, with the sum in the middle."""
        measure = shown.shown_measure
        self.show(
            [Slice(shown.label(row), row[measure.value], -1 if row["others"] is not None else n) for n, row in enumerate(rows)],
            [shown.figure(shown.total.value(measure))] if width >= 20 else (),
        )
        return self.paint(width, height)

    def letters(self, rows: list[Row]) -> list[str]:
        """Return the letter of each group, which stands in its slice."""
        return [Slice("", 0, -1 if row["others"] is not None else n).letter for n, row in enumerate(rows)]


class InsetTreemap(Treemap):
    """Rectangles that are never mounted: a panel has them painted, and says which one is under its cursor."""

    def strips(self, shown: Breakdown, rows: list[Row], here: int | None, width: int, height: int) -> list[Strip]:
        """Return the lines of rectangles for some groups, best first; `here` is the row under the cursor."""
        measure = shown.shown_measure
        tiles = [
            Tile(
                shown.label(row), row[measure.value], shown.figure(row[measure.value]), -1 if row["others"] is not None else n, n,
                other=row["others"] is not None,
            )
            for n, row in enumerate(rows)
            if row[measure.value] > 0
        ]  # fmt: skip
        self.show(tiles, "")
        lines = self.paint(width, height)
        if here is not None:
            self.go_to(here)
            lines = self.paint(width, height)
        return lines

    def moved(self) -> None:
        """Tell nobody: the cursor is the panel's."""
