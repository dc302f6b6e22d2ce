"""What every screen on the shared view has for its filter: the line that edits it, saved filters on keys, and saving."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from nftui.engine import filters
from nftui.engine.filter_resolving import names_in
from nftui.engine.filters import Filter, all_of
from nftui.engine.query import KEYS
from nftui.engine.saved_filter import Listed, SavedFilters, checked_name, name_from_live_view
from nftui.errors import ConfigError
from nftui.printable import printable
from nftui.screens.assistant import FilterAssistant
from nftui.screens.shelf import Shelved, quick_of, text_of
from nftui.screens.shell import ShellScreen
from nftui.screens.widgets.painted import Part, fit
from nftui.screens.widgets.prompt import Prompt
from nftui.units import SECOND

NEW, UPDATE, LOAD = "/new", "/update", "/load "
"""Choices of the window that saves, none of which can be a name; behind `/load ` stands one."""
REFUSED = "display.custom_filters = false: only saved filters may be chosen here"


class FilteredScreen(ShellScreen):
    """A screen whose flows a filter chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "filter", "Filter", id="view.filter", tooltip="Edit the filter"),
        Binding("F", "clear_filter", "Clear filter", show=False, id="view.clear_filter", tooltip="Show all flows again"),
        Binding("A", "save_filter", "Save", show=False, id="view.save_filter", tooltip="Save the filter, or load a saved one"),
        *(
            Binding(f"f{n}", f"saved({n})", f"F{n}", show=False, id=f"view.saved_{n}", tooltip="The saved filter with this key")
            for n in range(1, 10)
        ),
    ]

    _awaited = 0
    _naming = ""
    """Under which name the filter is being saved."""
    _loaded = ""
    """The text of the saved filter that was loaded last here."""

    def on_mount(self) -> None:
        """Read what is saved."""
        self.host.shelf.read(self)

    @property
    def types_filters(self) -> bool:
        """Whether filters may be typed and saved here."""
        return self.host.display_settings.custom_filters

    def filter_parts(self) -> list[Part]:
        """Return what the filter line says of the filter: its name, `*` where it was changed since, and its text."""
        view = self.view
        parts = [Part(" filter: ", "dim")]
        if view.saved:
            parts.append(Part(printable(view.saved), "title"))
            parts.append(Part("* " if self.changed else " ", "warn"))
        if view.text:
            parts.append(Part(view.text, "accent"))
        else:
            parts.append(Part("all flows" if self.types_filters or view.saved else "No filter selected", "text"))
        for name in names_in(view.where):
            if found := self.host.resolver.stands_for(name):
                more = f" +{len(found) - 1}" if len(found) > 1 else ""
                parts.append(Part(f"  {name}: {str(found[0]).removesuffix('/32').removesuffix('/128')}{more}", "dim"))
        return parts

    @property
    def changed(self) -> bool:
        """Whether the filter is another than the saved one whose name it has."""
        entry = self.host.shelf.entry(self.view.saved)
        return entry is None or text_of(entry) != self.view.text

    # Typing

    def action_filter(self) -> None:
        """Edit the filter; where none may be typed, choose a saved one."""
        self.host.shelf.read(self)
        if self.types_filters:
            self.edit(self.view.text)
        else:
            self._choose_saved()

    def edit(self, text: str) -> None:
        """Open the line with a text."""
        prompt = self.query_one(Prompt)
        assistant = FilterAssistant(self.host, prompt, lambda: self.view)
        prompt.open("filter", text, self.host.filter_history, assistant=assistant)

    def action_clear_filter(self) -> None:
        """Show all flows again."""
        self.view = replace(self.view, text="", where=filters.ANY, path=(), saved="")

    def entered(self, purpose: str, text: str) -> None:
        """Take what was typed."""
        if purpose == "filter":
            self.take(text.strip(), self.query_one(Prompt).meaning)
        else:
            super().entered(purpose, text)

    def take(self, text: str, where: Filter) -> None:
        """Filter by a text; the name of a saved filter goes with its text, or where nothing is left to filter."""
        named = next((one.name for one in self.host.shelf.usable if text and text_of(one) == text), "")
        saved = "" if not text else named or self.view.saved
        self.view = replace(self.view, text=text, where=where, path=(), saved=saved)

    def narrowed(self, added: str) -> Filter:
        """Return the filter with a term that must hold as well; the files that it includes aren't read again.

        Raises:
            FilterError: The term is wrong.
        """
        return all_of(self.view.where, filters.parse(added))

    # Saved filters

    def action_saved(self, key: int) -> None:
        """Load the saved filter of a key; into the line, where that is open."""
        entry = self.host.shelf.quick(key)
        prompt = self.query_one(Prompt)
        if entry is None and not self.host.shelf.revision:
            self._awaited = key  # of an F-key pressed before anything was read
        elif entry is None:
            self.say(f"no saved filter has the key F{key}: on the Filters screen, K gives it one")
            self.host.shelf.read(self)
        elif prompt.is_open and prompt.purpose == "filter":
            prompt.put(text_of(entry))
        else:
            self.load(entry)
            self.host.shelf.read(self)

    def load(self, entry: Listed) -> None:
        """Look through a saved filter: by its text, and broken down as it says."""
        if entry.saved is None:
            self.say(f"{entry.name}: {entry.reason}", "warning")
            return
        self._loaded = text_of(entry)
        self.view = replace(self.view, text=self._loaded, where=entry.where, path=(), saved=entry.name, by=entry.saved.aggregate_by)

    @on(Shelved)
    def _shelved(self, message: Shelved) -> None:
        message.stop()
        if message.problem:
            self.say(message.problem, "error")
            self._naming = ""
        elif message.words:
            self.say(message.words)
            if self._naming:
                self.view, self._naming = replace(self.view, saved=self._naming), ""
        if self._awaited:
            key, self._awaited = self._awaited, 0
            self.action_saved(key)
        self.query_one(Prompt).refresh_told()
        self._reload()
        self.show_edges()
        self.shelved()

    def _reload(self) -> None:
        """Take a saved filter as its file has it now, where it was loaded as the file had it before and not changed since."""
        view, entry = self.view, self.host.shelf.entry(self.view.saved)
        if self._loaded and entry is not None and entry.saved is not None and not view.path and view.text == self._loaded:
            self._loaded = text_of(entry)
            if (view.text, view.where) != (self._loaded, entry.where):
                self.view = replace(view, text=self._loaded, where=entry.where)

    def shelved(self) -> None:
        """Take note that the saved filters were read again."""

    # Saving

    @on(Prompt.Keep)
    def _keep(self, message: Prompt.Keep) -> None:
        message.stop()
        prompt = self.query_one(Prompt)
        if prompt.purpose == "filter":
            prompt.submit()
            if not prompt.is_open:
                self.call_after_refresh(self.action_save_filter)

    def action_save_filter(self) -> None:
        """Save the filter under a new name, bring the saved one up to date, or load another."""
        from nftui.screens.dialogs import Pick

        if not self.types_filters:
            self._choose_saved()
            return
        view, named = self.view, self.host.shelf.entry(self.view.saved)
        choices = [(NEW, f"save as new     {self._proposed()}")]
        if named is not None:
            choices.append((UPDATE, f"update current  {printable(named.name)}"))
        choices += [(LOAD + one.name, f"load  {_row(one)}") for one in self.host.shelf.usable if one.name != view.saved]
        current = UPDATE if named is not None and self.changed else NEW
        title = f"filter: {view.text or 'all flows'}, by {view.by}"
        self.app.push_screen(Pick(title, choices, current, "or type a name to save it as", self._new_name), self._kept)

    def _choose_saved(self) -> None:
        from nftui.screens.dialogs import Pick

        choices = [(LOAD + one.name, _row(one)) for one in self.host.shelf.usable]
        self.app.push_screen(Pick("saved filters", [("", "no filter"), *choices], LOAD + self.view.saved), self._kept)

    def _kept(self, choice: str | None) -> None:
        if choice is None:
            return
        if choice.startswith(LOAD) and (entry := self.host.shelf.entry(choice.removeprefix(LOAD))) is not None:
            self.load(entry)
        elif not choice:
            self.action_clear_filter()
        elif choice == UPDATE:
            self._save(self.view.saved, new=False)
        else:
            self._save(self._proposed() if choice == NEW else checked_name(choice), new=True)

    def _proposed(self) -> str:
        return name_from_live_view("", self.host.clock() / SECOND)

    def _new_name(self, name: str) -> None:
        if self.host.shelf.entry(checked_name(name)) is not None:
            raise ConfigError(f"there is a filter {name.strip()!r} already: type another name")

    def _save(self, name: str, new: bool) -> None:
        view = self.view
        by = view.by if view.by in KEYS else "none"

        def save(files: SavedFilters) -> str:
            files.save_line(name, view.text, by, new=new)
            return f"{'saved as' if new else 'updated'} {name}"

        self._naming = name
        self.host.shelf.read(self, save)


def _row(entry: Listed) -> str:
    quick = quick_of(entry)
    name = fit(entry.name, 16)
    return f"{f'F{quick}' if quick else '':<3}{name} {printable(text_of(entry) or 'all flows', 28)}"
