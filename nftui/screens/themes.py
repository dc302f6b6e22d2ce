"""Themes: one TOML file each, in the package (as installed) else in `themes/`; the user's beside the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import tomli
from rich.style import Style
from textual.theme import Theme

from nftui.errors import ConfigError
from nftui.screens.depth import Depth

COLOURS = (
    "background", "surface", "panel", "foreground", "primary", "secondary", "accent", "success", "warning", "error",
)  # fmt: skip
OWN = ("dim", "rule", "cursor", "other")
TERMINAL = "terminal"
"""The theme that stands in where there are no more than sixteen colours."""
READABLE = 4.5
"""Contrast from which on text can be read (WCAG 2.2, 1.4.3)."""
FEWEST, MOST = 4, 32
"""Series colours of a theme."""
_ANSI = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
NAMES = frozenset(f"ansi_{bright}{name}" for name in _ANSI for bright in ("", "bright_")) | {"ansi_default"}
"""Colours of the terminal's own palette, as themes name them."""


@dataclass(frozen=True)
class Themes:
    """The themes there are.

    Attributes:
        known: By name, in the order of their names.
        problems: A line for each file that is no theme.
    """

    known: dict[str, Theme]
    problems: dict[str, str]

    def chosen(self, name: str, depth: Depth) -> str:
        """Return the theme that is used where one is wanted: the terminal's own where there are too few colours for it.

        Raises:
            ConfigError: There is no such theme, or its file is none.
        """
        if name in self.problems:
            raise ConfigError(self.problems[name])
        if name not in self.known:
            raise ConfigError(f"display.theme is {name!r}; there are: {', '.join(self.known)}")
        return name if name in self.fitting(depth) else TERMINAL

    def fitting(self, depth: Depth) -> list[str]:
        """Return the names of the themes that a terminal of a depth can show."""
        return [name for name, theme in self.known.items() if theme.ansi or depth > Depth.SIXTEEN]


