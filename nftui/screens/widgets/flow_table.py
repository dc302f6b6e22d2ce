"""A table over a frame of any length: only the rows in sight become text, and only the cells that changed reach the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from nftui.printable import printable
from nftui.screens.widgets.painted import Painted, fit, fit_middle, piece

if TYPE_CHECKING:
    import polars as pl

Row = dict[str, Any]
AT_A_TIME, PAUSE_S = 250, 0.001
"""Rows that are looked at for words without a pause, some 10 ms, and the pause."""
BETWEEN = "\N{SYMBOL FOR UNIT SEPARATOR}"
"""Between the texts of columns, where no words to find go across."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table.

    Attributes:
        name: Of the frame's column its cells stand for.
        label: Its heading.
        width: The cells it takes at least.
        text: Makes the text of a cell from the rank of the row and the row.
        right: Whether it is aligned to the right.
        grows: Its share of the room that is left over; 0 to stay as narrow as it is.
        rank: Columns of the highest rank go first when there isn't room for all; 0 stays as long as numbers aren't cut.
        colour: Gives a cell a colour of its own, from the rank of the row: that of a series, or `warn`, `dim`, `good` or `error` as
            styles of `Ink`.
        middle: Whether it is cut in the middle.
    """

    name: str
    label: str
    width: int
    text: Callable[[int, Row], str]
    right: bool = False
    grows: int = 0
    rank: int = 0
    colour: Callable[[int, Row], str | None] | None = None
    middle: bool = False


class FlowTable(Painted, can_focus=True):
    """Rows of a frame, with a cursor on one cell."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up", tooltip="One row up"),
        Binding("down,j", "move(1)", "Down", show=False, id="table.down", tooltip="One row down"),
        Binding("left,h", "column(-1)", "Left", show=False, id="table.left", tooltip="One column to the left"),
        Binding("right,l", "column(1)", "Right", show=False, id="table.right", tooltip="One column to the right"),
        Binding("g,home", "first", "First", show=False, id="table.first", tooltip="To the first row"),
        Binding("G,end", "last", "Last", show=False, id="table.last", tooltip="To the last row"),
        Binding("pageup", "page(-1.0)", "Page up", show=False, id="table.page_up", tooltip="One page up"),
        Binding("pagedown", "page(1.0)", "Page down", show=False, id="table.page_down", tooltip="One page down"),
        Binding("ctrl+u", "page(-0.5)", "Half up", show=False, id="table.half_up", tooltip="Half a page up"),
        Binding("ctrl+d", "page(0.5)", "Half down", show=False, id="table.half_down", tooltip="Half a page down"),
        Binding("enter", "open", "Open", show=False, key_display="⏎", id="table.open", tooltip="Open the row under the cursor"),
        Binding("y", "copy", "Copy", show=False, id="table.copy", tooltip="Copy the cell to the clipboard (OSC 52)"),
        Binding("Y", "copy_row", "Copy row", show=False, id="table.copy_row", tooltip="Copy the row, tab separated"),
    ]

    @dataclass
    class Opened(Message):
        """Enter was pressed on a row."""

        table: FlowTable

    @dataclass
    class Moved(Message):
        """The cursor came to another row or column."""

        table: FlowTable

    @dataclass
    class Headed(Message):
        """A heading was clicked."""

        table: FlowTable
        name: str

    @dataclass
    class AtEnd(Message):
        """The cursor was sent to the last row."""

        table: FlowTable

    @dataclass
    class AtSide(Message):
        """The cursor was sent beyond the first (-1) or the last (1) column that is shown."""

        table: FlowTable
        direction: int

    @dataclass
    class Found(Message):
        """A search that took a while came to its end: the cursor is on a row with the words, or there is none."""

        table: FlowTable
        found: bool

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.frame: pl.DataFrame | None = None
        self.columns: tuple[TableColumn, ...] = ()
        self.cursor = 0
        self.cursor_column = 0
        self.marked = ""
        self.ascending = False
        self._shown: list[tuple[TableColumn, int]] = []
        self._top = 0
        self._identity: tuple[str, ...] = ()
        self._notice: tuple[str, ...] = ()
        self._search = 0

    @property
    def count(self) -> int:
        """Rows in all."""
        return 0 if self.frame is None else self.frame.height

    @property
    def shown_names(self) -> list[str]:
        """The names of the columns that there is room for."""
        return [column.name for column, _ in self._shown]

    @property
    def cursor_seen(self) -> bool:
        """Whether the row of the cursor is told from the others."""
        return True

    def show(
        self,
        frame: pl.DataFrame | None,
        columns: Sequence[TableColumn],
        identity: tuple[str, ...] = (),
        marked: str = "",
        notice: Sequence[str] = (),
        ascending: bool = False,
    ) -> None:
        """Replace the rows; the cursor stays on its row where that can be told by `identity`, except on the first row.

        Args:
            frame: A row a row.
            columns: Those that may be shown; as many as there is room for.
            identity: Columns by which a row is known again.
            marked: Name of the column whose heading is marked as the order.
            notice: Lines to show where there are no rows.
            ascending: Whether the smallest is first.
        """
        before = self.row() if self.cursor and identity and identity == self._identity else None
        self.frame, self.columns, self.marked, self.ascending = frame, tuple(columns), marked, ascending
        self._identity, self._notice = identity, tuple(notice)
        if before is not None and frame is not None:
            self._find_again(frame, before)
        self.cursor = min(self.cursor, max(self.count - 1, 0))
        self.repaint()

    def row(self, index: int | None = None) -> Row | None:
        """Return a row, the one under the cursor unless another is asked for."""
        index = self.cursor if index is None else index
        if self.frame is None or not 0 <= index < self.count:
            return None
        return self.frame.row(index, named=True)

    def column(self) -> TableColumn | None:
        """Return the column under the cursor."""
        return self._shown[min(self.cursor_column, len(self._shown) - 1)][0] if self._shown else None

    def go(self, index: int) -> None:
        """Put the cursor on a row."""
        self._search += 1
        self.cursor = min(max(index, 0), max(self.count - 1, 0))
        self.repaint()
        self.post_message(self.Moved(self))

    def find(self, words: str, forward: bool = True) -> bool | None:
        """Put the cursor on the next row in which a column shows the words, around the end.

        Rows become text by Python, so that of a long table some are looked at a time, with keys in between; whatever moves the
        cursor or changes the words ends that.

        Returns:
            Whether there was one; None where it is still looked for, and `Found` tells.
        """
        self._search += 1
        return self._find_on(self._search, words.casefold(), 1 if forward else -1, 1)

    def _find_on(self, search: int, wanted: str, direction: int, first: int) -> bool | None:
        """Look at some rows; `first` is how far the first of them is from the cursor."""
        if search != self._search or not self.is_attached:
            return None
        steps = range(first, min(first + AT_A_TIME, self.count + 1))
        places = [(self.cursor + direction * step) % self.count for step in steps]
        rows = () if self.frame is None else self.frame[places].iter_rows(named=True)
        for index, row in zip(places, rows, strict=False):
            if self._shows(index, row, wanted):
                self.go(index)
                self._tell_found(first, True)
                return True
        if first + AT_A_TIME <= self.count:
            self.set_timer(PAUSE_S, lambda: self._find_on(search, wanted, direction, first + AT_A_TIME))
            return None
        self._tell_found(first, False)
        return False

    def _tell_found(self, first: int, found: bool) -> None:
        if first > 1:
            self.post_message(self.Found(self, found))

    def _shows(self, index: int, row: Row, wanted: str) -> bool:
        """Tell whether a column of a row shows the words."""
        # One text for all columns is looked at, as most rows show nothing that has to be escaped.
        text = BETWEEN.join([column.text(index, row) for column in self.columns])
        if not text.isprintable():
            text = BETWEEN.join([printable(column.text(index, row)) for column in self.columns])
        return wanted in text.casefold()

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the heading and the rows in sight."""
        self._shown = _laid_out(self.columns, width - 2)
        room = max(height - 1, 1)
        self._top = min(max(self._top, self.cursor - room + 1, 0), self.cursor, max(self.count - room, 0))
        self.cursor_column = self._column_at(self.cursor_column)
        lines = [self._heading(width)]
        if not self.count or self.frame is None:
            styles = self.ink
            return lines + [
                Strip([piece(" " + line, styles.strong if n == 0 else styles.dim)]) for n, line in enumerate(self._notice)
            ]
        for offset, row in enumerate(self.frame.slice(self._top, room).iter_rows(named=True)):
            lines.append(self._line(self._top + offset, row, offset, room, width))
        return lines

    def _heading(self, width: int) -> Strip:
        styles, mark = self.ink, self.glyphs.turned if self.ascending else self.glyphs.marked
        parts = [Segment(" ", styles.dim)]
        for column, cells in self._shown:
            ordered = column.name == self.marked
            style = styles.accent if ordered else styles.dim
            # Where the heading takes all of its column, the mark takes the blank behind it: it says which way round.
            behind = ordered and cell_len(column.label) >= cells
            label = f"{column.label}{mark}" if ordered and not behind else column.label
            parts += [
                piece(fit(label, cells, column.right), style),
                Segment(mark if behind else " ", style if behind else styles.dim),
            ]
        return Strip(parts).adjust_cell_length(width, styles.dim)

    def _line(self, index: int, row: Row, offset: int, room: int, width: int) -> Strip:
        styles = self.ink
        here = index == self.cursor and self.cursor_seen
        plain = styles.cursor if here else styles.text
        pointed = plain if styles.few else Style(color=styles.title.color, bgcolor=styles.cursor_ground)
        parts = [Segment(self.glyphs.pointer, pointed) if here else Segment(" ", plain)]
        for place, (column, cells) in enumerate(self._shown):
            text = column.text(index, row)
            text = fit(fit_middle(text, cells) if column.middle else text, cells, column.right)
            style = plain
            if column.colour is not None and (colour := column.colour(index, row)) is not None:
                style = styles.coloured(colour, here)
            if here and place == self.cursor_column and self.has_focus and len(self._shown) > 1:
                style += Style(bold=True, underline=True)
            parts.append(piece(text, style))
            parts.append(Segment(" ", plain))
        strip = Strip(parts).adjust_cell_length(width - 1, plain)
        return Strip.join([strip, Strip([self._thumb(offset, room)])])

    def _thumb(self, offset: int, room: int) -> Segment:
        """Return the cell of the scroll bar beside a row."""
        styles = self.ink
        if self.count <= room:
            return Segment(" ", styles.rule)
        size = max(room * room // self.count, 1)
        start = round(self._top / (self.count - room) * (room - size))
        if start <= offset < start + size:
            return Segment(self.glyphs.thumb, styles.dim)
        return Segment(self.glyphs.vertical, styles.rule)

    def _place_of(self, x: int) -> int:
        """Return the place of the column that a cell of a line belongs to."""
        end = 1
        for place, (_, cells) in enumerate(self._shown):
            end += cells + 1
            if x < end:
                return place
        return max(len(self._shown) - 1, 0)

    def _column_at(self, place: int) -> int:
        """Return a place within the columns; the cursor skips those at the left that have no heading."""
        first = next((n for n, (column, _) in enumerate(self._shown) if column.label), 0)
        return min(max(place, first), max(len(self._shown) - 1, 0))

    def _find_again(self, frame: pl.DataFrame, before: Row) -> None:
        import polars as pl

        if all(name in frame.columns and name in before for name in self._identity):
            same = pl.all_horizontal(pl.col(name).eq_missing(pl.lit(before[name], frame.schema[name])) for name in self._identity)
            found = frame.select(same.arg_true()).to_series() if self._identity else None
            if found is not None and len(found):
                self.cursor = min((int(place) for place in found.head(8)), key=lambda place: abs(place - self.cursor))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move with the wheel."""
        event.stop()
        self.go(self.cursor + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move with the wheel."""
        event.stop()
        self.go(self.cursor - 3)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a second click opens. A click on a heading is one for its order."""
        place = self._column_at(self._place_of(event.x))
        if event.y == 0 and self._shown:
            self.cursor_column = place
            self.repaint()
            self.post_message(self.Headed(self, self._shown[place][0].name))
        if event.y >= 1 and self._top + event.y - 1 < self.count:
            self.cursor_column = place
            self.go(self._top + event.y - 1)
            if event.chain == 2:
                self.action_open()

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self.go(self.cursor + rows)

    def action_column(self, columns: int) -> None:
        """Move the cursor by columns."""
        before, self.cursor_column = self.cursor_column, self._column_at(self.cursor_column + columns)
        self.repaint()
        self.post_message(self.AtSide(self, columns) if before == self.cursor_column else self.Moved(self))

    def action_page(self, pages: float) -> None:
        """Move the cursor by pages."""
        self.go(self.cursor + round(max(self.size.height - 1, 1) * pages))

    def action_first(self) -> None:
        """To the first row."""
        self.go(0)

    def action_last(self) -> None:
        """To the last row."""
        self.go(self.count - 1)
        self.post_message(self.AtEnd(self))

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.count:
            self.post_message(self.Opened(self))

    def action_copy(self) -> None:
        """Copy the cell under the cursor."""
        row, column = self.row(), self.column()
        if row is not None and column is not None:
            self._copy(column.text(self.cursor, row).strip())

    def action_copy_row(self) -> None:
        """Copy the row under the cursor."""
        if (row := self.row()) is not None:
            self._copy("\t".join(printable(column.text(self.cursor, row).strip()) for column, _ in self._shown))

    def _copy(self, text: str) -> None:
        safe = "\t".join(printable(part) for part in text.split("\t"))
        self.app.copy_to_clipboard(safe)
        self.app.notify(f"copied {printable(safe, 60)}", timeout=2, markup=False)


def _laid_out(columns: Sequence[TableColumn], width: int) -> list[tuple[TableColumn, int]]:
    """Return the columns there is room for, each with its cells; one blank stands after each."""
    kept = list(columns)
    while kept and sum(column.width + 1 for column in kept) > width:
        last = max(kept, key=lambda column: (column.rank, kept.index(column)))
        if last.rank > 0:
            kept.remove(last)
        elif kept[-1].right and len(kept) > 1:
            # A number that is cut is another number.
            kept.pop()
        else:
            break
    spare = max(width - sum(column.width + 1 for column in kept), 0)
    shares = sum(column.grows for column in kept)
    laid = []
    for column in kept:
        more = min(spare * column.grows // shares, 24) if shares else 0
        laid.append((column, column.width + more))
    return laid
