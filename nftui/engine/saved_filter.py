"""Saved filters: one TOML file each, beside the configuration, which a person may edit as well.

The file's name is the filter's. A file that can't be used is listed with the reason, and keeps none of the others from being used.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import tomli
import tomlkit
from tomlkit.exceptions import TOMLKitError

from nftui.engine.basic_filter import FIELD_NAMES, BasicFilter, expression
from nftui.engine.files import read_small, rewrite_file
from nftui.engine.filter_includes import parse_with_includes
from nftui.engine.filters import ANY, Filter, parse
from nftui.errors import ConfigError, FilterError
from nftui.printable import printable

SUFFIX = ".toml"
LONGEST_NAME = 64
LONGEST_FILE = 256 * 1024
MOST_FILES = 10_000
"""That are looked at in the directory."""
QUICK_KEYS = range(1, 10)
"""F1 to F9."""
BASIC, ADVANCED = "basic", "advanced"


class SavedFilter(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One saved filter.

    Either `fields` or `expression` says what it takes; it is advanced if, and only if, there is an expression. With neither it
    takes every flow.
    """

    description: str = ""
    aggregate_by: str = "dstip"
    """What to break down by: srcip, dstip, srcport, dstport, proto, none."""
    quick: int = 0
    """The key that loads it in the dashboard: 1 for F1, up to 9; 0 for none."""
    expression: str = ""
    fields: BasicFilter = BasicFilter()

    @property
    def kind(self) -> str:
        """`advanced` or `basic`."""
        return ADVANCED if self.expression.strip() else BASIC

    @property
    def text(self) -> str:
        """What it takes, as an expression.

        Raises:
            FilterError: A field of a basic filter holds something else than its values.
        """
        return self.expression if self.kind == ADVANCED else expression(self.fields)

    @property
    def line(self) -> str:
        """The same on one line, without comments; empty where it can't be said."""
        try:
            lines = self.text.splitlines()
        except FilterError:
            return ""
        return " ".join(kept for line in lines if (kept := _without_comment(line)))

    def with_expression(self, text: str) -> SavedFilter:
        """Return it as an advanced filter: the fields are cleared."""
        return msgspec.structs.replace(self, expression=text.strip(), fields=BasicFilter())

    def with_fields(self, fields: BasicFilter) -> SavedFilter:
        """Return it as a basic filter: the expression is cleared."""
        return msgspec.structs.replace(self, expression="", fields=fields)


@dataclass(frozen=True, slots=True)
class Listed:
    """A file among the saved filters.

    Attributes:
        name: Its name.
        path: The file.
        saved: What it holds; None where it can't be used.
        reason: Why not.
        where: What it takes, files that it includes read.
    """

    name: str
    path: Path
    saved: SavedFilter | None
    reason: str = ""
    where: Filter = ANY