def directory() -> Path:
    """Return where the themes are: `nftui/themes` when installed, else `themes` at the root of the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "themes"
    return installed if installed.is_dir() else package.parent / "themes"


def find(own: Path | None = None) -> Themes:
    """Read all themes; one of the user's goes before one of the same name.

    Args:
        own: The directory of the user's, which may be absent.
    """
    known: dict[str, Theme] = {}
    problems: dict[str, str] = {}
    for folder in (directory(), own):
        for path in sorted(folder.glob("*.toml")) if folder is not None else ():
            try:
                known[path.stem] = read(path)
            except ConfigError as error:
                problems[path.stem] = str(error)
                known.pop(path.stem, None)
    return Themes(dict(sorted(known.items())), problems)


def load(name: str) -> Theme:
    """Read one of the themes that come with the program.

    Raises:
        ConfigError: There is none of this name.
    """
    return read(directory() / f"{name}.toml")


def read(path: Path) -> Theme:
    """Read a theme from its file; its series colours become the theme variables `series-0`, `series-1` and so on.

    Raises:
        ConfigError: The file is no theme: which key is missing or wrong.
    """
    try:
        tree: dict[str, Any] = tomli.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomli.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    _check(tree, path)
    series = tree["series"]
    variables = {key: str(tree[key]) for key in OWN} | {f"series-{n}": str(c) for n, c in enumerate(series)}
    ansi = tree["background"].startswith("ansi_")
    variables |= {
        "series-count": str(len(series)),
        "input-selection-background": tree["cursor"] if ansi else f"{tree['primary']} 35%",
        "input-cursor-background": tree["foreground"],
        "block-cursor-background": "ansi_default" if ansi else tree["cursor"],
        "block-cursor-foreground": tree["foreground"],
        # Where colours are few, or none, what is chosen is the other way round.
        "block-cursor-text-style": "reverse" if ansi else "none",
        "scrollbar-background": tree["panel"], "scrollbar": tree["other"],
    }  # fmt: skip
    if ansi:
        variables |= {"ansi-background": tree["background"], "ansi-foreground": tree["foreground"]}
    colours: dict[str, Any] = {key: tree[key] for key in COLOURS}
    return Theme(name=path.stem, dark=bool(tree["dark"]), ansi=ansi, variables=variables, **colours)


def _check(tree: dict[str, Any], path: Path) -> None:
    for key in (*COLOURS, *OWN, "series", "dark"):
        if key not in tree:
            raise ConfigError(f"{path}: {key} is missing")
    if not isinstance(tree["dark"], bool):
        raise ConfigError(f"{path}: dark is {tree['dark']!r}; it takes true or false")
    series = tree["series"]
    if not isinstance(series, list) or not FEWEST <= len(series) <= MOST:
        raise ConfigError(f"{path}: series takes a list of {FEWEST} to {MOST} colours")
    ansi = str(tree["background"]).startswith("ansi_")
    form = "a colour of the terminal, such as ansi_blue" if ansi else "#rrggbb"
    colours = [(key, tree[key]) for key in (*COLOURS, *OWN)] + [(f"series[{n}]", colour) for n, colour in enumerate(series)]
    for key, value in colours:
        good = isinstance(value, str) and (value in NAMES if ansi else re.fullmatch("#[0-9a-fA-F]{6}", value))
        if not good:
            raise ConfigError(f"{path}: {key} is {value!r}; it takes {form}" + ("" if ansi else ", as background does"))


@dataclass(frozen=True)
class Ink:
    """The styles with which widgets paint, from the variables of the theme in use.

    Colours are what Rich takes: `#rrggbb`, or a name of the terminal's palette where no more than sixteen can be shown. Whatever
    the terminal shows, each method returns something that can be told from what it returns for something else, as far as that goes;
    where `letters` is true, it does not go far.

    Attributes:
        ground: What is behind everything. Likewise `cursor_ground`, behind the row of the cursor.
        series: Colours of the groups, by rank.
        other: That of all that aren't shown.
        depth: What the terminal shows.
    """

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
    depth: Depth = Depth.ALL

    @property
    def few(self) -> bool:
        """Whether colours are those of the terminal's palette, or none."""
        return not self.ground.startswith("#")

    @property
    def letters(self) -> bool:
        """Whether series want letters: colours alone don't tell them apart."""
        return self.few

    def over(self, name: str) -> Style:
        """Return a style by its name without its ground: for text on a ground of another colour, as that of a window."""
        style: Style = getattr(self, name)
        return style if style.bgcolor is None else Style(color=style.color, bold=style.bold, dim=style.dim)

    def layer(self, index: int, count: int) -> str:
        """Return the colour of the group at a rank; the one after the last of `count` is `other`."""
        return self.other if index >= count else self.series[index % len(self.series)]

    def mixed(self, colour: str, share: float) -> str:
        """Return a colour of which a share (0 to 1) is left over the ground; of sixteen, the nearest there is."""
        if not self.few:
            return _mixed(colour, self.ground, share)
        return self.ground if share < 0.25 else colour.removeprefix("bright_") if share < 0.75 else colour

    def heat(self, level: float) -> Style:
        """Return the style of a cell of a heat map: 0 is the ground, 1 the accent."""
        level = min(max(level, 0.0), 1.0)
        if self.depth is Depth.NONE:
            return _BARE_HEAT[min(int(level * len(_BARE_HEAT)), len(_BARE_HEAT) - 1)]
        if self.few:
            ground = (self.ground, *_HEAT)[min(int(level * (len(_HEAT) + 1)), len(_HEAT))]
        else:
            ground = _mixed(_name(self.accent, self.other), self.ground, level)
        return Style(color=self.on(ground), bgcolor=ground)

    def on(self, ground: str) -> str:
        """Return the colour of text that can be read on a ground."""
        if self.few:
            return "default" if ground == "default" else "bright_white" if ground in _DEEP else "black"
        return _readable(ground, (self.ground, _name(self.text, "#ffffff")))

    def filled(self, ground: str, bold: bool = False) -> Style:
        """Return the style of text on a ground of any colour."""
        if self.depth is Depth.NONE:
            return Style(reverse=True, bold=bold)
        return Style(color=self.on(ground), bgcolor=ground, bold=bold)

    def coloured(self, colour: str, here: bool = False) -> Style:
        """Return the style of text in a colour of a series, in the row of the cursor or in another one."""
        if self.few and here:
            # What is reversed would be the colour's ground, and a row with holes.
            return self.cursor
        if colour in ("warn", "dim", "good", "error"):
            named: Style = getattr(self, colour)
            return named + Style(bgcolor=self.cursor_ground) if here else named
        return Style(color=colour, bgcolor=self.cursor_ground if here else self.ground)


