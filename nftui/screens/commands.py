"""The commands of the palette, a family each: keys of the screen, displays, breakdowns, ranges, themes, files, saved filters."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual.command import Hit, Hits, Provider
from textual.screen import Screen

from nftui.engine.query import KEYS, Measure
from nftui.engine.saved_filter import Listed
from nftui.errors import NftuiError
from nftui.printable import printable
from nftui.screens import presets
from nftui.screens.filtered import FilteredScreen
from nftui.screens.fuzzy import match
from nftui.screens.shelf import text_of
from nftui.screens.shell import Host
from nftui.screens.view import DISPLAYS, View, parse_range

if TYPE_CHECKING:
    from nftui.screens.shell import ShellScreen

Run = Callable[[], Awaitable[None] | None]
TITLE = 60
"""Cells of one, at most: what is longer can be recognised by its beginning."""
SURE = 1000.0
"""Rank of what is typed so that it can be nothing else."""
DISPLAY_WORDS = {
    "area": "stacked areas over time", "summary": "figures of each group", "detailed": "a map of portions",
    "data": "a table of samples", "circle": "who talks to whom, in a ring", "connections": "the busiest connections",
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """One line of the palette.

    Attributes:
        title: Its name, by which it is found; text from anywhere.
        run: What it does, on the screen's thread.
        help: More words on it.
        key: The key that does the same, or empty.
        alias: Another name by which it is found.
        rank: What its family is worth beside others that fit as well; of an offer, what it is worth.
    """

    title: str
    run: Run
    help: str = ""
    key: str = ""
    alias: str = ""
    rank: float = 0.0


@dataclass
class Offer(Hit):
    """A hit with its command, and the characters by which it was found."""

    offered: Command | None = None
    places: frozenset[int] = frozenset()


class Family(Provider):
    """Commands that are alike. Names may come from outside: nothing of them is read as markup."""

    def __init__(self, screen: Screen[Any], match_style: Any = None) -> None:
        super().__init__(screen, match_style)
        self._known: list[Command] | None = None

    @property
    def host(self) -> Host:
        """The application."""
        return cast(Host, self.app)

    def commands(self) -> Iterable[Command]:
        """Return the commands there are whatever is typed."""
        return ()

    def offers(self, typed: str) -> Iterable[Command]:
        """Return the commands that what is typed makes."""
        return ()

    async def search(self, query: str) -> Hits:
        """Yield what fits, in no order."""
        for offered in self.offers(query):
            yield Offer(offered.rank, Text(printable(offered.title, TITLE)), offered.run, offered=offered)
        for known in self._all():
            title = printable(known.title, TITLE)
            found = match(query, f"{title} {known.alias}" if known.alias else title)
            if found is not None:
                score, places = found
                yield Offer(score + known.rank, Text(title), known.run, offered=known, places=places)

    async def discover(self) -> Hits:
        """Yield all, in their order."""
        for known in self._all():
            yield Offer(0.0, Text(printable(known.title, TITLE)), known.run, offered=known)

    def _all(self) -> list[Command]:
        if self._known is None:
            self._known = list(self.commands())
        return self._known

    def look(self, **changes: Any) -> Run:
        """Return what changes the shared view, and shows it where the screen at hand doesn't."""

        def run() -> None:
            self.take(replace(cast(View, self.host.view), **changes))

        return run

    def take(self, view: View, mode: str = "") -> None:
        """Take another view, on a screen that shows it."""
        from nftui.screens.investigation import InvestigationScreen

        self.host.view = view  # type: ignore[assignment]
        if not mode and not isinstance(self.screen, InvestigationScreen):
            mode = "live"
        if mode and mode != self.app.current_mode:
            self.app.switch_mode(mode)


class Bindings(Family):
    """What the keys of the screen do."""

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("table.", "picture.", "sheet.", "app.palette", "prompt.", "view.saved_")

    def commands(self) -> Iterator[Command]:
        """Yield a command for each key that works here: those of the screen first."""
        found: dict[str, Command] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.id is None or binding.id in found or binding.id.startswith(self.LEFT_OUT) or not active.enabled:
                continue
            to_screen = binding.action.startswith("switch_mode(")
            title = f"Go to {binding.description}" if to_screen else binding.description
            found[binding.id] = Command(
                title, self._runner(binding.action, active.node), binding.tooltip, self.app.get_key_display(binding), rank=0.5
            )
        order = [name for name in found if not name.startswith("app.")] + [name for name in found if name.startswith("app.")]
        yield from (found[name] for name in order)

    def _runner(self, action: str, node: Any) -> Run:
        async def run() -> None:
            await self.app.run_action(action, node)

        return run


