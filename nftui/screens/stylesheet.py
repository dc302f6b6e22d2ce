"""Style sheets that are parsed once.

Textual 8.2 parses all of them anew when a window of a new kind opens and when a mode is entered for the first time, which takes the
screen's thread tens of milliseconds. What a sheet says depends on its text and on the theme's variables alone.
"""

from __future__ import annotations

from textual.cache import LRUCache
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

SHEETS = 512
"""More sheets than there are: each widget class has one."""
THEMES = 4
"""Themes whose sheets are kept."""
Parsed = LRUCache[tuple[object, ...], list[RuleSet]]
_PARSED: LRUCache[frozenset[tuple[str, str]], Parsed] = LRUCache(THEMES)


class KeptStylesheet(Stylesheet):
    """A stylesheet that parses no sheet twice with the same variables."""

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._parse_cache = _parsed_with(self._variables)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set the theme's variables."""
        if variables != self._variables:
            self._parse_cache = LRUCache(1)  # the one that is in use is kept, and not to be cleared
            super().set_variables(variables)
            self._parse_cache = _parsed_with(variables)

    def reparse(self) -> None:
        """Take note of the variables that were set; where a sheet has errors, all stay as they were."""
        self.parse()


def _parsed_with(variables: dict[str, str]) -> Parsed:
    """Return what was parsed with these variables so far."""
    key = frozenset(variables.items())
    kept = _PARSED.get(key)
    if kept is None:
        kept = _PARSED[key] = LRUCache(SHEETS)
    return kept
