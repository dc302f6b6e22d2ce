"""The axes of a chart: plotext's frame, a scale that stays while it serves, and round local times."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rich.text import Text

from nftui.screens.view import WIDTHS, time_text, zone_offset

STEPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@lru_cache(maxsize=8)
def plotext_frame(
    width: int,
    height: int,
    limits: tuple[float, float],
    values: tuple[float, ...],
    labels: tuple[str, ...],
    places: tuple[int, ...],
    times: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the lines of an empty plot: axes, ticks and labels. Its figure is its own; plotext's global one is not touched."""
    import plotext

    terminal: Any = type(plotext.terminal)()
    terminal.limit(False, False)
    figure: Any = type(plotext.figure)(terminal)
    figure.plot_size(width, height)
    figure.canvas("default")
    figure.axes(False, axis=0, side=1)
    figure.axes(False, axis=1, side=1)
    figure.legend(False)
    rows = height - 2
    low, high = limits
    half = (high - low) / rows / 2
    bottom, top = low + half, high - half
    figure.ruler(1, 0).lim(bottom, top).ticks([min(max(value, bottom), top) for value in values], list(labels))
    columns = width - max(map(len, labels)) - 1
    figure.ruler(0, 0).lim(0, columns - 1).ticks(list(places), list(times))
    lines = Text.from_ansi(figure.build().string()).plain.split("\n")
    return tuple(line.ljust(width)[:width] for line in lines[:height])


def gutter(frame: tuple[str, ...]) -> int:
    """Return how many cells of each line of an empty plot stand before what is plotted."""
    return max((line.find(mark) for line in frame[:1] for mark in "┤│"), default=-1) + 1


def scale_top(greatest: float, before: float) -> float:
    """Return the top of the scale: the one before while it still serves, so that the picture doesn't jump."""
    if greatest <= 0:
        return before or 1.0
    if greatest <= before <= 2 * greatest:
        return before
    power = 10.0 ** len(str(int(greatest))) / 10 if greatest >= 1 else 1.0
    return next(step * power for step in (*STEPS, 20.0) if step * power >= greatest)


def ticks(top: float, rows: int, label: Callable[[float], str]) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Return the values of the scale and their labels, some four rows apart."""
    parts = next((n for n in (5, 4, 2, 1) if rows >= 3 * n), 1)
    values = tuple(top * n / parts for n in range(parts + 1))
    labels = [label(value) for value in values]
    widest = max(5, *map(len, labels))
    return values, tuple(text.rjust(widest) for text in labels)


def time_ticks(start: int, end: int, columns: int, form: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return columns and labels of the time axis: round local times, far enough apart."""
    wide = len(time_text(start, form))
    most = max(columns // (wide + 4), 1)
    step = next((width for width in WIDTHS if (end - start) / width <= most), WIDTHS[-1])
    offset = zone_offset(start)
    first = -(-(start + offset) // step) * step - offset
    places, times = [], []
    for moment in range(first, end, step):
        column = int((moment - start) / (end - start) * columns)
        if wide // 2 <= column <= columns - wide // 2 - 1:
            places.append(column)
            times.append(time_text(moment, form))
    return tuple(places), tuple(times)