class Displays(Family):
    """The displays of the Live screen."""

    def commands(self) -> Iterator[Command]:
        """Yield them in the order of their key."""
        for name in DISPLAYS:
            yield Command(f"Display: {name}", self._shown(name), DISPLAY_WORDS.get(name, ""))

    def _shown(self, name: str) -> Run:
        return lambda: self.take(replace(cast(View, self.host.view), display=name), "live")


class Breakdowns(Family):
    """What to break down by, what to measure."""

    def commands(self) -> Iterator[Command]:
        """Yield what the dialog offers, and the units."""
        for place, (word, line) in enumerate(presets.breakdowns()):
            label = line.removeprefix(word).strip()
            yield Command(f"By {label}", self.look(by=word), word, alias=word, rank=0.1 if place < len(KEYS) else 0.0)
        for measure in Measure:
            yield Command(f"Unit: {measure.value}", self.look(measure=measure, order=measure), "what charts and lists show")


class Ranges(Family):
    """Ranges of time."""

    def commands(self) -> Iterator[Command]:
        """Yield those that the dialog has."""
        for text, line in presets.ranges():
            yield Command(f"Time: {line.removeprefix(text).strip()}", self._taken(text), text, alias=text)

    def offers(self, typed: str) -> Iterator[Command]:
        """Yield the range that is typed as `-t` takes it."""
        if typed[:1] not in "-0123456789" or not any(mark in typed for mark in "-/:"):
            return
        try:
            label = parse_range(typed).label
        except NftuiError:
            return
        yield Command(f"Time: {label}", self._taken(typed), "the range that is typed", rank=SURE)

    def _taken(self, text: str) -> Run:
        return lambda: self.take(cast(View, self.host.view).with_range(presets.read_range(text, self.host.clock())))


class Themes(Family):
    """Themes."""

    def commands(self) -> Iterator[Command]:
        """Yield those that are known, the one in use marked."""
        for name in self.host.themes.fitting(self.host.depth):
            yield Command(f"Theme: {name}", self._taken(name), "in use" if name == self.app.theme else "colours")

    def _taken(self, name: str) -> Run:
        return lambda: self.host.use_theme(name)


class Files(Family):
    """Writing to files."""

    def commands(self) -> Iterator[Command]:
        """Yield the forms."""
        from nftui.screens.export_dialog import FORMS

        for _, form, use in FORMS:
            title = "Picture (SVG)" if form == "svg" else f"Export as {form}"
            yield Command(title, self._opened(form), use)

    def _opened(self, form: str) -> Run:
        return lambda: cast("ShellScreen", self.screen).action_export(form)


class Probes(Family):
    """Packets that become flows here."""

    def commands(self) -> Iterator[Command]:
        """Yield what there is to choose, and to know."""
        yield Command("Choose interfaces", self.host.choose_interfaces, "whose packets become flows", alias="probe capture")
        yield Command("Where to capture", self._where, "mirror port, router, access point", alias="one-sided")

    def _where(self) -> None:
        from nftui.screens.dialogs import Page
        from nftui.screens.probes import WHERE_TO_CAPTURE

        self.app.push_screen(Page(WHERE_TO_CAPTURE[0], Text("\n".join(WHERE_TO_CAPTURE[1:]))))


class Saved(Family):
    """Saved filters."""

    def __init__(self, screen: Screen[Any], match_style: Any = None) -> None:
        super().__init__(screen, match_style)
        self._listed = list(self.host.shelf.entries)

    async def startup(self) -> None:
        """Read them anew, off the screen's thread: a hand may have changed them."""
        with contextlib.suppress(Exception):  # the edge of a thread: those that were read last do
            self._listed = await asyncio.to_thread(lambda: list(self.host.shelf.saved.listed()))
            self._known = None

    def commands(self) -> Iterator[Command]:
        """Yield those that can be used."""
        for one in self._listed:
            if one.saved is not None:
                yield Command(f"Filter: {one.name}", self._loaded(one), one.saved.description or text_of(one), rank=0.2)

    def _loaded(self, entry: Listed) -> Run:
        async def run() -> None:
            if not isinstance(self.screen, FilteredScreen):
                await self.app.switch_mode("live")
            cast(FilteredScreen, self.app.screen).load(entry)

        return run


def families() -> tuple[type[Family], ...]:
    """Return the families, in the order in which they are listed while nothing is typed."""
    from nftui.screens.jumps import Jumps

    return (Jumps, Bindings, Saved, Displays, Breakdowns, Ranges, Files, Themes, Probes)
