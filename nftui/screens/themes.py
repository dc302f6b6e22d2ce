"""Themes: one TOML file each, in the package (as installed) or else beside it in `themes/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli
from rich.style import Style
from textual.theme import Theme

from nftui.errors import ConfigError

COLOURS = (
    "background", "surface", "panel", "foreground", "primary", "secondary", "accent", "success", "warning", "error",
)  # fmt: skip
OWN = ("dim", "rule", "cursor", "other")


def directory() -> Path:
    """Return where the themes are: `nftui/themes` when installed, else `themes` at the root of the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "themes"
    return installed if installed.is_dir() else package.parent / "themes"


def names() -> list[str]:
    """Return the names of all themes."""
    return sorted(path.stem for path in directory().glob("*.toml"))


def load(name: str) -> Theme:
    """Read one theme; its series colours become the theme variables `series-0`, `series-1` and so on.

    Raises:
        ConfigError: There is no such theme, or it lacks a colour.
    """
    if name not in names():
        raise ConfigError(f"display.theme is {name!r}; there are: {', '.join(names())}")
    path = directory() / f"{name}.toml"
    try:
        tree: dict[str, Any] = tomli.loads(path.read_text("utf-8"))
        series = list(tree["series"])
        variables = {key: str(tree[key]) for key in OWN} | {f"series-{n}": str(c) for n, c in enumerate(series)}
        variables |= {
            "series-count": str(len(series)),
            "input-selection-background": f"{tree['primary']} 35%",
            "input-cursor-background": str(tree["foreground"]),
            "block-cursor-background": str(tree["cursor"]),
            "block-cursor-foreground": str(tree["foreground"]),
            "block-cursor-text-style": "none",
        }
        colours: dict[str, Any] = {key: str(tree[key]) for key in COLOURS}
        return Theme(name=name, dark=bool(tree["dark"]), variables=variables, **colours)
    except (OSError, tomli.TOMLDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: theme without or with a wrong {error}") from error


@dataclass(frozen=True)
class Ink:
    """The styles with which widgets paint, from the variables of the theme in use."""

    text: Style
    dim: Style
    rule: Style
    title: Style
    strong: Style
    accent: Style
    good: Style
    warn: Style
    error: Style
    panel: Style
    cursor: Style
    ground: str
    cursor_ground: str
    series: tuple[str, ...]
    other: str

    def layer(self, index: int, count: int) -> str:
        """Return the colour of the group at a rank; the one after the last of `count` is `other`."""
        return self.other if index >= count else self.series[index % len(self.series)]


_INKS: dict[tuple[str, ...], Ink] = {}


def ink(variables: dict[str, str]) -> Ink:
    """Return the styles for the variables of a theme (`App.theme_variables`)."""
    series = tuple(variables[f"series-{n}"] for n in range(int(variables.get("series-count", "0"))))
    key = (variables["background"], variables["foreground"], variables["panel"], *series)
    if key not in _INKS:
        ground = variables["background"]

        def on(name: str, behind: str = ground, bold: bool = False) -> Style:
            return Style(color=variables[name], bgcolor=behind, bold=bold)

        _INKS[key] = Ink(
            text=on("foreground"), dim=on("dim"), rule=on("rule"), title=on("primary", bold=True),
            strong=on("foreground", bold=True), accent=on("accent"), good=on("success"), warn=on("warning", bold=True),
            error=on("error", bold=True), panel=on("foreground", variables["panel"]),
            cursor=on("foreground", variables["cursor"]), ground=ground, cursor_ground=variables["cursor"],
            series=series or (variables["primary"],), other=variables["other"],
        )  # fmt: skip
    return _INKS[key]
