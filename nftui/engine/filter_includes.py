"""Filters with `@include FILE` in them: the text of the file takes its place, as nfdump does it, before the whole is parsed.

Files stand in one directory, that of the saved filters, and no name leads out of it. A mistake is reported where it was written: in
the file, at its column. What is inserted has no brackets of its own, so that a file may also hold a part of a list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from nftui.engine.files import read_small
from nftui.engine.filter_syntax import Token, shown, tokens
from nftui.engine.filters import LONGEST, Filter, parse
from nftui.errors import FilterError

INCLUDE = "@include"
DEEPEST = 10
"""Files within files."""
MOST_FILES = 100
"""Files that one filter reads, each time it reads them."""

_INCLUDE = re.compile(INCLUDE, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the whole text, and where it was written."""

    start: int
    source: str
    text: str
    column: int


@dataclass(slots=True)
class Included:
    """A filter after the files were inserted.

    Attributes:
        text: The whole.
        pieces: Whose text each part of it is, in order.
        files: How many were read.
    """

    text: str = ""
    pieces: list[_Piece] = field(default_factory=list)
    files: int = 0

    def written(self, column: int) -> tuple[str, str, int]:
        """Return where a column of the whole was written: source (empty for what was typed), its text, its column."""
        piece = max((one for one in self.pieces if one.start <= column), key=lambda one: one.start, default=self.pieces[0])
        return piece.source, piece.text, min(piece.column + column - piece.start, len(piece.text))

    def blamed(self, error: FilterError) -> FilterError:
        """Return an error in the whole as one in the text that was written."""
        source, text, column = self.written(error.column)
        return FilterError(text, column, error.token, error.problem, error.hint, source=source)


def parse_with_includes(text: str, directory: Path, source: str = "") -> Filter:
    """Read a filter in which files may be included.

    Args:
        text: As typed, or as a file has it.
        directory: Where the files stand.
        source: What holds the text, for messages; empty for what was typed.
    Raises:
        FilterError: As of `parse`, and a file that can't be included; it names the source in which it was written.
    """
    whole = include(text, directory, source)
    try:
        return parse(whole.text)
    except FilterError as error:
        raise whole.blamed(error) from None


def include(text: str, directory: Path, source: str = "") -> Included:
    """Insert the files that a filter includes.

    Raises:
        FilterError: As in `parse_with_includes`, what only parsing finds left out.
    """
    whole = Included()
    _insert(whole, text, directory, source, ())
    return whole


def _insert(whole: Included, text: str, directory: Path, source: str, within: tuple[Path, ...]) -> None:
    if len(text) > LONGEST or len(whole.text) + len(text) > LONGEST:
        raise FilterError(text, 0, "", f"the filter is longer than {LONGEST} characters with all it includes", source=source)
    done = 0
    if _INCLUDE.search(text):
        try:
            words = tokens(text)
        except FilterError as error:
            raise FilterError(text, error.column, error.token, error.problem, error.hint, source=source) from None
        for token, name in pairwise(words):
            if token.kind != "word" or token.key != INCLUDE or token.column < done:
                continue
            _copy(whole, text, done, token.column, source)
            done = name.column + len(name.text) + (2 if name.kind == "quoted" else 0)
            _insert_file(whole, text, name, directory, source, within)
    _copy(whole, text, done, len(text), source)


def _copy(whole: Included, text: str, start: int, end: int, source: str) -> None:
    whole.pieces.append(_Piece(len(whole.text), source, text, start))
    whole.text += text[start:end]


def _insert_file(whole: Included, text: str, name: Token, directory: Path, source: str, within: tuple[Path, ...]) -> None:
    def refused(problem: str, hint: str = "") -> FilterError:
        return FilterError(text, name.column, name.text, problem, hint, source=source)

    if name.kind not in ("word", "quoted") or not name.text:
        raise refused(f"expected the name of a file after {INCLUDE}, found {name.shown}", f"such as {INCLUDE} servers")
    whole.files += 1
    if whole.files > MOST_FILES:
        raise refused(f"more than {MOST_FILES} files are included", "include fewer")
    path = _found(directory, name.text, refused)
    if path in within:
        raise refused(f"the file {name.shown} includes itself", "remove one of the two")
    if len(within) >= DEEPEST:
        raise refused(f"more than {DEEPEST} files within each other", "include fewer")
    try:
        octets = read_small(path, LONGEST)
        inner = octets.decode()
    except OSError as error:
        raise refused(f"the file {name.shown} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise refused(f"the file {name.shown} is no text in UTF-8") from None
    # White space around it: neither its last word nor a comment at its end reaches what follows.
    whole.text += "\n"
    _insert(whole, inner, directory, str(Path("filters", name.text)), (*within, path))
    whole.text += "\n"


def _found(directory: Path, name: str, refused: Refusal) -> Path:
    """Return the path of a file of the directory, links followed."""
    if "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise refused(f"the file {shown(name)} is not in {directory}", "only files of this directory are included")
    try:
        home = directory.resolve(strict=True)
        path = (home / name).resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        raise refused(f"there is no file {shown(name)} in {directory}") from None
    except (OSError, RuntimeError) as error:
        raise refused(f"the file {shown(name)} can't be read: {error}") from None
    if not path.is_relative_to(home):
        raise refused(f"the file {shown(name)} leads out of {directory}", "put a file there rather than a link")
    return path


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Refusal = Callable[..., FilterError]
