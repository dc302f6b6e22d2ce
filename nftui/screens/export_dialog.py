"""The dialog that writes what a screen shows to a file: what, in which form, under which name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import BinaryIO, ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from nftui.errors import Cancelled
from nftui.export.exportables import Exportable, taken, write_file, write_unnamed
from nftui.printable import printable
from nftui.screens import errands
from nftui.screens.ahead import TypedAhead
from nftui.screens.depth import Depth
from nftui.screens.driver import Paced
from nftui.screens.exports import file_name, with_suffix
from nftui.screens.themes import Ink, ink
from nftui.screens.widgets.typed_line import OrderedInput
from nftui.units import octets

FORMS = (
    ("c", "csv", "for spreadsheets and scripts"),
    ("t", "text", "for people"),
    ("j", "json", "one object, with its coverage"),
    ("n", "ndjson", "an object a line"),
    ("m", "markdown", "a table for a report"),
    ("p", "parquet", "columns with their types"),
    ("s", "svg", "a picture of the screen"),
)
"""Key, name and use of each form."""
TOLD_EACH = 0.1
"""Seconds between two words on how far it is."""


@dataclass
class Told(Message):
    """How far the writing is.

    Attributes:
        done: Records written.
        of: Records in all.
    """

    done: int
    of: int


@dataclass
class Ended(Message):
    """The writing came to an end.

    Attributes:
        name: Of the file.
        size: Its octets.
        problem: What went wrong, or empty.
        existed: Whether a file that was there would have been replaced.
        file: What was written, where it has no name and is to be handed on.
    """

    name: str
    size: int = 0
    problem: str = ""
    existed: bool = False
    file: BinaryIO | None = None


class ExportDialog(Paced, TypedAhead, ModalScreen[None]):
    """Asks what to write, and writes it off the screen's thread."""

    CSS_PATH = "export_dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="export.cancel", tooltip="Give it up; nothing is left behind"),
        Binding("enter", "write", "Write", id="export.write", tooltip="Write the file"),
        Binding("tab", "part(1)", "Next part", show=False, id="export.next", tooltip="To the next part"),
        Binding("shift+tab", "part(-1)", "Part before", show=False, id="export.before", tooltip="To the part before"),
        Binding("q", "leave", "Close", show=False, id="export.close", tooltip="Close this window"),
    ]

    def __init__(self, tab: str, found: Sequence[Exportable], picture: Callable[[], str], moment: str, form: str = "csv") -> None:
        """Prepare the dialog.

        Args:
            tab: Of the screen, for names of files.
            found: What there is to write; may be empty.
            picture: Makes the picture of the screen, on the screen's thread.
            moment: The present, as names of files have it.
            form: The one that the cursor starts on.
        """
        super().__init__()
        self._tab, self._found, self._picture, self._moment = tab, list(found), picture, moment
        self._forms = FORMS if found else FORMS[-1:]
        self._form = form if found else "svg"
        self._proposed = ""
        self._replacing = ""
        self._cancelled = threading.Event()
        self._began: float | None = None

    def compose(self) -> ComposeResult:
        """Yield the lists, the name, and the lines below."""
        with Vertical(id="box"):
            yield Static(Text("export"), id="heading", markup=False)
            with Horizontal(id="choices"):
                options = [Option(Text(printable(one.title, 40), no_wrap=True, overflow="ellipsis")) for one in self._found]
                yield OptionList(*options, id="what", markup=False, compact=True)
                yield OptionList(
                    *(Option(self._line(*one), id=one[1]) for one in self._forms), id="form", markup=False, compact=True
                )
            with Horizontal(id="file"):
                yield Static(Text("file "), id="label", markup=False)
                yield OrderedInput(id="name", compact=True, select_on_focus=False)
            yield Static("", id="words", markup=False)

    def _line(self, key: str, form: str, use: str) -> Text:
        return Text.assemble((key, self._ink.over("title")), f"  {form:<10}", (use, self._ink.over("dim")), no_wrap=True)

    @property
    def _ink(self) -> Ink:
        return ink(self.app.theme_variables, getattr(self.app, "depth", Depth.ALL))

    def on_mount(self) -> None:
        """Propose a name; the keys choose the form first, which is what differs most often."""
        forms = self.query_one("#form", OptionList)
        forms.highlighted = [form for _, form, _ in self._forms].index(self._form)
        self.query_one("#what", OptionList).display = bool(self._found)
        if self._found:
            self.query_one("#what", OptionList).highlighted = 0
        self._propose()
        self._say()
        self.ready(forms)

    # What is chosen

    @property
    def form(self) -> str:
        """The form that is chosen."""
        return self._forms[self.query_one("#form", OptionList).highlighted or 0][1]

    @property
    def what(self) -> Exportable | None:
        """What is to be written; None where there is nothing but a picture."""
        return self._found[self.query_one("#what", OptionList).highlighted or 0] if self._found else None

    def _propose(self) -> None:
        """Name the file after what is chosen, or give the name that was typed its suffix."""
        entry = self.query_one("#name", Input)
        what = self.what
        name = file_name(self._tab, "" if what is None else what.name, self.form, self._moment)
        typed = bool(entry.value) and entry.value != self._proposed
        entry.value = with_suffix(entry.value, self.form) if typed else name
        if not typed:
            self._proposed = name
        entry.cursor_position = len(entry.value)

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._propose()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_write()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_write()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._replacing and event.value != self._replacing:
            self._replacing = ""
            self._say()

    def on_key(self, event: events.Key) -> None:
        """Take a form by its letter, wherever letters aren't typed."""
        letters = [key for key, _, _ in self._forms]
        if event.character in letters and not isinstance(self.focused, Input):
            event.stop()
            self.query_one("#form", OptionList).highlighted = letters.index(event.character)

    def action_part(self, direction: int) -> None:
        """Give the keys to the next part."""
        parts = [one for one in (self.query_one("#form"), self.query_one("#name"), self.query_one("#what")) if one.display]
        here = parts.index(self.focused) if self.focused in parts else 0
        parts[(here + direction) % len(parts)].focus()

    # Writing

    @property
    def writing(self) -> bool:
        """Whether a file is being written."""
        return self._began is not None

    def action_write(self) -> None:
        """Write the file; one that is there only when that is said twice."""
        if self.writing:
            return
        name = self.query_one("#name", Input).value.strip()
        if not name:
            self._say("type a name", "error")
            return
        if self.form == "svg":
            svg = self._picture().encode("utf-8", "backslashreplace")
            one = Exportable("picture", "picture", lambda out, form, progress, cancelled: _all(out, svg), ("svg",))
        elif self.what is not None:
            one = self.what
        else:
            return
        self._cancelled.clear()
        self._began = monotonic()
        self._say("writing…  esc gives it up", "accent")
        words = (one, self.form, name, self._replacing == name, bool(self.app.is_web))
        threading.Thread(target=self._run, args=words, name="nftui-export", daemon=True).start()

    def _run(self, one: Exportable, form: str, name: str, replacing: bool, web: bool) -> None:
        told = 0.0

        def progress(done: int, of: int) -> None:
            nonlocal told
            if (now := monotonic()) - told > TOLD_EACH:
                told = now
                errands.post(self, Told(done, of))

        ended = Ended(name)
        try:
            path = Path(name)
            if web:
                ended.file = write_unnamed(one, form, progress=progress, cancelled=self._cancelled)
            elif not replacing and taken(path):
                ended.existed, ended.problem = True, "exists: Enter once more replaces it"
            else:
                ended.size = write_file(one, form, path, replacing=replacing, progress=progress, cancelled=self._cancelled)
        except Cancelled:
            ended.problem = "given up; nothing was written"
        except Exception as error:  # noqa: BLE001  the edge of a thread: whatever it was, the dialog says so
            ended.problem = errands.words_of(error)
        errands.post(self, ended)

    @on(Told)
    def _told(self, message: Told) -> None:
        message.stop()
        if self.writing and not self._cancelled.is_set():
            self._say(f"{message.done:,} of {message.of:,} written  esc gives it up", "accent")

    @on(Ended)
    def _ended(self, message: Ended) -> None:
        message.stop()
        self._began = None
        if message.problem:
            self._replacing = message.name if message.existed else ""
            self._say(message.problem, "warn" if message.existed else "error")
            return
        if message.file is not None:
            name = Path(message.name).name or self._proposed
            self.app.deliver_binary(message.file, save_filename=name)
            self.app.notify(f"{printable(name)} goes to your browser", timeout=4, markup=False)
        else:
            self.app.notify(f"saved {printable(message.name)} ({octets(message.size)})", timeout=4, markup=False)
        self.dismiss(None)

    def action_leave(self) -> None:
        """Give up what is being written, else close this window."""
        if not self.writing:
            self.dismiss(None)
        elif self._cancelled.is_set():
            # A question that is under way can't be taken back: its answer finds nobody, and leaves no file.
            self.dismiss(None)
        else:
            self._cancelled.set()
            self._say("giving up…  esc closes this window", "warn")

    def _say(self, words: str = "", style: str = "dim") -> None:
        if words:
            self.query_one("#words", Static).update(Text(printable(words, 400), self._ink.over(style)))
            return
        here = "in the directory where nftui was started, unless the name says where"
        where = "it goes to your browser" if self.app.is_web else here
        keys = (("⏎", "write"), ("c…s", "form"), ("tab", "name"), ("esc", "cancel"))
        line = Text.assemble(*(part for key, does in keys for part in ((key, self._ink.over("title")), f" {does}  ")))
        self.query_one("#words", Static).update(Text.assemble((f"{where}\n", self._ink.over("dim")), line))


def _all(out: BinaryIO, octets: bytes) -> None:
    out.write(octets)
