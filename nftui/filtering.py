"""What the asking commands filter by, FILTER, `-f FILE` and `--filter NAME` together, and the notes about it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nftui import config
from nftui.engine.files import read_small
from nftui.engine.filter_emptiness import holds, what_empties
from nftui.engine.filter_includes import Included, include
from nftui.engine.filter_lints import lints, minds_icmp
from nftui.engine.filters import LONGEST, Filter, all_of, parse
from nftui.engine.query import BackEnd, Query
from nftui.errors import FilterError, UsageError
from nftui.printable import printable

Resolve = Callable[[Filter, str], Filter]
ICMP = parse("proto icmp or proto icmp6")


@dataclass(frozen=True, slots=True)
class Asked:
    """One text that flows are filtered by, files included.

    Attributes:
        whole: The text.
        where: What it means.
    """

    whole: Included
    where: Filter


def where(options: argparse.Namespace, resolve: Resolve) -> Filter:
    """Return what a command asks for: what matches FILTER, the file and the saved filter, each where it is given.

    Args:
        options: Of the command.
        resolve: Looks up what a tree leaves open; it gets the tree and its text.

    Raises:
        FilterError: One of them can't be understood, or a name of it stands for nothing.
        ConfigError: There is no such saved filter, or it can't be used.
        UsageError: The file can't be read.
    """
    found = []
    for asked in _asked(options):
        try:
            found.append(resolve(asked.where, asked.whole.text))
        except FilterError as error:
            raise asked.whole.blamed(error) from None
    return all_of(*found)


def aggregate_by(options: argparse.Namespace) -> str | None:
    """Return what a command's saved filter says to break down by, a word of `keys.WORDS` or `none`; None where none is given.

    Raises:
        ConfigError: There is no such saved filter, or it can't be used.
    """
    if options.saved is None:
        return None
    from nftui.engine.saved_filter import SavedFilters  # loads what edits TOML

    return SavedFilters(directory(options)).load(options.saved).aggregate_by


def directory(options: argparse.Namespace) -> Path:
    """Return where saved and included filters stand."""
    return config.filters_directory(getattr(options, "config", None))


def write_notes(options: argparse.Namespace, query: Query, back_end: Callable[[], BackEnd], flows: int) -> None:
    """Write the notes about a command's filters to stderr, where they are wanted.

    Args:
        options: Of the command.
        query: What it asked.
        back_end: Makes who answered; it is asked again where that explains something, a bounded number of times.
        flows: How many matched.
    """
    wanted = sys.stderr.isatty() if options.notes is None else options.notes
    if not wanted:
        return
    sys.stdout.flush()
    # Files are decoded for each question: nobody waits for that who did not ask for notes.
    asked = back_end() if options.notes or not options.read else None
    for note in notes(_asked(options), query, asked, flows):
        print(f"note: {printable(note, 2000)}", file=sys.stderr)


def notes(asked: list[Asked], query: Query, back_end: BackEnd | None, flows: int) -> Iterator[str]:
    """Yield the notes about filters, one line each; without a back end those that need no data."""
    minding = flows > 0 and any(minds_icmp(one.whole.text) for one in asked)
    icmp = minding and back_end is not None and holds(back_end, query, ICMP)
    for one in asked:
        for lint in lints(one.whole.text, icmp=icmp):
            source, text, column = one.whole.written(lint.column)
            line = text.count("\n", 0, column) + 1
            place = f"line {line}, " if line > 1 else ""
            within = column - (text.rfind("\n", 0, column) + 1)
            told = f"{lint.text}; {lint.suggestion}" if lint.suggestion else lint.text
            yield f"{source or 'filter'}, {place}column {within + 1}: {told}"
    if not flows and back_end is not None:
        yield from map(str, what_empties(back_end, query))


def _asked(options: argparse.Namespace) -> list[Asked]:
    found = []
    home = directory(options)
    if options.saved is not None:
        from nftui.engine.saved_filter import SavedFilters  # loads what edits TOML

        saved = SavedFilters(home)
        tree = saved.tree(options.saved)
        found.append(Asked(include(saved.load(options.saved).text, home, f"saved filter {options.saved!r}"), tree))
    if options.filter_file is not None:
        found.append(_read(_file(options.filter_file), home, str(options.filter_file)))
    if options.filter:
        found.append(_read(" ".join(options.filter), home, ""))
    return found


def _read(text: str, home: Path, source: str) -> Asked:
    whole = include(text, home, source)
    try:
        return Asked(whole, parse(whole.text))
    except FilterError as error:
        raise whole.blamed(error) from None


def _file(path: Path) -> str:
    try:
        return read_small(path, LONGEST).decode()
    except OSError as error:
        raise UsageError(f"-f {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"-f {path}: no text in UTF-8") from None
