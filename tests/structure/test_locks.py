"""The locks: versions and hashes, nothing of where they came from; and they fit what `pyproject.toml` asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomli
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.structure.source import ROOT

RUNTIME, DEVELOPMENT = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
LINE = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9a-z.]+)( ; [a-z_\"'<>=. ]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?|    # +[\w .()-]+"
)


def _pins(path: Path) -> dict[str, str]:
    matches = (LINE.fullmatch(line) for line in path.read_text("ascii").splitlines())
    return {match["name"]: match["version"] for match in matches if match and match["name"]}


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project


@pytest.mark.parametrize("path", [RUNTIME, DEVELOPMENT], ids=lambda path: path.name)
def test_lines_are_pins_hashes_and_reasons(path: Path) -> None:
    assert [line for line in path.read_text("ascii").splitlines() if not LINE.fullmatch(line)] == []


def test_development_has_the_runtime_pins() -> None:
    runtime, development = _pins(RUNTIME), _pins(DEVELOPMENT)
    assert runtime.items() <= development.items()


@pytest.mark.parametrize("path", [RUNTIME, DEVELOPMENT], ids=lambda path: path.name)
def test_pins_fit_the_project(path: Path) -> None:
    project, pins = _project(), _pins(path)
    asked = project["dependencies"] + (project["optional-dependencies"]["dev"] if path == DEVELOPMENT else [])
    requirements = [Requirement(text) for text in asked]
    assert [str(one) for one in requirements if not one.specifier.contains(pins.get(canonicalize_name(one.name), "0"))] == []
