"""Widgets painted from strips, which send to the terminal only the cells that changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nftui.printable import printable
from nftui.screens.depth import Depth
from nftui.screens.glyphs import BLOCKS, Glyphs
from nftui.screens.themes import Ink, ink

WIDEST = 4096
JOIN = 6
"""Unchanged cells between two changed ones that cost less than a second move of the cursor."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a line.

    Attributes:
        text: Any text, made printable when painted.
        style: The name of a style of `Ink`.
        does: Id of the key that a click stands for; empty for none.
    """

    text: str
    style: str = "text"
    does: str = ""


def piece(text: str, style: Style) -> Segment:
    """Return a segment of text from anywhere: escaped, one line, never markup."""
    return Segment(printable(text, WIDEST), style)


def fit(text: str, width: int, right: bool = False) -> str:
    """Return printable text in exactly `width` cells, cut with an ellipsis or filled with blanks."""
    shown = printable(text, width)
    blank = " " * max(width - cell_len(shown), 0)
    return blank + shown if right else shown + blank


def fit_middle(text: str, width: int) -> str:
    """Return printable text in at most `width` cells, cut in its middle: both ends of an address tell more than its start."""
    shown = printable(text, WIDEST)
    if cell_len(shown) <= width or width < 5:
        return printable(shown, width)
    head = width // 2
    return shown[:head] + "…" + shown[len(shown) - (width - head - 1) :]


class Painted(Widget):
    """A widget that paints all its lines at once, and refreshes where they differ from those before."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self._strips: list[Strip] = []

    @property
    def ink(self) -> Ink:
        """The styles of the theme in use."""
        return ink(self.app.theme_variables, getattr(self.app, "depth", Depth.ALL))

    @property
    def glyphs(self) -> Glyphs:
        """The characters that the terminal can show."""
        return getattr(self.app, "glyphs", BLOCKS)

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines, at most `height` of them; each is cut or filled to `width`."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Paint again and refresh the cells that changed."""
        width, height = self.size
        if not self.is_attached or not width or not height:
            return
        ground = Style(bgcolor=self.ink.ground)
        strips = [self._fitted(strip, width, ground) for strip in self.paint(width, height)[:height]]
        strips += [Strip.blank(width, ground)] * (height - len(strips))
        before, self._strips = self._strips, strips
        if len(before) != height or before[0].cell_length != width:
            self.refresh()
        elif regions := list(changed(before, strips)):
            self.refresh(*regions)

    def _fitted(self, strip: Strip, width: int, ground: Style) -> Strip:
        if strip.cell_length <= width:
            return strip.adjust_cell_length(width, ground)
        return Strip.join(
            [strip.crop(0, width - 1).adjust_cell_length(width - 1, ground), Strip([Segment(self.glyphs.ellipsis, self.ink.dim)])]
        )

    def on_mount(self) -> None:
        """Paint again when the theme changes."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self.call_later(self.repaint))

    def watch_has_focus(self, has_focus: bool) -> None:
        """Paint again when the keys come here or go: handlers of the events see the state before."""
        super().watch_has_focus(has_focus)
        self.repaint()

    def on_resize(self, _: events.Resize) -> None:
        """Paint for the new size."""
        self.repaint()

    def render_line(self, y: int) -> Strip:
        """Return a line as painted last."""
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, Style(bgcolor=self.ink.ground))


class Line(Painted):
    """One line: parts from the left, parts from the right; where both don't fit, the left gives way."""

    @dataclass
    class Clicked(Message):
        """A part that stands for a key was clicked."""

        does: str

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._left: tuple[Part, ...] = ()
        self._right: tuple[Part, ...] = ()
        self._between = ""

    def show(self, left: Iterable[Part], right: Iterable[Part] = (), between: str = "") -> None:
        """Replace what the line says; `between` is the character of a rule between both sides, where there is one."""
        self._left, self._right, self._between = tuple(left), tuple(right), between
        self.repaint()

    def on_click(self, event: events.Click) -> None:
        """Do what the part under the mouse stands for."""
        x = 0
        for part in self._left:
            x += cell_len(printable(part.text, WIDEST))
            if event.x < x:
                if part.does:
                    event.stop()
                    self.post_message(self.Clicked(part.does))
                return

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the one line."""
        styles = self.ink
        ground = Style(bgcolor=styles.ground)
        right = Strip([piece(part.text, getattr(styles, part.style)) for part in self._right]).crop(0, width)
        room = width - right.cell_length
        left = Strip([piece(part.text, getattr(styles, part.style)) for part in self._left])
        if self._between and left.cell_length < room:
            left = Strip.join([left, Strip([Segment(self._between * (room - left.cell_length), styles.rule)])])
        if left.cell_length > room:
            left = Strip.join(
                [left.crop(0, max(room - 2, 0)), Strip([Segment(f"{self.glyphs.ellipsis} "[: max(room, 0)], styles.dim)])]
            )
        return [Strip.join([left.adjust_cell_length(max(room, 0), ground), right])]


def wrapped(parts: Sequence[Part], width: int) -> list[list[Part]]:
    """Return parts as lines of a width at most, broken between parts; a label in `dim` stays with what it is of."""
    lines: list[list[Part]] = [[]]
    used, place = 0, 0
    while place < len(parts):
        group = list(parts[place : place + (2 if parts[place].style == "dim" else 1)])
        size = sum(cell_len(printable(part.text, WIDEST)) for part in group)
        if used + len(group[-1].text.rstrip()) - len(group[-1].text) + size > width and lines[-1]:
            lines.append([Part(" ")])
            used = 1
        lines[-1] += group
        used += size
        place += len(group)
    return [[*line[:-1], Part(line[-1].text.rstrip(), line[-1].style)] for line in lines if line]


Rows = Sequence[Sequence[Part]]


class Lines(Painted):
    """Several lines of parts."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._made: Callable[[int, int], Rows] = lambda width, height: ()

    def show(self, made: Callable[[int, int], Rows]) -> None:
        """Replace all lines; `made` makes them for a width and a height, now and whenever the size changes."""
        self._made = made
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines that fit."""
        styles = self.ink
        return [Strip([piece(part.text, getattr(styles, part.style)) for part in row]) for row in self._made(width, height)]


def changed(before: list[Strip], after: list[Strip]) -> Iterator[Region]:
    """Yield the regions in which two paintings of one size differ."""
    for y, (old, new) in enumerate(zip(before, after, strict=True)):
        if old is new or list(old) == list(new):
            continue
        start = end = -1
        for x, (was, now) in enumerate(zip(_cells(old), _cells(new), strict=False)):
            if was == now:
                continue
            if start >= 0 and x - end > JOIN:
                yield Region(start, y, end - start, 1)
                start = x
            start, end = (x if start < 0 else start), x + 1
        if start >= 0:
            yield Region(start, y, end - start, 1)


def _cells(strip: Strip) -> Iterator[tuple[str, Style | None]]:
    for segment in strip:
        if segment.text.isascii():
            yield from ((character, segment.style) for character in segment.text)
            continue
        for character in segment.text:
            yield character, segment.style
            for _ in range(cell_len(character) - 1):
                yield "", segment.style
