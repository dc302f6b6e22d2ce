"""What the pictures with a cursor share: the keys that move it, and what they tell when it moved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from nftui.printable import printable
from nftui.screens.glyphs import Glyphs
from nftui.screens.widgets.canvas import Canvas
from nftui.screens.widgets.painted import Painted


class Picture(Painted, can_focus=True):
    """A picture of things, one of which is under the cursor. A subclass says which, and what it is called."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "go(0, -1)", "Up", show=False, id="picture.up", tooltip="To what lies above"),
        Binding("down,j", "go(0, 1)", "Down", show=False, id="picture.down", tooltip="To what lies below"),
        Binding("left,h", "go(-1, 0)", "Left", show=False, id="picture.left", tooltip="To what lies to the left"),
        Binding("right,l", "go(1, 0)", "Right", show=False, id="picture.right", tooltip="To what lies to the right"),
        Binding(
            "greater_than_sign",
            "by_size(1)",
            "Next by size",
            show=False,
            id="picture.next",
            key_display=">",
            tooltip="To the next smaller one",
        ),
        Binding(
            "less_than_sign",
            "by_size(-1)",
            "Before by size",
            show=False,
            id="picture.previous",
            key_display="<",
            tooltip="To the next greater one",
        ),
        Binding("g,home", "ends(0)", "First", show=False, id="picture.first", tooltip="To the greatest one"),
        Binding("G,end", "ends(-1)", "Last", show=False, id="picture.last", tooltip="To the smallest one"),
        Binding(
            "enter", "open", "Open", show=False, key_display="⏎", id="picture.open", tooltip="Go into what is under the cursor"
        ),
        Binding("y", "copy", "Copy", show=False, id="picture.copy", tooltip="Copy its name to the clipboard (OSC 52)"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor came to something else."""

        picture: Picture

    @dataclass
    class Opened(Message):
        """Enter was pressed, or the mouse clicked twice."""

        picture: Picture

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._notice: tuple[str, ...] = ()

    # What a subclass says

    def action_go(self, right: int, down: int) -> None:
        """Move the cursor over the picture."""
        raise NotImplementedError

    def action_by_size(self, step: int) -> None:
        """Move the cursor in the order of size."""
        raise NotImplementedError

    def action_ends(self, place: int) -> None:
        """Move the cursor to the greatest (0) or the smallest (-1)."""
        raise NotImplementedError

    def under(self, x: int, y: int) -> bool:
        """Put the cursor on what is drawn in a cell; tell whether there is something."""
        raise NotImplementedError

    def name_here(self) -> str:
        """Return what is under the cursor in words, empty where nothing is."""
        raise NotImplementedError

    # What they share

    def moved(self) -> None:
        """Paint again and tell that the cursor moved."""
        self.repaint()
        self.post_message(self.Moved(self))

    def action_open(self) -> None:
        """Open what is under the cursor."""
        if self.name_here():
            self.post_message(self.Opened(self))

    def action_copy(self) -> None:
        """Copy the name of what is under the cursor."""
        if name := printable(self.name_here()):
            self.app.copy_to_clipboard(name)
            self.app.notify(f"copied {printable(name, 60)}", timeout=2, markup=False)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a second click opens."""
        if self.under(event.x, event.y):
            self.moved()
            if event.chain == 2:
                self.action_open()

    def canvas(self, width: int, height: int) -> Canvas:
        """Return an empty canvas on the ground of the theme."""
        return Canvas(width, height, styled(self.ink.ground, self.ink.ground))

    def notice(self, canvas: Canvas) -> Canvas:
        """Write the notice in the middle of an empty picture."""
        lines = [line for line in self._notice if line]
        top = max((canvas.height - len(lines)) // 2, 0)
        for number, line in enumerate(lines):
            canvas.put(2, top + number, line, self.ink.dim if number else self.ink.strong, canvas.width - 3)
        return canvas


@lru_cache(maxsize=4096)
def styled(colour: str, ground: str, bold: bool = False) -> Style:
    """Return a style, the same object each time: equal cells join without a comparison."""
    return Style(color=colour, bgcolor=ground, bold=bold)


def edge_below(glyphs: Glyphs) -> str:
    """Return the character that draws a thin line at the lower edge of a cell."""
    return glyphs.rising[1] if len(glyphs.rising) > 3 and not glyphs.rising.isascii() else glyphs.horizontal


def edge_left(glyphs: Glyphs) -> str:
    """Return the character that draws a thin line at the left edge of a cell."""
    return glyphs.running[1] if len(glyphs.running) > 3 and not glyphs.running.isascii() else glyphs.vertical
