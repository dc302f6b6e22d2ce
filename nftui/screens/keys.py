"""The keys of all screens by their ids, for those who change them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from textual.binding import Binding
from textual.dom import DOMNode

from nftui.errors import ConfigError


def owners() -> tuple[type[DOMNode], ...]:
    """Return the classes that have keys of their own, those of the application left out."""
    from nftui.screens.dialogs import Page, Pick
    from nftui.screens.export_dialog import ExportDialog
    from nftui.screens.filter_form import FilterForm
    from nftui.screens.filtered import FilteredScreen
    from nftui.screens.filters import FiltersScreen
    from nftui.screens.flows import FlowsScreen
    from nftui.screens.investigation import InvestigationScreen
    from nftui.screens.live import LiveScreen
    from nftui.screens.maps import MapScreen
    from nftui.screens.palette import Palette
    from nftui.screens.settings import SettingsScreen
    from nftui.screens.shell import ShellScreen
    from nftui.screens.sources import SourcesScreen
    from nftui.screens.summary import SummaryScreen
    from nftui.screens.widgets.chart import AreaChart
    from nftui.screens.widgets.choice import Choice
    from nftui.screens.widgets.flow_table import FlowTable
    from nftui.screens.widgets.picture import Picture
    from nftui.screens.widgets.sheet import Sheet
    from nftui.screens.widgets.typed_line import TypedLine

    return (
        ShellScreen, FilteredScreen, InvestigationScreen, LiveScreen, FlowsScreen, SummaryScreen, MapScreen, FiltersScreen,
        SourcesScreen, SettingsScreen, FlowTable, AreaChart, Picture, Sheet, TypedLine, Pick, Page, ExportDialog, Palette,
        FilterForm, Choice,
    )  # fmt: skip


def own(owner: type[DOMNode]) -> list[Binding]:
    """Return the keys that a class declares itself."""
    return [binding for binding in owner.__dict__["BINDINGS"] if isinstance(binding, Binding)]


def check(wanted: Iterable[str], application: type[DOMNode]) -> None:
    """Check that ids are those of keys.

    Raises:
        ConfigError: One is not; the most similar is named.
    """
    known = {binding.id for owner in (application, *owners()) for binding in own(owner) if binding.id is not None}
    for name in wanted:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else "the help (?) names them all"
            raise ConfigError(f"display.keys: {name!r} is no key; {hint}")


KEPT = frozenset({"ctrl+c", "ctrl+s", "ctrl+q", "ctrl+b", "ctrl+a", "escape"})
"""Keys that terminals, tmux and screen keep for themselves, and the ways out."""


def bound(application: type[DOMNode], keymap: Mapping[str, str]) -> dict[str, tuple[type[DOMNode], Binding, str]]:
    """Return of each id its owner, its binding, and the keys that hold, separated by commas."""
    found = {}
    for owner in (application, *owners()):
        for binding in own(owner):
            if binding.id is not None:
                found[binding.id] = owner, binding, keymap.get(binding.id, binding.key)
    return found


def clash(name: str, key: str, application: type[DOMNode], keymap: Mapping[str, str]) -> str:
    """Return the id of what else a key does where an id works; empty where nothing."""
    known = bound(application, keymap)
    owner = known[name][0]
    for other, (whose, _, pressed) in known.items():
        if other != name and key in pressed.split(",") and _together(owner, whose, application):
            return other
    return ""


def _together(one: type[DOMNode], other: type[DOMNode], application: type[DOMNode]) -> bool:
    """Return whether the keys of two classes work at the same time."""
    from textual.screen import ModalScreen, Screen

    if application in (one, other) or issubclass(one, other) or issubclass(other, one):
        return True
    windows = [issubclass(each, ModalScreen) for each in (one, other)]
    screens = [issubclass(each, Screen) for each in (one, other)]
    # A widget works on any screen, a window on none; two screens are never seen at once.
    return not any(windows) and screens.count(True) == 1