_HEAT = ("blue", "magenta", "red", "yellow")
_BARE_HEAT = (Style(), Style(), Style(bold=True), Style(underline=True), Style(bold=True, underline=True), Style(reverse=True))
_DEEP = frozenset({"black", "red", "blue", "magenta", "bright_black"})
"""Colours on which most palettes have white stand out."""


def _name(style: Style, otherwise: str) -> str:
    return style.color.name if style.color else otherwise


@lru_cache(maxsize=512)
def _mixed(colour: str, ground: str, share: float) -> str:
    pairs = [(int(colour[n : n + 2], 16), int(ground[n : n + 2], 16)) for n in (1, 3, 5)]
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


@lru_cache(maxsize=512)
def _readable(ground: str, choices: tuple[str, ...]) -> str:
    """Return the colour of text on a ground: of some the one that stands out most, else black or white: one of them does."""
    best = max(choices, key=lambda colour: _contrast(colour, ground))
    return best if _contrast(best, ground) >= READABLE else max("#000000", "#ffffff", key=lambda colour: _contrast(colour, ground))


def _contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2)."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    values = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values)
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


_INKS: dict[tuple[object, ...], Ink] = {}


def ink(variables: dict[str, str], depth: Depth = Depth.ALL) -> Ink:
    """Return the styles for the variables of a theme (`App.theme_variables`) on a terminal of a depth."""
    series = tuple(variables[f"series-{n}"] for n in range(int(variables.get("series-count", "0"))))
    key = (depth, *(variables[name] for name in ("background", "foreground", "panel", "cursor", "dim")), *series)
    if key not in _INKS:
        few = depth <= Depth.SIXTEEN or variables["background"].startswith("ansi_")
        _INKS[key] = _bare(series) if depth is Depth.NONE else (_few if few else _full)(variables, series, depth)
    return _INKS[key]


def _full(variables: dict[str, str], series: tuple[str, ...], depth: Depth) -> Ink:
    ground = variables["background"]

    def on(name: str, behind: str = ground, bold: bool = False) -> Style:
        return Style(color=variables[name], bgcolor=behind, bold=bold)

    return Ink(
        text=on("foreground"), dim=on("dim"), rule=on("rule"), title=on("primary", bold=True),
        strong=on("foreground", bold=True), accent=on("accent"), good=on("success"), warn=on("warning", bold=True),
        error=on("error", bold=True), panel=on("foreground", variables["panel"]),
        cursor=on("foreground", variables["cursor"]), ground=ground, cursor_ground=variables["cursor"],
        series=series or (variables["primary"],), other=variables["other"], depth=depth,
    )  # fmt: skip


def _few(variables: dict[str, str], series: tuple[str, ...], depth: Depth) -> Ink:
    """Return the styles of the terminal's own palette. What is less important is dim: a colour for it may be that of the ground."""

    def named(name: str) -> str:
        return variables[name].removeprefix("ansi_")

    def on(name: str, bold: bool = False) -> Style:
        return Style(color=named(name), bgcolor="default", bold=bold)

    plain = Style(color="default", bgcolor="default")
    return Ink(
        text=plain, dim=plain + Style(dim=True), rule=plain + Style(dim=True), title=on("primary", True),
        strong=plain + Style(bold=True), accent=on("accent", True), good=on("success"), warn=on("warning", True),
        error=on("error", True), panel=plain, cursor=Style(reverse=True), ground="default", cursor_ground=named("cursor"),
        series=tuple(colour.removeprefix("ansi_") for colour in series) or (named("primary"),), other=named("other"), depth=depth,
    )  # fmt: skip


def _bare(series: tuple[str, ...]) -> Ink:
    """Return the styles without any colour."""
    plain, bold = Style(), Style(bold=True)
    return Ink(
        text=plain, dim=plain, rule=plain, title=bold, strong=bold, accent=Style(underline=True), good=plain, warn=bold,
        error=Style(bold=True, reverse=True), panel=plain, cursor=Style(reverse=True), ground="default", cursor_ground="default",
        series=("default",) * max(len(series), 1), other="default", depth=Depth.NONE,
    )  # fmt: skip