class SavedFilters:
    """The saved filters of one directory.

    Attributes:
        directory: It need not be there; saving makes it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, name: str) -> Path:
        """Return the file of a filter, there or not.

        Raises:
            ConfigError: The name can't be one.
        """
        return self.directory / (checked_name(name) + SUFFIX)

    def names(self) -> list[str]:
        """Return all names, in order, those of files that can't be used, too."""
        return [path.name.removesuffix(SUFFIX) for path in self._paths()]

    def listed(self) -> Iterator[Listed]:
        """Yield every file, by name; those that can't be used with the reason."""
        for path in self._paths():
            name = path.name.removesuffix(SUFFIX)
            try:
                if checked_name(name) != name:
                    raise ConfigError(f"{path}: not a name that is stored so; rename the file to {checked_name(name) + SUFFIX!r}")
                saved = self.load(name)
                where = self.tree(name, saved)
            except (ConfigError, FilterError) as error:
                yield Listed(name, path, None, str(error))
            else:
                yield Listed(name, path, saved, where=where)

    def includable(self) -> list[str]:
        """Return the names of files that `@include` may name, in order: all that are no saved filters."""
        return [path.name for path in self._paths(saved=False)]

    def load(self, name: str) -> SavedFilter:
        """Read one filter; its expression is not looked at.

        Raises:
            ConfigError: There is none of this name, or its file can't be used.
        """
        path = self.path(name)
        try:
            return _of_toml(read_small(path, LONGEST_FILE), str(path))
        except FileNotFoundError:
            hint = f"`nftui filters save {_word(name)}` makes one, `nftui filters list` shows what there is"
            raise ConfigError(f"no saved filter {name!r} in {self.directory}; {hint}") from None
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None

    def tree(self, name: str, saved: SavedFilter | None = None) -> Filter:
        """Return what a filter takes.

        Raises:
            ConfigError: As in `load`.
            FilterError: Its expression or a field can't be understood; the message names the file.
        """
        saved = saved or self.load(name)
        if saved.kind == ADVANCED:
            return parse_with_includes(saved.expression, self.directory, f"saved filter {name!r}")
        try:
            return parse(expression(saved.fields))
        except FilterError as error:
            source = f"saved filter {name!r}, {error.source}"
            raise FilterError(error.text, error.column, error.token, error.problem, error.hint, source=source) from None

    def save(self, name: str, saved: SavedFilter) -> Path:
        """Write a filter; of a file that is there, comments and order stay. Returns the file.

        Raises:
            ConfigError: The name or what to break down by can't be used, or the file can't be written.
            FilterError: What it takes can't be understood; nothing is written.
        """
        path = self.path(name)
        _check_values(saved, f"filter {name!r}")
        if saved.kind == ADVANCED:
            parse_with_includes(saved.expression, self.directory)
        else:
            expression(saved.fields)
        try:
            before = read_small(path, LONGEST_FILE) if path.exists() else b""
            try:
                octets = _to_toml(saved, before)
            except (TOMLKitError, UnicodeDecodeError) as error:
                raise ConfigError(f"{path}: not TOML: {error}; mend or delete the file first") from None
            if _of_toml(octets, str(path)) != saved:
                raise ConfigError(f"{path}: the file can't be edited as it is written; delete it first")
            self.directory.mkdir(parents=True, exist_ok=True)
            rewrite_file(path, octets)
        except OSError as error:
            raise ConfigError(f"{error.filename or path}: {error.strerror}; the filter was not saved") from None
        return path

    def assign(self, name: str, quick: int) -> None:
        """Give a filter a key of the dashboard, which whatever had it before loses; 0 takes its own away.

        Raises:
            ConfigError: As in `load` and `save`.
            FilterError: As in `save`.
        """
        saved = self.load(name)
        for one in self.listed() if quick else ():
            if one.saved is not None and one.saved.quick == quick and one.name != name:
                self.save(one.name, msgspec.structs.replace(one.saved, quick=0))
        if saved.quick != quick:
            self.save(name, msgspec.structs.replace(saved, quick=quick))

    def save_line(self, name: str, line: str, aggregate_by: str, *, new: bool) -> None:
        """Save what is looked through; of a filter that there is all else stays, its fields too where they say the same.

        Args:
            name: Of the filter.
            line: What it takes.
            aggregate_by: What it breaks down by.
            new: Whether there must be none of this name yet.
        Raises:
            ConfigError: There is one and there mustn't, or the other way round; as in `save`.
            FilterError: As in `save`.
        """
        if new and self.path(name).exists():
            raise ConfigError(f"there is a filter {name!r} already; nothing was saved")
        before = SavedFilter() if new else self.load(name)
        saved = before if before.line == line else before.with_expression(line)
        self.save(name, msgspec.structs.replace(saved, aggregate_by=aggregate_by))

    def duplicate(self, name: str) -> str:
        """Save a filter once more, under its name with the next free number behind it; returns that name. It gets no key.

        Raises:
            ConfigError: As in `load` and `save`.
            FilterError: As in `save`.
        """
        saved, there = self.load(name), set(self.names())
        stem = re.sub(r" [0-9]+$", "", name)[: LONGEST_NAME - 6]
        free = next(one for number in range(2, MOST_FILES + 3) if (one := f"{stem} {number}") not in there)
        self.save(free, msgspec.structs.replace(saved, quick=0))
        return free

    def delete(self, name: str) -> None:
        """Remove a filter.

        Raises:
            ConfigError: There is none of this name, or it can't be removed.
        """
        path = self.path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            raise ConfigError(f"no saved filter {name!r} in {self.directory}; `nftui filters list` shows what there is") from None
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None

    def _paths(self, saved: bool = True) -> list[Path]:
        try:
            found = [
                path for path in self.directory.iterdir() if path.name.endswith(SUFFIX) == saved and not path.name.startswith(".")
            ]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(f"{self.directory}: {error.strerror}") from None
        return sorted(found, key=lambda path: (path.name.removesuffix(SUFFIX).casefold(), path.name))[:MOST_FILES]


