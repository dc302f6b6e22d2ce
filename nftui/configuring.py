"""The command `config`: what holds and where it comes from, one value, and setting one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from nftui import config
from nftui.engine import settings
from nftui.engine.settings import Setting
from nftui.printable import printable

HIDDEN = "********"


def show(path: Path | None, output: str) -> int:
    """Print every key, its value, and where that comes from; as text it is a configuration file itself."""
    found = settings.settings(_path(path))
    if path is not None and not path.exists():
        print(f"{printable(path, 1000)}: there is no such file: the defaults hold", file=sys.stderr)
    if output == "json":
        print(json.dumps({"path": str(_path(path)), "rows": [_row(one) for one in found]}))
        return 0
    lines = [f"{one.name} = {_toml(one)}" for one in found]
    width = min(max(map(len, lines)), 60)
    for line, one in zip(lines, found, strict=True):
        print(printable(f"{line:<{width}}  # {one.origin}", 2000))
    return 0


def get(path: Path | None, name: str, output: str) -> int:
    """Print the value of one key, or the keys of a section."""
    found = settings.chosen(_path(path), name)
    whole_section = len(found) > 1 or (found[0].key != settings.split(name) and settings.resolved(name) is None)
    if output == "json":
        values: Any = {one.name: one.value for one in found} if whole_section else found[0].value
        print(json.dumps(values))
    elif whole_section:
        for one in found:
            print(printable(f"{one.name} = {_toml(one)}", 2000))
    else:
        value = found[0].value
        print(printable(value if isinstance(value, str) else found[0].toml, 100_000))
    return 0


def set_value(path: Path | None, name: str, text: str) -> int:
    """Set one key in the file."""
    changed = settings.change(_path(path), name, text)
    print(printable(f"{changed.name} = {_toml(changed)}  # {changed.origin}", 2000))
    return 0


def show_path(path: Path | None, output: str) -> int:
    """Print which file is read; on stderr, whether it is there."""
    named = _path(path)
    chosen = "--config" if path is not None else "environment, NFTUI_CONFIG" if os.environ.get("NFTUI_CONFIG") else settings.DEFAULT
    if output == "json":
        print(json.dumps({"path": str(named), "origin": chosen, "exists": named.exists()}))
        return 0
    print(printable(named, 5000))
    if not named.exists():
        print("there is no such file: the defaults hold", file=sys.stderr)
    return 0


def _path(path: Path | None) -> Path:
    return path or config.default_path()


def _toml(one: Setting) -> str:
    return json.dumps(HIDDEN) if one.secret else one.toml


def _row(one: Setting) -> dict[str, Any]:
    return {"key": one.name, "value": HIDDEN if one.secret else one.value, "origin": one.origin}
