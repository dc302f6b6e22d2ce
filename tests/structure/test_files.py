"""What each file of the project keeps to: its size, and what it doesn't speak of."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.structure.source import PACKAGE, ROOT, own_files, tree

LONGEST_FILE = 500
LONGEST_FUNCTION = 60
LONGER: dict[str, str] = {}
"""`nftui/file.py` or `nftui/file.py:function` -> why it may be longer."""

# Put together here, so that this file doesn't find itself.
FORBIDDEN: dict[str, str] = {
    "a package registry": r"(test\.)?pypi" + r"\.(org|python\.org)|python" + r"hosted\.org",
    "a path of one machine": r"(?<![\w.~])/(wo" + r"rk|ro" + r"ot|ho" + r"me)/",
    "a tracker": r"(?i)\bissue " + r"#\d|issues " + r"resolved|\b(fixes|closes|resolves) " + r"#\d",
}
TEXT = {".py", ".toml", ".md", ".lock", ".txt", ".tcss", ".csv", ".svg", ".json", ".yml", ".yaml", ""}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_size(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    if name not in LONGER:
        assert len(path.read_text("utf-8").splitlines()) < LONGEST_FILE
    long = [
        f"{node.name}, line {node.lineno}: {length} lines"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and f"{name}:{node.name}" not in LONGER
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert long == []


@pytest.mark.parametrize("what", FORBIDDEN)
def test_speaks_of_itself_alone(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for path in own_files():
        if path.suffix in TEXT:
            for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
                if match := pattern.search(line):
                    found.append(f"{path.relative_to(ROOT)}:{number} {match[0]}")
    assert found == []


def test_exceptions_have_reasons_and_are_needed() -> None:
    assert all(LONGER.values())
    assert all((ROOT / name.partition(":")[0]).is_file() for name in LONGER)
