"""Portions as rectangles: areas in proportion to values, in one level or in two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import cell_len
from textual.strip import Strip

from nftui.screens.squares import Box, drawn
from nftui.screens.towards import towards
from nftui.screens.widgets.canvas import Canvas, middle
from nftui.screens.widgets.picture import Picture, edge_below, edge_left, styled
from nftui.units import scaled

QUIET, BRIGHT, DEEP = 0.55, 1.0, 0.4
"""How much of its colour is left of a rectangle, of that under the cursor, and of every second one within another."""
REST = "rest"
"""The name of all that is too small to be drawn."""
_NOTHING = object()
"""No row: the cursor stands on the greatest tile."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A portion.

    Attributes:
        label: Its name.
        value: Its share of the sum of all tiles is its share of the area.
        figure: The value in words.
        colour_rank: Its place among the series colours; less than 0 for the colour of others.
        row: What it stands for, whatever the caller wants back.
        children: What it consists of, greatest first; what they leave of its value is drawn as their rest.
        other: Whether it stands for all that have no tile.
    """

    label: str
    value: int
    figure: str
    colour_rank: int
    row: Any = None
    children: tuple[Tile, ...] = ()
    other: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A tile where it is drawn, in the one it is a part of."""

    tile: Tile
    box: Box
    parent: Tile | None = None
    place: int = 0

    @property
    def stands_for(self) -> Any:
        """What the cursor knows it by: others and rests stand for no row, and each is a place of its own."""
        if self.tile.row is not None:
            return self.tile.row
        return (_NOTHING, None if self.parent is None else self.parent.row, self.tile.label == REST)


class Treemap(Picture):
    """Portions of a whole. The keys of a picture move the cursor over those that are drawn."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._tiles: tuple[Tile, ...] = ()
        self._title = ""
        self._figures: Callable[[int], str] = scaled
        self._placed: list[Placed] = []
        self._here: Any = _NOTHING

    def show(self, tiles: Sequence[Tile], title: str, *notice: str, figures: Callable[[int], str] = scaled) -> None:
        """Replace the portions; the cursor stays on its own where that is still there.

        Args:
            tiles: Greatest first; one that stands for others last.
            title: The heading; empty for none.
            notice: Lines in the place of the picture, where there are no tiles.
            figures: Makes words of the value of those that were put together.
        """
        self._tiles, self._title, self._notice, self._figures = tuple(tiles), title, notice, figures
        self.repaint()

    def tile(self) -> Tile | None:
        """Return the tile under the cursor."""
        at = self._at()
        return None if at is None else self._placed[at].tile

    def parent_tile(self) -> Tile | None:
        """Return the tile that the one under the cursor is a part of."""
        at = self._at()
        return None if at is None else self._placed[at].parent

    @property
    def total(self) -> int:
        """The sum of all tiles."""
        return sum(tile.value for tile in self._tiles)

    # The cursor

    def _at(self) -> int | None:
        if not self._placed:
            return None
        return next((n for n, placed in enumerate(self._placed) if placed.stands_for == self._here), 0)

    def go_to(self, row: Any, quiet: bool = False) -> None:
        """Put the cursor on the tile of a row, where it is drawn; `quiet` tells nobody."""
        for placed in self._placed:
            if placed.tile.row == row:
                self._here = row
                self.repaint() if quiet else self.moved()
                return

    def expect(self, row: Any) -> None:
        """Put the cursor on the tile of a row as soon as there is one."""
        self._here = row

    def _put(self, placed: Placed) -> None:
        self._here = placed.stands_for
        self.moved()

    def action_go(self, right: int, down: int) -> None:
        """Move the cursor over the picture."""
        if (at := self._at()) is not None:
            self._put(self._placed[towards([placed.box.middle for placed in self._placed], at, right, down)])

    def action_by_size(self, step: int) -> None:
        """Move the cursor in the order of size."""
        if (at := self._at()) is not None:
            self._put(self._placed[(at + step) % len(self._placed)])

    def action_ends(self, place: int) -> None:
        """Move the cursor to the greatest (0) or the smallest (-1)."""
        if self._placed:
            self._put(self._placed[place])

    def under(self, x: int, y: int) -> bool:
        """Put the cursor on the tile of a cell."""
        for placed in self._placed:
            box = placed.box
            if box.x <= x < box.x + box.width and box.y <= y < box.y + box.height:
                self._here = placed.stands_for
                return True
        return False

    def name_here(self) -> str:
        """Return the label of the tile under the cursor."""
        return "" if (tile := self.tile()) is None else tile.label

    # The picture

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines of the picture."""
        canvas = self.canvas(width, height)
        top = 1 if self._title and height > 2 else 0
        if top:
            heading(canvas, self._title, self)
        self._placed = self._laid(Box(0, top, width, height - top))
        if not self._placed:
            return self.notice(canvas).strips()
        at = self._at()
        for tile, box in self._outer:
            self._draw(canvas, tile, box, False, None)
        for number, placed in enumerate(self._placed):
            self._draw(canvas, placed.tile, placed.box, number == at, placed)
        return canvas.strips()

    def _laid(self, area: Box) -> list[Placed]:
        """Return the tiles where they are drawn; those with parts, which have a heading of their own, are kept aside."""
        self._outer: list[tuple[Tile, Box]] = []
        placed: list[Placed] = []
        for number, (tile, box) in enumerate(_tiled(self._tiles, area, self._figures, 0)):
            inside = Box(box.x, box.y + 1, box.width, box.height - 1)
            if not tile.children or inside.height < 2 or inside.width < 10:
                placed.append(Placed(tile, box, None, number))
                continue
            parts = _tiled(tile.children, inside, self._figures, max(tile.value - sum(part.value for part in tile.children), 0))
            self._outer.append((tile, box))
            placed += [
                Placed(replace(part, colour_rank=tile.colour_rank), at, tile, place) for place, (part, at) in enumerate(parts)
            ]
        return placed

    def _draw(self, canvas: Canvas, tile: Tile, box: Box, here: bool, placed: Placed | None) -> None:
        ink, glyphs = self.ink, self.glyphs
        colour = ink.other if tile.colour_rank < 0 else ink.layer(tile.colour_rank, tile.colour_rank + 1)
        inner = placed is not None and placed.parent is not None
        ground = ink.mixed(colour, BRIGHT if here else DEEP if inner and placed is not None and placed.place % 2 else QUIET)
        text, line = styled(ink.on(ground), ground, here), styled(ink.ground, ground)
        canvas.fill(box.x, box.y, box.width, box.height, text)
        if box.height > 1 or placed is None:
            canvas.fill(box.x, box.y + box.height - 1, box.width, 1, line, edge_below(glyphs))
        for y in range(box.y, box.y + box.height):
            canvas.cell(box.x, y, edge_left(glyphs), line)
        if here:
            canvas.cell(box.x, box.y, glyphs.pointer if self.has_focus else edge_left(glyphs), styled(ink.on(ground), ground, True))
        whole = max(self.total, 1)
        rows = words(tile, tile.value / whole, box.width - 2, 1 if placed is None else max(box.height - 1, 1))
        for number, row in enumerate(rows):
            canvas.put(box.x + 1, box.y + number, row, text, box.width - 1)


