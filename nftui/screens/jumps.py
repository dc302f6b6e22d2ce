"""What is typed in the palette as a place to go to: an address, a network, a port, a protocol, an exporter, a filter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any, cast

from textual.screen import Screen

from nftui.engine import filters
from nftui.engine.account import dicts
from nftui.engine.filters import ANY, Filter
from nftui.engine.names import PROTOCOLS
from nftui.errors import FilterError
from nftui.printable import printable
from nftui.screens import cells
from nftui.screens.commands import SURE, Command, Family
from nftui.screens.view import View

NAMED = 4.6
"""What a letter of a name is worth: less than one of a command that begins with it."""
MOST_EXPORTERS = 12
LONGEST = 400
"""Characters of a filter that is typed here; longer ones have an editor."""


class Jumps(Family):
    """Filters and flows of what is typed."""

    def __init__(self, screen: Screen[Any], match_style: Any = None) -> None:
        super().__init__(screen, match_style)
        self._exporters: list[tuple[str, str]] = []
        self.problem = ""

    async def startup(self) -> None:
        """Read who the exporters are, off the screen's thread."""
        try:
            account = await asyncio.to_thread(self.host.back_end.account)
        except Exception:  # noqa: BLE001  the edge of a thread: whoever can't be read can't be jumped to
            return
        listed = dicts((account.status or {}).get("exporters"))
        self._exporters = [(str(one.get("name") or "")[:64], str(one.get("address", ""))[:64]) for one in listed]

    def offers(self, typed: str) -> Iterator[Command]:
        """Yield what can be gone to; `problem` says what is wrong with a filter that isn't one."""
        self.problem = ""
        text = typed.lstrip(":").strip()
        if not text or len(text) > LONGEST:
            return
        terms = [(what, term, SURE) for what, term in _values(text)]
        terms += [(what, term, NAMED * len(text)) for what, term in (*_names(text), *self._found_exporters(text))]
        for place, (what, term, rank) in enumerate(terms):
            yield from self._of(what, term, rank - 0.1 * place)
        if not text.isdigit() and self.host.display_settings.custom_filters:
            yield from self._expression(text, {filters.parse(term) for _, term, _ in terms})

    def _found_exporters(self, text: str) -> Iterator[tuple[str, str]]:
        wanted = text.casefold()
        listed = [one for one in self._exporters if wanted in one[0].casefold() or (one[1].startswith(text) and len(text) > 2)]
        for name, address in sorted(listed, key=lambda one: (one[0].casefold() != wanted, one))[:MOST_EXPORTERS]:
            term = f"exporter ip {address}"
            if _parses(term):
                yield f"exporter {name} {address}" if name else f"exporter {address}", term

    def _expression(self, text: str, known: set[Filter]) -> Iterator[Command]:
        try:
            tree = filters.parse(text)
        except FilterError as error:
            # A word or two is the name of a command first.
            self.problem = error.problem if len(text.split()) > 1 else ""
            return
        if tree not in known:
            single = len(text.split()) == 1
            yield from self._of(text, text, NAMED * len(text) if single else SURE - 50, whole=not single)

    def _of(self, what: str, term: str, rank: float, *, whole: bool = False) -> Iterator[Command]:
        """Yield what can be done with a term: filter to it, its flows, filter it out, narrow to it.

        Args:
            what: What it is called.
            term: The filter.
            rank: Of the first; the others follow those of other terms.
            whole: Whether it is an expression that has to be taken in brackets.
        """
        view = cast(View, self.host.view)
        out = f"not ({term})" if whole else f"not {term}"
        yield Command(f"Filter to {what}", self._down(term, term), term, rank=rank)
        yield Command(f"Flows of {what}", self._down(term, term, "flows"), "on the Flows screen", rank=rank - 0.05)
        if view.text:
            inside = f"({term})" if whole else term
            more = cells.also(view.text, inside)
            yield Command(f"Narrow to {what}", self._down(more, inside), "the filter in force, and this", rank=rank - 1)
        yield Command(f"Leave out {what}", self._down(cells.also(view.text, out), out), out, rank=rank - 2)

    def _down(self, text: str, label: str, mode: str = "") -> Any:
        def run() -> None:
            try:
                where = filters.parse(text) if text else ANY
            except FilterError as error:
                self.app.notify(printable(error), severity="error", markup=False)
                return
            tab = getattr(self.screen, "TAB", "live")
            self.take(cast(View, self.host.view).down(printable(label, 60), text, where, tab, 0), mode)

        return run


def _values(text: str) -> Iterator[tuple[str, str]]:
    """Yield what an address, a network or a number may mean, what is likeliest first: what it is called, and the filter."""
    terms: tuple[str, ...] = ()
    if text.isascii() and text.isdigit():
        number = int(text[:12])
        terms = (f"port {number}", f"dst port {number}", f"src port {number}") if number <= 0xFFFF else ()
        terms += (f"as {number}",) if 0 < number <= 0xFFFF_FFFF else ()
    elif text[:2].lower() == "as" and text[2:].isascii() and text[2:].isdigit() and int(text[2:14]) <= 0xFFFF_FFFF:
        terms = (f"as {int(text[2:])}",)
    else:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            return
        kind, shown = ("net", str(network)) if "/" in text else ("ip", str(network.network_address))
        terms = (f"{kind} {shown}", f"src {kind} {shown}", f"dst {kind} {shown}")
    for term in terms:
        yield term.removeprefix("ip ").removeprefix("net ").replace("as ", "AS "), term


def _names(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a name may stand for: a service's port, a protocol."""
    word = text.lower()
    if word.isascii() and word.replace("-", "").isalnum() and not word.isdigit():
        if _parses(f"port {word}"):
            yield f"port {word}", f"port {word}"
        if word in PROTOCOLS and _parses(f"proto {word}"):
            yield f"protocol {word}", f"proto {word}"


def _parses(term: str) -> bool:
    try:
        filters.parse(term)
    except FilterError:
        return False
    return True
