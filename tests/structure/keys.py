"""The page of the manual on keys, made of the bindings: `python -m tests.structure.keys > docs/keys.md`."""

from __future__ import annotations

import importlib
import inspect

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import format_key

from tests.structure.source import modules

INTRODUCTION = """\
# Keys

`?` shows the keys of the screen in use, `:` finds a command by its name. Each key has an id, by which the
[configuration](configuration.md) gives it another: `"view.pause" = "p"` under `[display.keys]`.

This page is made from the program (`make docs`).
"""
TITLES = {
    "app": "Everywhere",
    "view": "Every screen",
    "live": "Live",
    "flows": "Flows",
    "summary": "Summary",
    "map": "Map",
    "filters": "Filters",
    "sources": "Sources",
    "settings": "Settings",
    "table": "Tables",
    "picture": "Pictures",
    "sheet": "Details that are longer than their place",
    "prompt": "Lines to type in",
    "pick": "Lists to choose from",
    "page": "Pages to read",
    "export": "Writing a file",
    "palette": "The palette",
}


def bindings() -> list[Binding]:
    """Return every binding of the program, in the order of its modules."""
    found: dict[str, Binding] = {}
    for name in modules():
        if name == "nftui.app" or name.startswith("nftui.screens"):
            module = importlib.import_module(name)
            for _, owner in inspect.getmembers(module, inspect.isclass):
                if owner.__module__ == name and issubclass(owner, DOMNode):
                    own = (one for one in owner.__dict__.get("BINDINGS", ()) if isinstance(one, Binding))
                    found |= {one.id or one.key: one for one in own}
    return list(found.values())


def page() -> str:
    """Return the page."""
    groups: dict[str, list[Binding]] = {prefix: [] for prefix in TITLES}
    for binding in bindings():
        groups.setdefault((binding.id or "").partition(".")[0], []).append(binding)
    parts = [INTRODUCTION]
    for prefix, listed in groups.items():
        if listed:
            rows = [f"| {_keys(one)} | {_cell(one.tooltip or one.description)} | `{one.id}` |" for one in listed]
            parts.append(
                "\n".join([f"## {TITLES.get(prefix, prefix.capitalize())}", "", "| key | does | id |", "|---|---|---|", *rows, ""])
            )
    return "\n".join(parts)


def _keys(binding: Binding) -> str:
    return ", ".join(f"`{_cell(_name(key.strip()))}`" for key in binding.key.split(","))


def _name(key: str) -> str:
    return "space" if key == "space" else format_key(key).replace("^", "ctrl+")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