def checked_name(name: str) -> str:
    """Return a name as it is stored: without space around it, composed (NFC).

    Raises:
        ConfigError: It is blank, too long, or has what a file's name had better not have.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name:
        raise ConfigError("a filter needs a name that is not blank")
    if len(name) > LONGEST_NAME or len(name.encode(errors="replace")) > 3 * LONGEST_NAME:
        raise ConfigError(f"the name {printable(name, 40)!r} is too long; at most {LONGEST_NAME} characters")
    if name[0] in ".-" or "/" in name or "\\" in name or not name.isprintable():
        problem = "a name has no / and no \\, begins with neither . nor -, and is printable"
        raise ConfigError(f"the name {printable(name, 80)!r} can't be that of a filter; {problem}")
    return name


def _without_comment(line: str) -> str:
    quote = ""
    for place, character in enumerate(line):
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        elif character == "#" and not quote:
            return line[:place].strip()
    return line.strip()


def name_from_live_view(name: str, now: float) -> str:
    """Return a name for what is saved from a live view: the one given, or for a blank one `Netflow_Filter_<seconds since 1970>`."""
    return checked_name(name) if name.strip() else f"Netflow_Filter_{int(now)}"


# -- TOML --------------------------------------------------------------------------------------------------------------------


def _of_toml(octets: bytes, name: str) -> SavedFilter:
    try:
        tree: dict[str, Any] = tomli.loads(octets.decode())
    except (tomli.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{name}: not TOML: {error}") from None
    kind = tree.pop("kind", None)
    if kind not in (None, BASIC, ADVANCED):
        raise ConfigError(f"{name}: kind is {printable(kind, 40)!r}; it takes {BASIC} or {ADVANCED}")
    try:
        saved = msgspec.convert(tree, SavedFilter)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {str(error).replace(' - at `$.', ' at `')}") from None
    if saved.kind == ADVANCED and not saved.fields.blank:
        raise ConfigError(f"{name}: it has fields and an expression; a filter is one of the two, so remove the other")
    if kind is not None and kind != saved.kind:
        raise ConfigError(f"{name}: kind is {kind}, but there is {'no' if kind == ADVANCED else 'an'} expression; remove the kind")
    _check_values(saved, name)
    return saved


def _check_values(saved: SavedFilter, name: str) -> None:
    from nftui.engine.query import KEYS  # loads polars

    if saved.quick and saved.quick not in QUICK_KEYS:
        raise ConfigError(f"{name}: quick is {saved.quick}; it takes 1 to 9, for F1 to F9, or 0 for no key")
    key = saved.aggregate_by
    if key not in KEYS:
        raise ConfigError(f"{name}: aggregate_by is {printable(key, 40)!r}; it takes one of {', '.join(KEYS)}")


def _to_toml(saved: SavedFilter, before: bytes) -> bytes:
    """Return the file of a filter: the one before, with what changed set."""
    document = tomlkit.parse(before.decode())
    values: dict[str, Any] = {"kind": saved.kind, "description": saved.description, "aggregate_by": saved.aggregate_by}
    if saved.quick:
        values["quick"] = saved.quick
    for key, value in values.items():
        if document.get(key) != value:
            document[key] = value
    for stale in set(document) - {*values, "expression", "fields"}:
        document.remove(stale)
    if saved.kind == ADVANCED:
        document.pop("fields", None)
        if document.get("expression") != saved.expression:
            document["expression"] = tomlkit.string(saved.expression, multiline="\n" in saved.expression)
    else:
        document.pop("expression", None)
        fields = document.get("fields")
        if not isinstance(fields, dict):
            document.pop("fields", None)
            fields = tomlkit.table()
            document["fields"] = fields
        for field in FIELD_NAMES:
            if fields.get(field) != (value := getattr(saved.fields, field)):
                fields[field] = value
    return tomlkit.dumps(document).encode()


def _word(name: str) -> str:
    import shlex

    return shlex.quote(printable(name, LONGEST_NAME))
