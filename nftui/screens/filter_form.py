"""A window that writes one saved filter: as lists of addresses, ports and protocols, or as an expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from nftui.engine import filters
from nftui.engine.basic_filter import FIELD_NAMES, BasicFilter, expression
from nftui.engine.query import KEYS
from nftui.engine.saved_filter import ADVANCED, BASIC, Listed, SavedFilter, SavedFilters, checked_name
from nftui.errors import ConfigError, FilterError
from nftui.screens.ahead import TypedAhead
from nftui.screens.asker import Answered, Asker
from nftui.screens.assistant import FilterAssistant
from nftui.screens.driver import Paced
from nftui.screens.field_list import wrapped
from nftui.screens.hits import Counted, Hits, hits
from nftui.screens.shelf import Shelved
from nftui.screens.shell import Host
from nftui.screens.view import View
from nftui.screens.widgets.choice import Choice
from nftui.screens.widgets.painted import Line, Lines, Part
from nftui.screens.widgets.prompt import SETTLED, Prompt
from nftui.screens.widgets.typed_line import OrderedInput

LABELS = {
    "exporter": "exporter", "source_ip": "src ip", "destination_ip": "dst ip", "source_port": "src port",
    "destination_port": "dst port", "protocol": "protocol",
}  # fmt: skip
"""Fields of a basic filter, in the order of the window."""
NO_KEY = "none"
QUICK = (NO_KEY, *(f"F{n}" for n in range(1, 10)))
KEYS_LINE = (("⏎", "Save"), ("tab", "Next"), ("← →", "Choose"), ("f2", "Basic/advanced"), ("f10", "Undo that"), ("esc", "Cancel"))
State = tuple[str, dict[str, str], str]
"""Kind, the fields, the expression."""


class FilterForm(Paced, TypedAhead, ModalScreen[str | None]):
    """Writes one filter; dismisses with its name once it is saved, or with None."""

    CSS_PATH = "filter_form.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="form.cancel", tooltip="Leave it as it was"),
        Binding("enter", "save", "Save", id="form.save", tooltip="Save the filter"),
        Binding("down,tab", "go(1)", "Next", show=False, id="form.next", tooltip="The next line"),
        Binding("up,shift+tab", "go(-1)", "Before", show=False, id="form.before", tooltip="The line before"),
        Binding("f2", "switch", "Kind", id="form.switch", tooltip="Fields, or an expression in their place"),
        Binding("f10,ctrl+underscore,ctrl+z", "undo", "Undo", id="form.undo", tooltip="Bring back what switching cleared"),
    ]

    def __init__(self, entry: Listed | None, view: Callable[[], View]) -> None:
        """Prepare the window.

        Args:
            entry: What is edited; None for a new filter.
            view: Returns what is looked at: what the filter takes of it is counted.
        """
        super().__init__()
        self._entry, self._view = entry, view
        self._saved = entry.saved if entry is not None and entry.saved is not None else SavedFilter()
        self._backups: list[State] = []
        self._asker: Asker | None = None
        self._asked: Hits | None = None
        self._counted: Counted | None = None
        self._typed = 0
        self._problem = self._refused = self._name = ""

    @property
    def host(self) -> Host:
        """The application, as far as a screen may know it."""
        return cast(Host, self.app)

    def compose(self) -> ComposeResult:
        """Yield a line for each thing that can be said of a filter."""
        with Vertical(id="box"):
            yield Line(id="heading")
            yield from self._row("name", OrderedInput(self._entry.name if self._entry else "", id="name", compact=True))
            yield from self._row("about", OrderedInput(self._saved.description, id="words", compact=True))
            yield from self._row("by", Choice(tuple(KEYS), id="by"))
            yield from self._row("key", Choice(QUICK, id="key"))
            yield from self._row("kind", Choice((BASIC, ADVANCED), id="kind"))
            with Vertical(id="basic"):
                for field, label in LABELS.items():
                    entry = OrderedInput(getattr(self._saved.fields, field), id=field, compact=True)
                    yield from self._row(label, entry)
                yield Lines(id="generated")
            yield Prompt(id="expression")
            yield Line(id="told")
            yield Line(id="form-keys")

    def _row(self, label: str, widget: Widget) -> ComposeResult:
        with Horizontal(classes="row"):
            line = Line(id=f"{widget.id}-label")
            yield line
            yield widget
        self.call_after_refresh(line.show, [Part(f" {label}", "dim")])

    def on_mount(self) -> None:
        """Show what the filter is now."""
        self._asker = Asker(self.host.back_end, self)
        self.query_one("#by", Choice).choose(self._saved.aggregate_by)
        self.query_one("#key", Choice).choose(QUICK[self._saved.quick])
        title = f"filter {self._entry.name}" if self._entry is not None else "new filter"
        self.query_one("#heading", Line).show([Part(f" {title}", "title")])
        self.query_one("#form-keys", Line).show([part for key, words in KEYS_LINE for part in _key(key, words)])
        self._put((self._saved.kind, self._fields(), self._saved.line), focus=False)
        self.ready(self.query_one("#name"))

    # What is typed

    @property
    def advanced(self) -> bool:
        """Whether it is an expression."""
        return self.query_one("#kind", Choice).value == ADVANCED

    @property
    def prompt(self) -> Prompt:
        """The line of the expression."""
        return self.query_one(Prompt)

    def _fields(self) -> dict[str, str]:
        return {field: self.query_one(f"#{field}", Input).value for field in FIELD_NAMES}

    def _state(self) -> State:
        return (ADVANCED if self.advanced else BASIC), self._fields(), self.prompt.text

    def _put(self, state: State, focus: bool = True) -> None:
        """Show another kind, fields and expression."""
        kind, fields, text = state
        self.query_one("#kind", Choice).choose(kind)
        for field, value in fields.items():
            self.query_one(f"#{field}", Input).value = value
        self.set_class(kind == ADVANCED, "-advanced")
        focused = self.focused
        self._open_prompt(text)
        if kind != ADVANCED or not focus:
            self.set_focus(focused if focus else self.query_one("#name"))
        self._judge()

    def _open_prompt(self, text: str) -> None:
        assistant = FilterAssistant(self.host, self.prompt, self._view)
        self.prompt.open("expression", text, self.host.filter_history, assistant=assistant)

    @on(Choice.Turned)
    def _turned(self, message: Choice.Turned) -> None:
        message.stop()
        if message.choice.id == "kind":
            self._switched(message.value)

    def action_switch(self) -> None:
        """Take an expression in the place of the fields, or the other way round."""
        self._switched(BASIC if self.advanced else ADVANCED)

    def _switched(self, kind: str) -> None:
        """Clear the other kind; what it held is kept, and the fields' expression is what the expression begins with."""
        before: State = (BASIC if kind == ADVANCED else ADVANCED), self._fields(), self.prompt.text
        self._backups.append(before)
        try:
            text = expression(BasicFilter(**before[1])) if kind == ADVANCED else ""
        except FilterError:
            text = ""
        self._put((kind, dict.fromkeys(FIELD_NAMES, ""), text))

    def action_undo(self) -> None:
        """Bring back what switching the kind cleared."""
        if self._backups:
            self._put(self._backups.pop())

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._judge()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_save()

    # What it means

    def _judge(self) -> None:
        """Show the expression that the fields make, or what is wrong with one."""
        self._problem = self._refused = text = ""
        if not self.advanced:
            try:
                text = expression(BasicFilter(**self._fields()))
            except FilterError as error:
                self._problem = f"{error.source}: {error.problem}" + (f"; {error.hint}" if error.hint else "")
        self.query_one("#generated", Lines).show(lambda width, height: wrapped(text or "all flows", width, height, "accent"))
        self._show_told()
        self._typed += 1
        if not self._problem and not self.advanced:
            self.set_timer(SETTLED, lambda typed=self._typed: self._count(typed, text))

    def _count(self, typed: int, text: str) -> None:
        if typed == self._typed and self._asker is not None:
            self._asked = hits(self._view(), filters.parse(text), self.host.clock())
            self._asker.ask(self._asked)

    @on(Answered)
    def _answered(self, message: Answered) -> None:
        message.stop()
        assert self._asker is not None
        self._asker.done()
        if message.question == self._asked and message.reply is not None:
            self._counted = message.reply.more["hits"]
            self._show_told()

    def _show_told(self) -> None:
        line = self.query_one("#told", Line)
        if self._problem or self._refused:
            line.show([Part(f" {self._refused or self._problem}", "error")])
        elif self._counted is not None and not self.advanced:
            line.show([Part(f" {self._counted.words(self.host.display_settings.units == 'iec')}", "dim")])
        else:
            line.show([])

    # Keys

    def action_go(self, steps: int) -> None:
        """Go to the next line, or the one before."""
        lines = [one for one in self.query("OrderedInput, Choice") if one.can_focus and one.display and _seen(one)]
        here = next((place for place, one in enumerate(lines) if one is self.focused), 0)
        self.set_focus(lines[(here + steps) % len(lines)])

    def action_leave(self) -> None:
        """Leave it as it was."""
        self.dismiss(None)

    @on(Prompt.Left)
    def _left(self, message: Prompt.Left) -> None:
        message.stop()
        self.dismiss(None)

    @on(Prompt.Entered)
    def _entered(self, message: Prompt.Entered) -> None:
        message.stop()
        self._open_prompt(message.text)
        self.action_save()

    @on(Prompt.Keep)
    def _keep(self, message: Prompt.Keep) -> None:
        message.stop()
        self.prompt.submit()

    def action_save(self) -> None:
        """Save the filter."""
        if self._problem:
            return
        try:
            name = checked_name(self.query_one("#name", Input).value)
        except ConfigError as error:
            self._fail(str(error), "#name")
            return
        old = self._entry.name if self._entry is not None else ""
        if name != old and self.host.shelf.entry(name) is not None:
            self._fail(f"there is a filter {name!r} already", "#name")
            return
        saved, quick = self._made(), QUICK.index(self.query_one("#key", Choice).value)

        def save(files: SavedFilters) -> str:
            files.save(name, saved)
            files.assign(name, quick)
            if old and old != name:
                files.delete(old)
            return f"saved {name}"

        self._name = name
        self.host.shelf.read(self, save)

    def _made(self) -> SavedFilter:
        kind, fields, text = self._state()
        return SavedFilter(
            description=self.query_one("#words", Input).value.strip(),
            aggregate_by=self.query_one("#by", Choice).value,
            quick=self._saved.quick,
            # An expression that wasn't touched keeps its lines and comments.
            expression="" if kind == BASIC else self._saved.expression if text == self._saved.line else text.strip(),
            fields=BasicFilter(**fields) if kind == BASIC else BasicFilter(),
        )

    @on(Shelved)
    def _shelved(self, message: Shelved) -> None:
        message.stop()
        if message.problem:
            self._fail(message.problem)
        else:
            self.dismiss(self._name)

    def _fail(self, words: str, where: str = "") -> None:
        self._refused = words
        self._show_told()
        if where:
            self.set_focus(self.query_one(where))


def _seen(widget: Widget) -> bool:
    return all(node.display for node in widget.ancestors_with_self if isinstance(node, Widget))


def _key(key: str, words: str) -> tuple[Part, Part]:
    return Part(f" {key}", "title"), Part(f" {words} ", "dim")
