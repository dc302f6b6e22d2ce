"""The window in which one chooses the interfaces whose packets become flows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nftui.printable import printable
from nftui.screens import errands
from nftui.screens.driver import Paced
from nftui.units import bits_per_second, scaled

if TYPE_CHECKING:
    from nftui.engine.local_interfaces import Interface

NONE = "-"
"""The choice of no interface; none is called so."""
WORDS = "Its packets become flows here, without an exporter; nothing of what they carry is kept. Exports are taken in any case."
EXPORTS = "only listen for exports"
LOOK_S = 1.0
ADDRESSES = 24
"""Cells of them."""


@dataclass
class Seen(Message):
    """The interfaces there are, by name, and what has to be granted."""

    interfaces: dict[str, Interface] = field(default_factory=dict)
    refusal: str = ""
    problem: str = ""


class InterfaceChoice(Paced, ModalScreen[tuple[str, ...] | None]):
    """Chooses interfaces; dismisses with their names, () for none, or None where all stays as it was."""

    CSS_PATH: ClassVar[list[str | PurePath]] = ["interface_choice.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Only listen", id="interfaces.leave", tooltip="Only listen, or leave it as it was"),
        Binding("space", "mark", "Mark", key_display="␣", id="interfaces.mark", tooltip="Mark it: several may be taken"),
        Binding("j", "move(1)", "Down", show=False, id="interfaces.down", tooltip="The next one"),
        Binding("k", "move(-1)", "Up", show=False, id="interfaces.up", tooltip="The one before"),
    ]

    def __init__(self, current: Sequence[str], first: bool) -> None:
        """Prepare the window.

        Args:
            current: The interfaces that are chosen now.
            first: Whether this is asked because nothing was said so far: leaving means to listen only.
        """
        super().__init__()
        self._marked, self._first = set(current), first
        self._seen, self._looked = Seen(), 0.0
        self._rates: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """Yield the list, and the lines below it."""
        with Vertical(id="box", classes="-first" if self._first else ""):
            title = "take packets of which interface?" if self._first else "interfaces whose packets become flows"
            yield Static(title, id="heading", markup=False)
            if self._first:
                yield Static(WORDS, id="words", markup=False)
            yield OptionList(Option(Text(f"    {EXPORTS}"), id=NONE), id="choices", markup=False)
            yield Static("", id="wrong", markup=False)
            yield Static(self._hint(), id="hint", markup=False)

    def on_mount(self) -> None:
        """Begin to look at the interfaces."""
        self.query_one(OptionList).focus()
        self.set_interval(LOOK_S, self._look)
        self._look()

    def _look(self) -> None:
        errands.send("interfaces", self, _seen, lambda words: Seen(problem=words))

    @on(Seen)
    def _show(self, message: Seen) -> None:
        message.stop()
        now, choices = monotonic(), self.query_one(OptionList)
        elapsed = now - self._looked
        self._rates = {
            name: _rate(one, self._seen.interfaces[name], elapsed)
            for name, one in message.interfaces.items()
            if name in self._seen.interfaces and elapsed > 0
        }
        self._seen, self._looked = message, now
        names = [*message.interfaces, NONE]
        if [one.id for one in choices.options] != names:
            here = (
                choices.highlighted_option.id if choices.highlighted_option is not None and choices.option_count > 1 else names[0]
            )
            choices.clear_options()
            choices.add_options(Option(self._prompt(name), id=name) for name in names)
            choices.highlighted = names.index(here) if here in names else 0
        else:
            self._paint()
        wrong = self.query_one("#wrong", Static)
        wrong.update(Text(printable(message.problem or message.refusal, 400)))
        wrong.display = bool(message.problem or message.refusal)

    def _paint(self) -> None:
        choices = self.query_one(OptionList)
        for option in choices.options:
            prompt = self._prompt(option.id or NONE)
            if option.prompt != prompt:
                choices.replace_option_prompt(option.id or NONE, prompt)

    def _hint(self) -> str:
        takes = "takes what is marked, ␣ marks and unmarks" if self._marked else "takes it, ␣ marks several"
        return f"⏎ {takes}, esc {'only listens' if self._first else 'leaves it'}"

    def _prompt(self, name: str) -> Text:
        one = self._seen.interfaces.get(name)
        if one is None:
            return Text(f"    {EXPORTS}")
        mark = "[x]" if name in self._marked else "   "
        state = "up" if one.up and one.running else "no link" if one.up else "down"
        # Those of the link alone tell interfaces from each other only where there are no others.
        usual = [text for text in one.addresses if not text.startswith("fe80:")]
        addresses = printable(" ".join(usual or one.addresses) or "-", ADDRESSES)
        words = f"{mark} {printable(name, 15):<15} {state:<7} {addresses:<{ADDRESSES}} {self._rates.get(name, '')}"
        return Text(words, no_wrap=True, overflow="ellipsis")

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        choices = self.query_one(OptionList)
        choices.highlighted = ((choices.highlighted or 0) + rows) % max(choices.option_count, 1)

    def action_mark(self) -> None:
        """Mark the interface under the cursor, or take its mark away."""
        option = self.query_one(OptionList).highlighted_option
        if option is not None and option.id in self._seen.interfaces:
            self._marked ^= {option.id}
            self._paint()
            self.query_one("#hint", Static).update(self._hint())

    def action_leave(self) -> None:
        """Only listen, where nothing was said so far; else leave it as it was."""
        self.dismiss(() if self._first else None)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id == NONE:
            self.dismiss(())
        elif not self._seen.refusal:
            # What is marked and gone is kept: it may come back.
            names = self._marked or {str(event.option_id)}
            self.dismiss(tuple(sorted(names)))
        # Else it stands below why that can't be.


def _seen() -> Seen:
    from nftui.engine.local_interfaces import offered, refusal

    return Seen({one.name: one for one in offered()}, refusal())


def _rate(one: Interface, before: Interface, elapsed: float) -> str:
    bits, packets = (8 * max(one.octets - before.octets, 0) / elapsed, max(one.packets - before.packets, 0) / elapsed)
    return f"{bits_per_second(bits):>9} {scaled(round(packets)):>5} pps"
