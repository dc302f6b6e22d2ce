"""How far colours are apart, for whom: contrast (WCAG 2), CIEDE2000, three kinds of colour blindness (Machado 2009)."""

from __future__ import annotations

from math import atan2, cos, degrees, exp, hypot, radians, sin, sqrt

from rich.color import Color, ColorSystem

Triple = tuple[float, float, float]

BLINDNESS: dict[str, tuple[Triple, Triple, Triple]] = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""Matrices over linear RGB: Machado, Oliveira, Fernandes, "A Physiologically-based Model for Simulation of Color Vision
Deficiency", 2009, table 1, severity 1.0."""


def in_256(colour: str) -> str:
    """Return a colour as a terminal of 256 colours shows it."""
    return Color.parse(colour).downgrade(ColorSystem.EIGHT_BIT).get_truecolor().hex


def linear(colour: str) -> Triple:
    """Return a colour `#rrggbb` as linear light, 0 to 1."""
    red, green, blue = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return _light(red), _light(green), _light(blue)


def _light(value: float) -> float:
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    lighter, darker = sorted((_luminance(linear(colour)) for colour in (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(light: Triple) -> float:
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


def lab(colour: str, blindness: str = "none") -> Triple:
    """Return a colour in CIELAB (D65) as it is seen."""
    light = linear(colour)
    seen = [min(max(sum(a * b for a, b in zip(row, light, strict=True)), 0.0), 1.0) for row in BLINDNESS[blindness]]
    matrix = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
    white = (0.95047, 1.0, 1.08883)
    x, y, z = (_root(sum(a * b for a, b in zip(row, seen, strict=True)) / w) for row, w in zip(matrix, white, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _root(value: float) -> float:
    return float(value ** (1 / 3) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116)


def distance(one: str, other: str, blindness: str = "none") -> float:
    """Return how far two colours are apart (CIEDE2000; 1 is just noticed side by side)."""
    return apart(lab(one, blindness), lab(other, blindness))


def apart(one: Triple, other: Triple) -> float:
    """Return the CIEDE2000 distance of two colours in CIELAB: Sharma, Wu, Dalal, "The CIEDE2000 Color-Difference Formula", 2005."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (hypot(a1, b1) + hypot(a2, b2)) / 2
    grey = 1.5 - 0.5 * sqrt(mean**7 / (mean**7 + 25**7))
    a1, a2 = a1 * grey, a2 * grey
    c1, c2 = hypot(a1, b1), hypot(a2, b2)
    h1, h2 = degrees(atan2(b1, a1)) % 360, degrees(atan2(b2, a2)) % 360
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = (h1 + h2) / 2 if c1 * c2 and abs(h1 - h2) <= 180 else h1 + h2 if c1 * c2 == 0 else ((h1 + h2 + 360) / 2) % 360
    t = 1 - 0.17 * cos(radians(hue - 30)) + 0.24 * cos(radians(2 * hue)) + 0.32 * cos(radians(3 * hue + 6))
    t -= 0.20 * cos(radians(4 * hue - 63))
    sl = 1 + 0.015 * (lightness - 50) ** 2 / sqrt(20 + (lightness - 50) ** 2)
    sc, sh = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    rotation = -2 * sqrt(chroma**7 / (chroma**7 + 25**7)) * sin(radians(60 * exp(-(((hue - 275) / 25) ** 2))))
    dl, dc, dh = (l2 - l1) / sl, (c2 - c1) / sc, 2 * sqrt(c1 * c2) * sin(radians(turn / 2)) / sh
    return sqrt(dl * dl + dc * dc + dh * dh + rotation * dc * dh)
