"""How many colours a terminal shows, told from the settings and the environment. Nothing is asked of the terminal itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from rich.color import ColorSystem


class Depth(IntEnum):
    """Colours of a terminal, in bits."""

    NONE = 0
    SIXTEEN = 4
    MANY = 8
    ALL = 24

    @property
    def label(self) -> str:
        """As the configuration names it."""
        return {0: "none", 4: "16", 8: "256", 24: "truecolor"}[self]

    @property
    def system(self) -> ColorSystem:
        """What Rich calls it; for no colours the smallest it knows."""
        return {8: ColorSystem.EIGHT_BIT, 24: ColorSystem.TRUECOLOR}.get(int(self), ColorSystem.STANDARD)


BY_LABEL = {depth.label: depth for depth in Depth}
_ALL = ("kitty", "alacritty", "foot", "wezterm", "ghostty", "contour", "rio", "iterm")
"""Terminals that show all colours, by what their names contain: `COLORTERM` is lost on the way through ssh."""
_MONOCHROME = ("dumb", "unknown", "vt52", "vt100", "vt102", "vt200", "vt220", "vt300", "vt320", "vt420", "wy50", "wy60", "ansi-m")


def depth(setting: str, environ: Mapping[str, str]) -> Depth:
    """Return the colours to use.

    Args:
        setting: `display.colours`; anything but `auto` holds.
        environ: The environment.
    """
    if setting in BY_LABEL:
        return BY_LABEL[setting]
    # https://no-color.org: present and not empty.
    if environ.get("NO_COLOR"):
        return Depth.NONE
    term = environ.get("TERM", "dumb").lower()
    base = term.split("-")[0]
    if term in _MONOCHROME or base in _MONOCHROME or term.endswith(("-m", "-mono")):
        return Depth.NONE
    if base == "linux":
        # The kernel's console takes 38;2 and shows the nearest of sixteen, which is worse than choosing among them.
        return Depth.SIXTEEN
    if environ.get("STY") and base == "screen":
        # GNU screen hands COLORTERM of the terminal around it on, and understands 256 colours at most.
        return Depth.MANY if "256" in term else Depth.SIXTEEN
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or term.endswith("-direct"):
        return Depth.ALL
    if any(name in term for name in _ALL):
        return Depth.ALL
    # tmux makes of 256 colours what the terminal around it has.
    return Depth.MANY if "256" in term or environ.get("TMUX") else Depth.SIXTEEN
