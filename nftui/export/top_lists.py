"""Top lists as text for people, with the headings that nfdump's users know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nftui.engine import keys
from nftui.engine.names import protocol_name
from nftui.engine.query import RECORD_KEYS, Answer, Folding
from nftui.export.rows import group_rows, other_row
from nftui.export.text import Form, clock, flags_text, record_cells, table
from nftui.printable import printable
from nftui.units import SECOND

Row = dict[str, Any]
ORDER_NAMES = {
    "octets": "bytes", "first": "tstart", "last": "tend",
    "in_octets": "ibytes", "in_packets": "ipackets", "out_octets": "obytes", "out_packets": "opackets",
}  # fmt: skip
HEADINGS = {
    "source_address": "Src IP Addr", "destination_address": "Dst IP Addr", "address": "IP Addr",
    "source_port": "Src Port", "destination_port": "Dst Port", "port": "Port", "protocol": "Proto",
    "tcp_flags": "TCP Flags", "tos": "Src Tos", "destination_tos": "Dst Tos", "flow_direction": "Dir",
    "source_as": "Src AS", "destination_as": "Dst AS", "as": "AS", "previous_as": "Prev AS", "next_as": "Next AS",
    "ingress_interface": "Input If", "egress_interface": "Output If", "interface": "Interface",
    "source_mask": "Src Mask", "destination_mask": "Dst Mask", "mask": "Mask",
    "source_vlan": "Src Vlan", "destination_vlan": "Dst Vlan", "vlan": "Vlan",
    "source_mac": "In Src Mac", "post_destination_mac": "Out Dst Mac", "destination_mac": "In Dst Mac",
    "post_source_mac": "Out Src Mac", "mac": "Mac Addr", "exporter_address": "Router IP", "next_hop": "Nexthop IP",
    "bgp_next_hop": "Nexthop BGP IP",
}  # fmt: skip
"""nfdump's titles, by the name of the key without its prefix lengths; other keys have their label."""
INTERFACES = ("ingress_interface", "egress_interface", "interface")


def top_block(answer: Answer, statistic: str, form: Form) -> Iterator[str]:
    """Yield a top list: a title, a heading, a line a group, and a line for all others.

    Args:
        answer: With the times of its groups.
        statistic: `record` for connections and what `-A` made of them; else one kind of value, with shares and rates.
        form: For the numbers.
    """
    order = ORDER_NAMES.get(answer.query.order, answer.query.order)
    rows = list(group_rows(answer))
    if statistic == "record":
        yield f"Aggregated flows {answer.group_count}"
        yield f"Top {len(rows)} flows ordered by {order}:"
        lines: _Connections | _Shares = _Connections(answer, form)
    else:
        yield f"Top {len(rows)} {heading(answer.query.keys[0])} ordered by {order}:"
        lines = _Shares(answer, form)
    cells = [
        [*_when(group), *lines.keys(row), *lines.sums(row)]
        for row, group in zip(rows, answer.groups.iter_rows(named=True), strict=True)
    ]
    other = other_row(answer)
    if other["groups"] > 0:
        label = f"{other['groups']:,} others" if other["groups"] > 1 else "1 other"
        cells.append(["-", "-", *lines.others(label), *lines.sums(other)])
    yield from table(["Date first seen", "Duration", *lines.titles], cells, {"Date first seen", *lines.left})


def heading(name: str) -> str:
    """Return the title of a key's column."""
    return HEADINGS.get(name.partition("/")[0]) or keys.key(name).label


class _Shares:
    """Lines of one kind of value: shares of the total and rates, with its protocol where that is told apart."""

    def __init__(self, answer: Answer, form: Form) -> None:
        self._form = form
        self._keys = answer.query.keys
        self._by_protocol = len(self._keys) > 1 or self._keys == ("protocol",)
        value = heading(self._keys[0])
        self.titles = ["Proto" if value != "Proto" else "Name", value, "Flows(%)", "Packets(%)", "Bytes(%)", "pps", "bps", "bpp"]
        self.left = {self.titles[0], value}

    def keys(self, row: Row) -> list[str]:
        protocol = _cell(self._form, "protocol", row.get("protocol")) if self._by_protocol else "any"
        value = row.get(keys.key(self._keys[0]).field)
        return [protocol, _cell(self._form, self._keys[0], value, number=self._keys == ("protocol",))]

    def others(self, label: str) -> list[str]:
        return ["any", label]

    def sums(self, row: Row) -> list[str]:
        write = {"flows": self._form.count, "packets": self._form.count, "octets": self._form.octets}
        shares = [f"{written(row[name])}({row[f'{name}_percent']:.1f})" for name, written in write.items()]
        return [*shares, *(self._form.count(row[name]) if name in row else "-" for name in ("pps", "bps", "bpp"))]


class _Connections:
    """Lines of connections, or of what else several keys make: sums, each way where both directions are one."""

    def __init__(self, answer: Answer, form: Form) -> None:
        self._form = form
        self._keys = answer.query.keys
        self._record = set(self._keys) == set(RECORD_KEYS)
        self._folded = answer.query.folding is not Folding.NONE
        titles = ["Proto", "Src IP Addr:Port", "Dst IP Addr:Port"] if self._record else [heading(name) for name in self._keys]
        self.left = {"Proto"}
        sums = ["Out Pkt", "In Pkt", "Out Byte", "In Byte", "Flows"] if self._folded else ["Packets", "Bytes", "Flows"]
        self.titles = [*titles, *(sums if self._folded or self._record else ["Packets", "Bytes", "bps", "bpp", "Flows"])]

    def keys(self, row: Row) -> list[str]:
        if self._record:
            return record_cells(row, self._form)
        return [_cell(self._form, name, row.get(keys.key(name).field)) for name in self._keys]

    def others(self, label: str) -> list[str]:
        if self._record:
            return ["any", label, ""]
        return [label, *("" for _ in self._keys[1:])]

    def sums(self, row: Row) -> list[str]:
        form = self._form
        if self._folded:
            each = [
                write(row[name]) if name in row else "-"
                for name, write in (
                    ("out_packets", form.count), ("in_packets", form.count), ("out_octets", form.octets), ("in_octets", form.octets)
                )
            ]  # fmt: skip
            return [*each, form.count(row["flows"])]
        sums = [form.count(row["packets"]), form.octets(row["octets"])]
        rates = [] if self._record else [form.count(row[name]) if name in row else "-" for name in ("bps", "bpp")]
        return [*sums, *rates, form.count(row["flows"])]


def _cell(form: Form, name: str, value: object, *, number: bool = False) -> str:
    if value is None:
        return "-"
    if name in INTERFACES:
        return form.interface(value)
    if name == "protocol" and isinstance(value, int) and not number:
        return protocol_name(value)
    if name == "tcp_flags":
        return flags_text(value)
    return form.address(value) if isinstance(value, str) and keys.key(name).kind == "address" else printable(value)


def _when(group: Row) -> list[str]:
    first, last = group.get("first"), group.get("last")
    if first is None or last is None:
        return ["-", "-"]
    return [clock(first), f"{(last - first) / SECOND:.3f}"]
