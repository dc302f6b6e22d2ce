"""Themes: one TOML file each, in the package (as installed) or else beside it in `themes/`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
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

    def mixed(self, colour: str, share: float) -> str:
        """Return a colour of which a share (0 to 1) is left over the ground."""
        return _mixed(colour, self.ground, share)

    def heat(self, level: float) -> Style:
        """Return the style of a cell of a heat map: 0 is the ground, 1 the accent."""
        ground = _mixed(str(self.accent.color.name if self.accent.color else self.other), self.ground, min(max(level, 0.0), 1.0))
        return Style(color=self.on(ground), bgcolor=ground)

    def on(self, ground: str) -> str:
        """Return the colour of text that can be read on a ground."""
        dark, light = sorted((self.ground, str(self.text.color.name if self.text.color else "#ffffff")), key=_lightness)
        return dark if _lightness(ground) > 0.5 else light

    def filled(self, ground: str, bold: bool = False) -> Style:
        """Return the style of text on a ground of any colour."""
        return Style(color=self.on(ground), bgcolor=ground, bold=bold)


@lru_cache(maxsize=512)
def _mixed(colour: str, ground: str, share: float) -> str:
    pairs = [(int(colour[n : n + 2], 16), int(ground[n : n + 2], 16)) for n in (1, 3, 5)]
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


def _lightness(colour: str) -> float:
    """Return the luma of a colour, 0 to 1 (ITU-R BT.601)."""
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


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
