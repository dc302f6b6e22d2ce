"""The configuration key by key: what holds, where it comes from, and the file with one value changed.

A key is named as TOML does, `collector.interval`. What stands behind the name of a table that you fill yourself needs no quotes:
`exporters.192.0.2.1.sampling`, `display.keys.live.pause`, `elements.9/12235`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import tomli
import tomlkit
from tomlkit.exceptions import TOMLKitError

from nftui import config
from nftui.config import Config
from nftui.engine.files import read_small, rewrite_file
from nftui.errors import ConfigError, UsageError
from nftui.printable import printable

LONGEST = 1 << 20
"""Octets of a configuration file."""
SECRET = frozenset({("snmp", "community")})
"""Values that a listing does not show."""
DEFAULT = "default"

Key = tuple[str, ...]
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Setting:
    """One key.

    Attributes:
        key: Its names, from the section on.
        value: What holds: text, a number, a truth value, or a tuple of texts.
        origin: `default`, the path of a file, or `environment, NAME`.
    """

    key: Key
    value: Any
    origin: str

    @property
    def name(self) -> str:
        """The key as TOML has it, quoted where it must be."""
        return ".".join(part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False) for part in self.key)

    @property
    def secret(self) -> bool:
        """Whether there is a value that a listing does not show."""
        return self.key in SECRET and bool(self.value)

    @property
    def toml(self) -> str:
        """The value as TOML has it."""
        return in_toml(self.value)


def in_toml(value: Any) -> str:
    """Return a value as TOML has it, on one line."""
    return str(tomlkit.item(list(value) if isinstance(value, tuple) else value).as_string())


def settings(path: Path) -> list[Setting]:
    """Return every key with what holds and where it comes from, in the order of the defaults.

    Raises:
        ConfigError: The file can't be used.
    """
    text = _read(path)
    holding = config.parse(text, str(path))
    said = _said(tomli.loads(text.decode()))
    found = [Setting(key, value, str(path) if key in said else DEFAULT) for key, value in _leaves(holding)]
    return [_from_environment(one) for one in found]


def chosen(path: Path, name: str) -> list[Setting]:
    """Return the setting of a key, or all those of a section.

    Raises:
        UsageError: There is no such key.
        ConfigError: It is not set, or the file can't be used.
    """
    all_of_them = settings(path)
    parts = split(name)
    found = [one for one in all_of_them if parts and one.key[: len(parts)] == parts]
    if not found and (spread := resolved(name)) is not None:
        found = [one for one in all_of_them if one.key == spread[0]]
        if not found:
            raise ConfigError(f"{printable(name, 80)} is not set, and has no default")
    if not found:
        raise UsageError(_unknown(name))
    return found


def change(path: Path, name: str, text: str) -> Setting:
    """Set one key in the file: comments and order stay, and a value that can't be used changes nothing.

    Args:
        path: The file; it is made where it is missing.
        name: The key.
        text: The value: a list with commas between, or in TOML's form; a text without quotes.
    Returns:
        The setting as it is now.
    Raises:
        UsageError: There is no such key.
        ConfigError: The value can't be used, or the file can't be edited.
    """
    key, kind = _found(name)
    value = _value(text, kind)
    before = _read(path)
    try:
        document = tomlkit.parse(before.decode())
        wanted = tomli.loads(before.decode())
    except (TOMLKitError, tomli.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}; mend the file first") from None
    octets = _edited(document, key, value, wanted) if _put(wanted, key, value) else None
    if octets is None:
        raise ConfigError(f"{path}: {printable(name, 80)} stands where it can't be edited; set it with an editor")
    try:
        config.parse(octets, str(path))
    except ConfigError as error:
        raise ConfigError(f"{error}; nothing was changed") from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        rewrite_file(path, octets)
    except OSError as error:
        raise ConfigError(f"{error.filename or path}: {error.strerror}; nothing was changed") from None
    return Setting(key, tuple(value) if isinstance(value, list) else value, str(path))


def _found(name: str) -> tuple[Key, Any]:
    spread = resolved(name)
    if spread is None:
        raise UsageError(_unknown(name))
    return spread


def tried(holding: Config, name: str, text: str) -> Config:
    """Return a configuration with one key set, as `change` would have it; nothing is written.

    Raises:
        UsageError: There is no such key.
        ConfigError: The value can't be used.
    """
    key, kind = _found(name)
    tree: dict[str, Any] = msgspec.to_builtins(holding)
    _put(tree, key, _value(text, kind))
    return config.of_tree(tree, "not saved")


def refusal(path: Path) -> str:
    """Return why a configuration file can't be written, empty where it can."""
    there = path if path.exists() else next((folder for folder in path.parents if folder.exists()), Path("/"))
    return "" if os.access(there, os.W_OK) else f"{path} can't be written by this user: settings hold until you leave"


