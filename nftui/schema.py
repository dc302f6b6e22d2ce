"""The columns of a flow: the one list from which storage, filters, tables and decoding derive.

Integers are signed, because other engines read unsigned 64 bit as decimals. Addresses are 16 octets in network order, IPv4 as
::ffff:a.b.c.d. Times are microseconds, UTC. Absent is null, never 0: a column stands in a file only where a batch had it, and
readers fill null.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a flow.

    Attributes:
        name: As in files and machine-readable output.
        dtype: As stored.
        unit: Of the values, empty where there is none.
        label: A short heading.
        kind: How a value is shown: `address`, `mac`, `time`, `number`, `text` or `flag`.
    """

    name: str
    dtype: pl.DataType
    unit: str
    label: str
    kind: str = "number"


def _number(name: str, dtype: type[pl.DataType], label: str, unit: str = "") -> Column:
    return Column(name, dtype(), unit, label)


def _address(name: str, label: str) -> Column:
    return Column(name, pl.Binary(), "", label, "address")


def _time(name: str, label: str) -> Column:
    return Column(name, TIME, "us", label, "time")


def _text(name: str, label: str) -> Column:
    return Column(name, pl.String(), "", label, "text")


def _mac(name: str, label: str) -> Column:
    return Column(name, pl.Int64(), "", label, "mac")


COLUMNS: tuple[Column, ...] = (
    _time("flow_start", "start"),
    _time("flow_end", "end"),
    _time("received", "received"),
    _number("clock_correction", pl.Int64, "clock", "us"),
    _address("exporter_address", "exporter"),
    _number("observation_domain", pl.Int64, "domain"),
    _number("protocol_version", pl.Int16, "version"),
    _number("template_id", pl.Int32, "template"),
    _number("sampling_interval", pl.Int64, "sampling"),
    _text("sampling_source", "sampling by"),
    _number("sampler_id", pl.Int64, "sampler"),
    _address("source_address", "source"),
    _address("destination_address", "destination"),
    _number("source_port", pl.Int32, "sport"),
    _number("destination_port", pl.Int32, "dport"),
    _number("protocol", pl.Int16, "proto"),
    _number("tcp_flags", pl.Int32, "flags"),
    _number("tos", pl.Int16, "tos"),
    _number("destination_tos", pl.Int16, "dst tos"),
    _number("icmp_type", pl.Int16, "icmp type"),
    _number("icmp_code", pl.Int16, "icmp code"),
    _number("octets", pl.Int64, "octets", "octets"),
    _number("packets", pl.Int64, "packets", "packets"),
    _number("out_octets", pl.Int64, "out octets", "octets"),
    _number("out_packets", pl.Int64, "out packets", "packets"),
    _number("flow_count", pl.Int64, "flows", "flows"),
    _number("ingress_interface", pl.Int64, "in if"),
    _number("egress_interface", pl.Int64, "out if"),
    _number("flow_direction", pl.Int16, "direction"),
    Column("reverse", pl.Boolean(), "", "reverse", "flag"),
    _address("next_hop", "next hop"),
    _address("bgp_next_hop", "bgp next hop"),
    _number("source_as", pl.Int64, "src as"),
    _number("destination_as", pl.Int64, "dst as"),
    _number("previous_as", pl.Int64, "prev as"),
    _number("next_as", pl.Int64, "next as"),
    _text("as_path", "as path"),
    _text("communities", "communities"),
    _number("local_preference", pl.Int64, "local pref"),
    _number("source_mask", pl.Int16, "src mask"),
    _number("destination_mask", pl.Int16, "dst mask"),
    _number("source_vlan", pl.Int32, "src vlan"),
    _number("destination_vlan", pl.Int32, "dst vlan"),
    _number("customer_vlan", pl.Int32, "inner vlan"),
    _number("layer2_segment_id", pl.Int64, "vni"),
    _number("ethernet_type", pl.Int32, "ethertype"),
    _mac("source_mac", "src mac"),
    _mac("destination_mac", "dst mac"),
    _mac("post_source_mac", "post src mac"),
    _mac("post_destination_mac", "post dst mac"),
    *(_number(f"mpls_label_{n}", pl.Int32, f"mpls {n}") for n in range(1, 11)),
    _number("ingress_vrf", pl.Int64, "in vrf"),
    _number("egress_vrf", pl.Int64, "out vrf"),
    _text("vrf_name", "vrf"),
    _address("post_nat_source_address", "nat source"),
    _address("post_nat_destination_address", "nat destination"),
    _number("post_nat_source_port", pl.Int32, "nat sport"),
    _number("post_nat_destination_port", pl.Int32, "nat dport"),
    _number("port_block_start", pl.Int32, "block start"),
    _number("port_block_end", pl.Int32, "block end"),
    _number("nat_event", pl.Int16, "nat event"),
    _number("firewall_event", pl.Int16, "fw event"),
    _number("firewall_extended_event", pl.Int32, "fw ext event"),
    _number("connection_id", pl.Int64, "connection"),
    Column("ingress_acl", pl.Binary(), "", "in acl", "text"),
    Column("egress_acl", pl.Binary(), "", "out acl", "text"),
    _text("user_name", "user"),
    _text("destination_user_name", "dst user"),
    _text("wlan_ssid", "ssid"),
    _mac("station_mac", "station mac"),
    _address("station_address", "station"),
    _mac("access_point_mac", "ap mac"),
    _number("forwarding_status", pl.Int16, "fwd status"),
    _number("flow_end_reason", pl.Int16, "end reason"),
    _text("client_by", "client by"),
    _number("application_id", pl.Int64, "app id"),
    _text("application_name", "application"),
    _number("ip_version", pl.Int16, "ip"),
    _number("frame_length", pl.Int64, "frame", "octets"),
    _number("ip_total_length", pl.Int32, "ip length", "octets"),
    _number("flow_label", pl.Int32, "flow label"),
    _number("minimum_ttl", pl.Int16, "min ttl"),
    _number("maximum_ttl", pl.Int16, "max ttl"),
    _address("outer_source_address", "outer source"),
    _address("outer_destination_address", "outer destination"),
    _number("outer_protocol", pl.Int16, "outer proto"),
)

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
POLARS: pl.Schema = pl.Schema({column.name: column.dtype for column in COLUMNS})
