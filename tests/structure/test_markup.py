"""Nothing on a screen reads text as markup: a flow's user name may be `[@click=app.quit]`, a filter `port in [80 443]`."""

from __future__ import annotations

import ast
import inspect

import pytest
import textual.widgets

from tests.structure.source import modules, tree


def _reads_markup(name: str) -> bool:
    parameter = inspect.signature(getattr(textual.widgets, name).__init__).parameters.get("markup")
    return parameter is not None and parameter.default is True


MARKUP_WIDGETS = {name for name in textual.widgets.__all__ if _reads_markup(name)}
TITLES = {"border_title", "border_subtitle"}
"""Attributes that Textual reads as markup when they are given plain text."""
SCREENS = {name: path for name, path in modules().items() if name.startswith("nftui.screens") or name == "nftui.app"}


def test_textual_still_has_widgets_that_read_markup() -> None:
    assert {"Static", "Label", "OptionList"} <= MARKUP_WIDGETS


@pytest.mark.parametrize("module", SCREENS)
def test_no_markup(module: str) -> None:
    assert list(_found(tree(SCREENS[module]))) == []


@pytest.mark.parametrize(
    "code",
    [
        "self.notify(str(error))",
        "self.app.notify(text, markup=True)",
        "Static(text)",
        "widgets.Label(text, id='a')",
        "Text.from_markup(text)",
        "self.border_title = name",
        "class Own(Static):\n    pass",
        "class Own(Static):\n    def __init__(self):\n        super().__init__('')",
    ],
)
def test_finds(code: str) -> None:
    assert len(list(_found(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "self.notify(str(error), markup=False)",
        "Static(text, markup=False)",
        "self.border_title = Text(name)",
        "class Own(Static):\n    def __init__(self):\n        super().__init__('', markup=False)",
        "Own(text)",
    ],
)
def test_lets_pass(code: str) -> None:
    assert list(_found(ast.parse(code))) == []


def _found(module: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            name = _last(node.func)
            if (name == "notify" or name in MARKUP_WIDGETS) and not _switched_off(node):
                found.append(f"line {node.lineno}: {name}() without markup=False")
            if name == "from_markup":
                found.append(f"line {node.lineno}: from_markup()")
        elif isinstance(node, ast.ClassDef) and any(_last(base) in MARKUP_WIDGETS for base in node.bases):
            calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call) and _last(inner.func) == "__init__")
            if not any(_switched_off(call) for call in calls):
                found.append(f"line {node.lineno}: {node.name} doesn't switch the markup of its base off")
        elif isinstance(node, ast.Assign):
            titles = {target.attr for target in node.targets if isinstance(target, ast.Attribute)} & TITLES
            if titles and not isinstance(node.value, ast.Call):
                found.append(f"line {node.lineno}: {', '.join(titles)} is read as markup; give it a Text")
    return found


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _switched_off(call: ast.Call) -> bool:
    return any(
        word.arg == "markup" and isinstance(word.value, ast.Constant) and word.value.value is False for word in call.keywords
    )