# -- keys --------------------------------------------------------------------------------------------------------------------


def split(name: str) -> Key:
    """Return the parts of a name, quotes taken off."""
    parts = re.findall(r'"([^"]*)"|\'([^\']*)\'|([^.]+)', name)
    return tuple(next(filter(None, part), "") for part in parts)


def resolved(name: str) -> tuple[Key, Any] | None:
    """Return a key that may be set, and the type of its value; None where there is none of this name."""
    parts = split(name)
    kind: Any = Config
    for depth, part in enumerate(parts):
        if _is_struct(kind):
            fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
            if part not in fields:
                return None
            kind = fields[part]
            continue
        if get_origin(kind) is not dict:
            return None
        inner = get_args(kind)[1]
        rest = parts[depth:]
        if not _is_struct(inner):
            return (*parts[:depth], ".".join(rest)), inner
        ends = {field.name: field.type for field in msgspec.structs.fields(inner)}
        if len(rest) < 2 or rest[-1] not in ends:
            return None
        return (*parts[:depth], ".".join(rest[:-1]), rest[-1]), ends[rest[-1]]
    return None if not parts or _is_struct(kind) or get_origin(kind) is dict else (parts, kind)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    known = [Setting(key, value, DEFAULT).name for key, value in _leaves(Config())]
    close = get_close_matches(name[:80], known, 1)
    hint = f"did you mean {close[0]}?" if close else "`nftui config show` lists all of them"
    return f"{printable(name, 80)} is no key of the configuration; {hint}"


def _leaves(value: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from _leaves(getattr(value, field), (*key, field))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*key, name))
    else:
        yield key, value


def _said(tree: dict[str, Any]) -> set[Key]:
    """Return the keys that a file has."""

    def walk(value: Any, key: Key) -> Iterator[Key]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from walk(inner, (*key, name))
        else:
            yield key

    return set(walk(tree, ()))


def _from_environment(setting: Setting) -> Setting:
    """Return the data directory that systemd names, where the file names none."""
    if setting.key == ("store", "path") and not setting.value and os.environ.get("STATE_DIRECTORY"):
        return Setting(setting.key, str(config.default_data()), "environment, STATE_DIRECTORY")
    return setting


# -- the file ----------------------------------------------------------------------------------------------------------------


def _read(path: Path) -> bytes:
    try:
        return read_small(path, LONGEST)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None


def _value(text: str, kind: Any) -> Any:
    """Return the value that a text means to a key of a type; the text itself where it means none, for the check to refuse."""
    if kind is str:
        return text
    listed = get_origin(kind) is tuple
    if listed and not text.lstrip().startswith("["):
        return [word for piece in text.split(",") if (word := piece.strip())]
    try:
        return tomli.loads(f"value = {text}")["value"] if "\n" not in text else text
    except tomli.TOMLDecodeError:
        return text


def _put(tree: dict[str, Any], key: Key, value: Any) -> bool:
    """Set a key in what a file says; False where something else than a table is in its way."""
    for part in key[:-1]:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            return False
        tree = inner
    tree[key[-1]] = value
    return True


def _edited(document: tomlkit.TOMLDocument, key: Key, value: Any, wanted: dict[str, Any]) -> bytes | None:
    """Return the text of a file with a key set; None where that does not give what is wanted."""
    try:
        table: Any = document
        for depth, part in enumerate(key[:-1]):
            if part not in table:
                # `[exporters."192.0.2.1"]` needs no `[exporters]` above it.
                table[part] = tomlkit.table(is_super_table=depth < len(key) - 2)
            table = table[part]
        table[key[-1]] = value
        octets = tomlkit.dumps(document).encode()
        return octets if tomli.loads(octets.decode()) == wanted else None
    except (TOMLKitError, tomli.TOMLDecodeError, TypeError, KeyError, AttributeError, ValueError):
        return None
