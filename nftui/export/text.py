"""Answers as text for people, in the shape that nfdump's users know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nftui.engine.names import protocol_name
from nftui.engine.query import Answer
from nftui.export.rows import rates
from nftui.printable import cell_width, printable
from nftui.units import IEC, moment, scaled

Row = dict[str, Any]
FLAG_LETTERS = "CEUAPRSF"


class Form:
    """How values are written.

    Attributes:
        plain: Digits only, no suffixes.
        base: 1000, or 1024 for octets.
        labels: What addresses are called, safe to show; it may grow as rows come.
        interfaces: What interfaces are called, safe to show.
        end: Cells for one end of a flow.
    """

    def __init__(
        self,
        *,
        plain: bool = False,
        iec: bool = False,
        labels: Mapping[str, str] | None = None,
        interfaces: Mapping[int, str] | None = None,
    ) -> None:
        self.plain, self.base = plain, 1024 if iec else 1000
        # The table of labels is still empty when the first line is written.
        self.end = 22 if labels is None else 46
        self.labels: Mapping[str, str] = {} if labels is None else labels
        self.interfaces: Mapping[int, str] = interfaces or {}

    def address(self, address: str, port: str = "") -> str:
        """Return an address, with its port behind it, and what it is called in brackets: whoever names it can't hide it."""
        shown = printable(address) + port
        return f"{shown} ({label})" if (label := self.labels.get(address)) else shown

    def titled(self, name: str) -> str:
        """Return the title of a column; where it is an address, with what that is called in brackets."""
        return f"{name} ({label})" if (label := self.labels.get(name)) else name

    def interface(self, index: object) -> str:
        """Return an interface's number, and what it is called in brackets."""
        name = self.interfaces.get(index) if isinstance(index, int) else None
        return f"{printable(index)} ({name})" if name else printable(index)

    def octets(self, count: int) -> str:
        """Return octets: `1.6 M`, with base 1024 `1.48 MiB`."""
        if not self.plain and self.base == 1024 and abs(count) >= 1024:
            step = min((abs(count).bit_length() - 1) // 10, len(IEC) - 1)
            return f"{count / 1024**step:.2f} {IEC[step]}B"
        return self.count(count)

    def count(self, count: int) -> str:
        """Return a number: `1.6 M`."""
        if self.plain or abs(count) < 1000:
            return str(count)
        text = scaled(count)
        return f"{text[:-1]} {text[-1]}" if text[-1].isalpha() else text


def summary_block(answer: Answer, form: Form, *, wall: float, cpu: float, processed: int, skipped: int) -> Iterator[str]:
    """Yield the summary, the time window and what it cost.

    Args:
        answer: Totals over all that was asked.
        form: For the numbers.
        wall: Seconds it took.
        cpu: CPU seconds it took.
        processed: Flows looked at.
        skipped: Files that couldn't be read.
    """
    total = answer.total
    first, last = answer.first, answer.last
    rate = rates(total.octets, total.packets, (last - first) if first is not None and last is not None else 0)
    yield (
        f"Summary: total flows: {form.count(total.flows)}, total bytes: {form.octets(total.octets)}, "
        f"total packets: {form.count(total.packets)}, avg bps: {form.count(rate['bps'])}, "
        f"avg pps: {form.count(rate['pps'])}, avg bpp: {form.count(rate['bpp'])}"
    )
    yield f"Time window: {clock(first)} - {clock(last)}" if first is not None and last is not None else "Time window: no flows"
    read = answer.coverage.octets_read
    yield f"Total flows processed: {processed}, Records skipped: {skipped}, Bytes read: {read}"
    yield (
        f"Sys: {cpu:.3f}s flows/second: {processed / max(cpu, 1e-6):.1f}   "
        f"Wall: {wall:.3f}s flows/second: {processed / max(wall, 1e-6):.1f}"
    )


def table(names: list[str], cells: list[list[str]], left: set[str]) -> Iterator[str]:
    """Yield a table, columns as wide as their widest cell; those in `left` begin at the left."""
    widths = [max([cell_width(name), *(cell_width(row[index]) for row in cells)]) for index, name in enumerate(names)]

    def line(row: list[str]) -> str:
        padded = []
        for name, cell, width in zip(names, row, widths, strict=True):
            space = " " * (width - cell_width(cell))
            padded.append(cell + space if name in left else space + cell)
        return "  ".join(padded).rstrip()

    yield line(names)
    for row in cells:
        yield line(row)


def clock(microseconds: int | None) -> str:
    """Return a time in the local zone to the millisecond, `2023-11-14 22:13:10.000`, as nfdump prints it."""
    if microseconds is None:
        return "-"
    local = moment(microseconds).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}"


def flags_text(flags: object) -> str:
    """Return TCP flags as eight letters, `...AP.SF`."""
    number = flags if isinstance(flags, int) else 0
    return "".join(letter if number & (0x80 >> place) else "." for place, letter in enumerate(FLAG_LETTERS))


def record_cells(row: Row, form: Form) -> list[str]:
    """Return the protocol and both ends, `10.0.0.1:80`, of a flow or a group."""
    protocol = row.get("protocol")
    ends = []
    for side in ("source", "destination"):
        address, port = row.get(f"{side}_address") or "-", row.get(f"{side}_port")
        separator = "." if ":" in address else ":"
        ends.append(form.address(address, f"{separator}{'-' if port is None else port}"))
    return ["-" if protocol is None else protocol_name(protocol), *ends]
