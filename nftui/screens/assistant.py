"""Who helps with a filter that is typed: judges it, counts what it takes, and knows the values of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nftui.engine import filters
from nftui.engine.filter_completion import complete
from nftui.engine.filter_fields import Direction
from nftui.engine.filter_includes import INCLUDE, parse_with_includes
from nftui.engine.filter_lints import lints
from nftui.engine.filter_resolving import names_in
from nftui.engine.filter_tree import FLAG_LETTERS
from nftui.engine.filters import Filter
from nftui.errors import FilterError
from nftui.screens import errands
from nftui.screens.asker import Answered, Asker
from nftui.screens.hits import Counted, Hits, TopValues, hits, top_values, values_of
from nftui.screens.shelf import quick_of, text_of
from nftui.screens.shell import Host
from nftui.screens.view import View
from nftui.screens.widgets.painted import Part
from nftui.screens.widgets.prompt import PENDING, Prompt
from nftui.screens.widgets.suggestions import Offer

FIELDS_FIRST = 3
"""Fields that stand before the values of the data, where either may."""
Place = tuple[str, Direction]
SETTLES = 5.0
"""Seconds of asking after which the whole of a large range isn't counted."""


class FilterAssistant:
    """Helps with a filter on a view, as long as a prompt is open."""

    def __init__(self, host: Host, prompt: Prompt, view: Callable[[], View]) -> None:
        """Stand by.

        Args:
            host: Has the back end, the names and what is saved.
            prompt: Shows what is found; answers come to it.
            view: Returns what is looked at now.
        """
        self._host, self._prompt, self._view = host, prompt, view
        self._asker = Asker(host.back_end, prompt)
        self._asked: Hits | TopValues | None = None
        self._hits: Hits | None = None
        self._counted: Counted | None = None
        self._typed = self._counted_for = self._problem = ""
        # One moment for as long as it is open: what is found keeps its place in the list.
        self._now = host.clock()
        self._values: dict[TopValues, list[tuple[str, str]]] = {}
        self._place: Place | None = None
        self._read: dict[str, Filter | FilterError] = {}

    # What it means

    def check(self, text: str) -> object:
        """Return the tree of a text, or `PENDING` where files that it includes have to be read first.

        Raises:
            FilterError: What is wrong with it.
        """
        if INCLUDE not in text.lower():
            return filters.parse(text)
        if text not in self._read:
            self._read[text] = FilterError(text, 0, "", "reading…")
            errands.send("include", self._prompt, lambda: self._include(text), lambda words: self._failed(text, words))
            return PENDING
        found = self._read[text]
        if isinstance(found, FilterError):
            if found.problem == "reading…":
                return PENDING
            raise found
        return found

    def _include(self, text: str) -> Prompt.Read:
        try:
            self._read[text] = parse_with_includes(text, self._host.shelf.saved.directory)
        except FilterError as error:
            # Where it stands in a file is said in words: the caret can point only into what is typed.
            within = f"{error.source}, column {error.column + 1}: {error.problem}"
            self._read[text] = FilterError(text, _include_at(text), "", within, error.hint) if error.source else error
        return Prompt.Read()

    def _failed(self, text: str, problem: str) -> Prompt.Read:
        self._read[text] = FilterError(text, 0, "", problem)
        return Prompt.Read()

    # What may be typed

    def offers(self, text: str, cursor: int) -> Sequence[Offer]:
        """Return what may be typed at a column: words of the language, values of the data, saved filters by their names."""
        self._place = None
        offered = complete(text, cursor, self._data)
        # `dst 10.0.0.1` may be written, but who has typed `dst` mostly looks for a field.
        known = any(one.kind == "data" for one in offered)
        fields = [one for one in offered if known and one.kind == "field"][:FIELDS_FIRST]
        offered = [*fields, *(one for one in offered if one not in fields)]
        found = [Offer(one.insert, one.start, one.end, one.meaning, joins=_goes_on(one.insert, one.kind)) for one in offered]
        word = text[:cursor].strip().casefold()
        if word and " " not in word and cursor == len(text):
            found += [
                Offer(text_of(one), 0, len(text), text_of(one), one.name, joins=True)
                for one in self._host.shelf.usable
                if one.name.casefold().startswith(word)
            ]
        return found

    def recent(self) -> Sequence[Offer]:
        """Return the saved filters, and what was entered before, latest first."""
        end = len(self._prompt.text)
        saved = [
            Offer(text_of(one), 0, end, text_of(one), _key(quick_of(one)) + one.name, joins=True) for one in self._host.shelf.usable
        ]
        before = [Offer(text, 0, end, "entered before", joins=True) for text in reversed(self._prompt.entry.history)]
        return [*before, *saved]

    def _data(self, field: str, direction: Direction, typed: str) -> Iterable[tuple[str, str]]:
        if field == INCLUDE:
            return [(name, "a file beside the saved filters") for name in self._host.shelf.files]
        self._place = field, direction
        question = self._question()
        return self._values.get(question, ()) if question is not None else ()

    def _question(self) -> TopValues | None:
        return None if self._place is None else top_values(self._view(), *self._place, self._now)

    # What it takes

    def settled(self, text: str, cursor: int) -> None:
        """Ask how much a text takes, and for the values that may stand at the cursor."""
        try:
            meaning = self.check(text)
        except FilterError:
            meaning = None
        self._hits, self._typed = None, text
        if meaning is not None and meaning is not PENDING and not any(not found for found in names_in(meaning).values()):  # type: ignore[arg-type]
            self._hits = hits(self._view(), meaning, self._now)  # type: ignore[arg-type]
        question = self._question()
        if question is not None and question not in self._values:
            self._ask(question)
        elif self._hits is not None and (self._counted is None or self._asked != self._hits):
            self._ask(self._hits)

    def _ask(self, question: Hits | TopValues) -> None:
        self._asked = question
        self._asker.ask(question)

    def answered(self, message: Answered) -> None:
        """Take what came back; then ask what is left to ask."""
        question, reply = message.question, message.reply
        if message.given_up:
            self._asker.done()
            return
        self._problem = message.problem
        if isinstance(question, TopValues) and not message.given_up:
            named = self._named(question) if reply is not None else ()
            self._values[question] = values_of(reply.main, self._iec, named) if reply is not None else []
        elif isinstance(question, Hits) and question == self._asked and reply is not None:
            self._counted, self._counted_for = reply.more["hits"], self._typed
        self._asker.done()
        if isinstance(question, TopValues) and self._hits is not None and question == self._asked:
            self._ask(self._hits)
        elif question == self._asked == self._hits and self._counted is not None and not self._counted.whole:
            self._whole(question)

    def leave(self) -> None:
        """Ask no more."""
        self._asker.give_up()

    def _whole(self, question: Any) -> None:
        """Count all of the range, unless that would take long by what the newest took."""
        assert self._counted is not None
        if question.newest is None or self._counted.seconds * self._counted.held > SETTLES * max(self._counted.looked, 1):
            return
        self._hits = Hits(question.main, question.among, None)
        self._ask(self._hits)

    def _named(self, question: TopValues) -> Iterable[tuple[str, str]]:
        if question.main.keys[0] == "exporter_address":
            return [(address, one.name) for address, one in self._host.config.exporters.items() if one.name]
        return ()

    @property
    def _iec(self) -> bool:
        return self._host.display_settings.units == "iec"

    def told(self, text: str) -> Sequence[Part]:
        """Return how much a text takes, and what there is to note."""
        parts = [Part("ok ", "good")]
        if self._problem:
            parts.append(Part(f" {self._problem}", "warn"))
        elif self._counted is not None:
            parts.append(Part(f" {self._counted.words(self._iec)}", "text" if text == self._counted_for else "dim"))
        return parts

    def note(self, text: str) -> str:
        """Return what a text may mean other than its writer thinks; empty where nothing is to be noted."""
        return next((f"note: {one}" for one in lints(text)), "") if text else ""


def _goes_on(insert: str, kind: str) -> bool:
    """Whether more letters may follow at once: of flags."""
    return kind == "value" and set(insert) <= set(FLAG_LETTERS)


def _key(quick: int) -> str:
    return f"F{quick} " if quick else ""


def _include_at(text: str) -> int:
    return max(text.lower().find(INCLUDE), 0)
