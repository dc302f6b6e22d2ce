"""How figures are printed: ours, the peer's, their ratio, and what the design set out to reach."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Form = Callable[[float], str]


def number(value: float) -> str:
    """Return a number with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def rate(value: float) -> str:
    """Return flows a second."""
    return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.0f} k/s"


def seconds(value: float) -> str:
    """Return a length of time."""
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.0f} ms" if value >= 0.01 else f"{value * 1e3:.1f} ms"


def octets(value: float) -> str:
    """Return an amount of memory."""
    return f"{value / 1e6:,.0f} MB"


@dataclass(frozen=True)
class Figure:
    """One line of a table.

    Attributes:
        what: What was measured.
        ours: nftui's figure; None where there is none.
        peer: The peer's; None where there is none.
        form: Makes text of either.
        goal: What the design set out to reach, in its words.
        remark: Anything else.
    """

    what: str
    ours: float | None
    peer: float | None = None
    form: Form = number
    goal: str = ""
    remark: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the line."""
        ratio = f"{self.ours / self.peer:.2f}" if self.ours is not None and self.peer else ""
        shown = ["" if value is None else self.form(value) for value in (self.ours, self.peer)]
        return (self.what, *shown, ratio, self.goal, self.remark)


def show(title: str, figures: Sequence[Figure], peer: str = "") -> None:
    """Print a table; `peer` is the heading of the peer's column, empty where there is none."""
    head = (title, "nftui", peer, "ratio", "to reach", "")
    lines = [head, *(figure.cells() for figure in figures)]
    shown = [place for place in range(len(head)) if place < 2 or any(line[place] for line in lines[1:])]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    print()
    for line in lines:
        text = [line[place].rjust(widths[place]) if 0 < place < 4 else line[place].ljust(widths[place]) for place in shown]
        print("  ".join(text).rstrip())
    print(flush=True)


def machine() -> None:
    """Say what the figures were measured on."""
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{len(os.sched_getaffinity(0))} CPUs, {platform.machine()}, Linux {platform.release()}, load before {load}", flush=True)
