"""A capture of a flow's packets in words: where it goes, how far it is, how it ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nftui.printable import printable
from nftui.screens.widgets.painted import Part
from nftui.units import octets, scaled

if TYPE_CHECKING:
    from nftui.engine.packet_capture import PacketCapture

SIGN = "REC"
LONGEST = 60
"""Cells of a path."""


def begun(interface: str, words: str, moment: str) -> PacketCapture:
    """Begin to write the packets that a filter takes to the directory in which the program was started."""
    from nftui.engine.packet_capture import PacketCapture

    return PacketCapture(interface, words, Path.cwd() / f"nftui-packets-{moment}")


def interfaces() -> list[tuple[str, str]]:
    """Return names and labels of the interfaces of this host."""
    from nftui.engine.local_interfaces import offered

    return [(one.name, f"{one.name:<16}{'' if one.up else 'down  '}{' '.join(one.addresses[:2])}") for one in offered()]


def label(capture: PacketCapture | None) -> list[Part]:
    """Return what the first line says."""
    return [Part(f"{SIGN} {scaled(capture.packets)}  ", "error")] if capture is not None and capture.running else []


def line(capture: PacketCapture | None, iec: bool = False) -> tuple[list[Part], list[Part]]:
    """Return what is written, and how much so far, for the left and the right of a line."""
    if capture is None:
        return [], []
    left = [Part(f" {SIGN} ", "error"), Part(f"{printable(capture.interface, 15)} ", "strong")]
    left += [Part(capture.problem, "error") if capture.problem else Part(capture.filter)]
    right = [
        Part(f"  {capture.packets:,} packets  "),
        Part(f"{octets(capture.octets, iec)}  "),
    ]
    if capture.dropped:
        right.append(Part(f"dropped {capture.dropped:,}  ", "warn"))
    return left, [*right, Part("w stops ", "dim")]


def ended(capture: PacketCapture) -> str:
    """Return how a capture ended, in a sentence."""
    if capture.problem and not capture.packets:
        return capture.problem
    if not capture.packets:
        return "no packet came: no file is left"
    names = " and ".join(_short(path) for path in capture.files)
    dropped = f", {capture.dropped:,} dropped" if capture.dropped else ""
    problem = f"; {capture.problem}" if capture.problem else ""
    return f"{capture.packets:,} packets{dropped} in {names}{problem}"


def _short(path: Path) -> str:
    name = str(path)
    home = str(Path.home())
    return printable(f"~{name[len(home) :]}" if name.startswith(f"{home}/") else name, LONGEST)