def words(tile: Tile, share: float, width: int, height: int) -> list[str]:
    """Return the lines that stand in a rectangle: name, share, value, as far as there is room."""
    percent = percentage(share)
    together = f"{tile.label} {percent} {tile.figure}"
    # A name that fits as it is may come up to the next rectangle: one cut by one cell says less.
    name = tile.label if 2 < width + 1 == cell_len(tile.label) else middle(tile.label, width)
    if height == 1:
        for each in (together, f"{tile.label} {percent}", tile.label):
            if cell_len(each) <= width:
                return [each]
        return [name] if width > 2 else []
    lines = [name]
    if len(percent) + len(tile.figure) + 1 <= width:
        return [*lines, f"{percent} {tile.figure}"]
    return [*lines, *(line for line in (percent, tile.figure) if cell_len(line) <= width)][:height]


def percentage(share: float) -> str:
    """Return a share in at most four characters."""
    return "<1%" if 0 < share < 0.01 else f"{100 * share:.0f}%"


def heading(canvas: Canvas, title: str, picture: Picture) -> None:
    """Write the heading of a picture on its first line."""
    ink = picture.ink
    canvas.fill(0, 0, canvas.width, 1, ink.rule, picture.glyphs.horizontal)
    canvas.put(2, 0, f" {title} ", ink.strong, canvas.width - 4)


def _tiled(tiles: Sequence[Tile], area: Box, figures: Callable[[int], str], left: int) -> list[tuple[Tile, Box]]:
    """Return the tiles that have room in an area, and one for what is too small and for what is `left`."""
    own = [tile for tile in tiles if not tile.other and tile.value > 0]
    others = next((tile for tile in tiles if tile.other), None)
    laid = drawn(tuple(tile.value for tile in own), left, area.width, area.height, 0 if others is None else others.value)
    found = list(zip(own, laid.boxes, strict=False))
    rest = left + sum(tile.value for tile in own[len(laid.boxes) :])
    if others is not None and laid.other is not None:
        found.append((others, laid.other))
    elif others is not None:
        rest += others.value
    if laid.rest is not None:
        # Where the others are all that is too small, they keep their name.
        alone = others is not None and rest == others.value
        label = others.label if others is not None and alone else REST
        found.append((Tile(label, rest, figures(rest), -1, None, (), True), laid.rest))
    return [(tile, Box(area.x + box.x, area.y + box.y, box.width, box.height)) for tile, box in found if box.area]
