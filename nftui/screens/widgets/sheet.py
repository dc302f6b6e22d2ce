"""A sheet: lines that may be more than there is room for, and that keys scroll."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip

from nftui.screens.widgets.painted import Lines, Part, piece


class Sheet(Lines, can_focus=True):
    """Lines that can be scrolled; the last line in sight says how many are below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll(-1)", "Up", show=False, id="sheet.up", tooltip="One line up"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="sheet.down", tooltip="One line down"),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False, id="sheet.page_up", tooltip="One page up"),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False, id="sheet.page_down", tooltip="One page down"),
        Binding("g,home", "scroll(-1000000)", "First", show=False, id="sheet.first", tooltip="To the first line"),
        Binding("G,end", "scroll(1000000)", "Last", show=False, id="sheet.last", tooltip="To the last line"),
    ]

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._top = 0

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines in sight."""
        styles = self.ink
        rows = self._made(width, height)
        self._top = min(self._top, max(len(rows) - height, 0))
        seen = list(rows[self._top : self._top + height])
        if (below := len(rows) - self._top - height) > 0:
            seen[-1:] = [[Part(f" … {below + 1} more lines: ", "dim"), Part("Tab", "title"), Part(", then j and k", "dim")]]
        return [Strip([piece(part.text, getattr(styles, part.style)) for part in row]) for row in seen]

    def to_top(self) -> None:
        """Show the first lines, of something else."""
        self._top = 0

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll with the wheel."""
        event.stop()
        self.action_scroll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll with the wheel."""
        event.stop()
        self.action_scroll(-3)

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self._top = max(self._top + lines, 0)
        self.repaint()

    def action_page(self, pages: int) -> None:
        """Scroll by pages."""
        self.action_scroll(pages * max(self.size.height - 1, 1))
