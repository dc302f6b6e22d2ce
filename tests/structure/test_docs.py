"""What README and manual say is so: their commands are understood, their filters parse, their configuration is the default."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import msgspec
import pytest

from nftui import cli, config
from nftui.engine.filters import parse
from tests.structure import keys
from tests.structure.source import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TEXTS = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in PAGES}


def _blocks(language: str) -> list[tuple[str, str]]:
    """Return (page, block) of each fenced block of a language."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [(name, block) for name, text in TEXTS.items() for block in fence.findall(text)]


def _lines(language: str) -> list[str]:
    return [line for _, block in _blocks(language) for line in block.splitlines() if line.strip()]


COMMANDS = [line.removeprefix("$ nftui").strip() for line in _lines("console") if re.match(r"\$ nftui\b", line)]
TARGETS = [line.removeprefix("$ make ").split()[0] for line in _lines("console") if line.startswith("$ make ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_understood(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in cli.COMMANDS:
        monkeypatch.setitem(cli.COMMANDS, name, lambda options: 0)
    assert cli.main(shlex.split(command, comments=True)) == 0, capsys.readouterr().err


@pytest.mark.parametrize("target", TARGETS)
def test_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("text", _lines("filter"))
def test_filter_parses(text: str) -> None:
    parse(text)  # raises where the manual is wrong


@pytest.mark.parametrize("block", [block for _, block in _blocks("toml")])
def test_configuration_is_the_default(block: str) -> None:
    assert config.parse(block.encode(), "docs") == config.Config()


def test_every_setting_is_in_the_manual() -> None:
    told = "\n".join(block for _, block in _blocks("toml"))
    sections = {field.name: getattr(config.Config(), field.name) for field in msgspec.structs.fields(config.Config)}
    assert [name for name in sections if not re.search(rf"^(# )?\[{name}\b", told, re.MULTILINE)] == []
    names = [
        (section, field.name)
        for section, one in sections.items()
        if isinstance(one, msgspec.Struct)
        for field in msgspec.structs.fields(one)
    ]
    missing = [
        (section, name) for section, name in names if not re.search(rf"^({name} = |\[{section}\.{name}\])", told, re.MULTILINE)
    ]
    assert len(names) > 30 and missing == []


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.name)
def test_pictures_are_shown_and_load_nothing(picture: Path) -> None:
    assert any(f"images/{picture.name})" in text for text in TEXTS.values())
    assert re.findall(r"(?:href|src|url)[=(][\"']?(?!#)|@import|<script", picture.read_text("utf-8")) == []


@pytest.mark.parametrize(("name", "text"), TEXTS.items(), ids=TEXTS)
def test_links_lead_somewhere(name: str, text: str) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not (ROOT / Path(name).parent / link).exists()] == []


def test_keys_are_those_of_the_program() -> None:
    assert (ROOT / "docs" / "keys.md").read_text("utf-8") == keys.page(), "make docs"


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) >= 8 and len(_lines("filter")) > 20 and TARGETS
