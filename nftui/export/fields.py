"""Which information elements tell which columns, in NetFlow v9 and in IPFIX; and which of them each of some flows has.

Source: IANA, "IP Flow Information Export (IPFIX) Entities"; up to 127 the same numbers as RFC 3954, section 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nftui.export.flow_columns import FlowColumns, Mask
from nftui.export.netflow import ICMP, ICMP6, is_ipv4, type_and_code


class Present(NamedTuple):
    """A field of a template, and which flows have it.

    Attributes:
        column: Under which its values stand.
        element: Its number.
        octets: It takes.
        where: The flows that have it: all, or shape (flows,).
    """

    column: str
    element: int
    octets: int
    where: Mask | bool


# An address: its column, and its elements of IPv4 and IPv6.
ADDRESSES = (("source_address", 8, 27), ("destination_address", 12, 28))
MORE_ADDRESSES = (
    ("next_hop", 15, 62),
    ("bgp_next_hop", 18, 63),
    ("post_nat_source_address", 225, 281),
    ("post_nat_destination_address", 226, 282),
)
EXPORTERS = (("exporter_address", 130, 131),)
# Of all others: column, element, octets.
PORTS = (("source_port", 7, 2), ("destination_port", 11, 2), ("protocol", 4, 1))
NUMBERS = (
    ("packets", 2, 8),
    ("octets", 1, 8),
    ("out_packets", 24, 8),
    ("out_octets", 23, 8),
    ("flow_count", 3, 8),
    ("tos", 5, 1),
    ("destination_tos", 55, 1),
    ("flow_direction", 61, 1),
    ("ingress_interface", 10, 4),
    ("egress_interface", 14, 4),
    ("source_as", 16, 4),
    ("destination_as", 17, 4),
    ("previous_as", 129, 4),
    ("next_as", 128, 4),
    ("source_vlan", 58, 2),
    ("destination_vlan", 59, 2),
    ("customer_vlan", 245, 2),
    ("layer2_segment_id", 351, 8),
    ("ethernet_type", 256, 2),
    ("source_mac", 56, 6),
    ("destination_mac", 80, 6),
    ("post_source_mac", 81, 6),
    ("post_destination_mac", 57, 6),
    ("ingress_vrf", 234, 4),
    ("egress_vrf", 235, 4),
    ("post_nat_source_port", 227, 2),
    ("post_nat_destination_port", 228, 2),
    ("port_block_start", 361, 2),
    ("port_block_end", 362, 2),
    ("nat_event", 230, 1),
    ("firewall_event", 233, 1),
    ("connection_id", 148, 8),
    ("forwarding_status", 89, 1),
    ("flow_end_reason", 136, 1),
    ("ip_version", 60, 1),
    ("frame_length", 312, 2),
    ("ip_total_length", 224, 8),
    ("flow_label", 31, 4),
    ("minimum_ttl", 52, 1),
    ("maximum_ttl", 53, 1),
    ("sampling_interval", 34, 4),
)
MASKS = (("source_mask", "source_address", 9, 29), ("destination_mask", "destination_address", 13, 30))
LABELS = tuple((f"mpls_label_{depth}", 69 + depth, 3) for depth in range(1, 11))
TYPES = ((ICMP, 32), (ICMP6, 139))
TCP_FLAGS = 6


def also(one: Mask | bool, other: Mask | bool) -> Mask | bool:
    """Return where both hold."""
    if one is True or other is False:
        return other
    return one if other is True or one is False else one & other


def present(
    flows: FlowColumns, times: tuple[Present, ...], *, exporters: bool = False
) -> tuple[list[Present], dict[str, NDArray[Any]]]:
    """Return the fields that any of some flows has, in the order of the wire, and their values.

    Args:
        flows: What is exported.
        times: The fields of start and end, whose values the caller has.
        exporters: Whether the exporter that a flow came from is told.
    Returns:
        The fields, and columns of values as on the wire, those of `times` left out.
    """
    fields = list(_addresses(flows, ADDRESSES))
    fields += [Present(column, element, octets, flows.has(column)) for column, element, octets in PORTS]
    fields += times
    fields += [Present(column, element, octets, flows.has(column)) for column, element, octets in NUMBERS[:2]]
    values = dict(flows.values)
    fields += [*_flags(flows), *_types(flows, values)]
    fields += [Present(column, element, octets, flows.has(column)) for column, element, octets in NUMBERS[2:]]
    fields += _masks(flows)
    fields += _addresses(flows, MORE_ADDRESSES)
    fields += _labels(flows, values)
    if exporters:
        fields += _addresses(flows, EXPORTERS)
    return [one for one in fields if one.where is True or (one.where is not False and one.where.any())], values


def _addresses(flows: FlowColumns, which: tuple[tuple[str, int, int], ...]) -> Iterator[Present]:
    for column, four, six in which:
        has = flows.has(column)
        if has is not False:
            is_four = is_ipv4(flows.values[column])
            yield Present(column, four, 4, True if is_four.all() and has is True else also(has, is_four))
            yield Present(column, six, 16, also(has, ~is_four))


def _flags(flows: FlowColumns) -> Iterator[Present]:
    """Yield tcpControlBits of one octet, or of two where more than eight of them are set (RFC 7011, section 6.2)."""
    has = flows.has("tcp_flags")
    if has is not False:
        wide = flows.values["tcp_flags"] > 0xFF
        if wide.any():
            yield Present("tcp_flags", TCP_FLAGS, 1, also(has, ~wide))
            yield Present("tcp_flags", TCP_FLAGS, 2, also(has, wide))
        else:
            yield Present("tcp_flags", TCP_FLAGS, 1, has)


def _types(flows: FlowColumns, values: dict[str, NDArray[Any]]) -> Iterator[Present]:
    """Yield type and code of ICMP as one number, and add its values."""
    has = also(flows.has("icmp_type"), flows.has("protocol"))
    if has is not False:
        values["icmp_type_code"] = type_and_code(flows.values, np.arange(flows.rows))
        for protocol, element in TYPES:
            yield Present("icmp_type_code", element, 2, also(has, flows.values["protocol"] == protocol))


def _masks(flows: FlowColumns) -> Iterator[Present]:
    """Yield lengths of prefixes, whose element follows the address."""
    for column, address, four, six in MASKS:
        has = also(flows.has(column), flows.has(address))
        if has is not False:
            is_four = is_ipv4(flows.values[address])
            yield Present(column, four, 1, has if is_four.all() else also(has, is_four))
            yield Present(column, six, 1, also(has, ~is_four))


def _labels(flows: FlowColumns, values: dict[str, NDArray[Any]]) -> Iterator[Present]:
    """Yield MPLS labels, the upper 20 bits of 24; the lowest tells the bottom of the stack (RFC 3032, section 2.1)."""
    for (column, element, octets), (below, _, _) in pairwise((*LABELS, ("", 0, 0))):
        if (has := flows.has(column)) is not False:
            deeper = flows.has(below)
            values[column] = values[column].astype(np.int64) << 4 | np.logical_not(deeper)
            yield Present(column, element, octets, has)
