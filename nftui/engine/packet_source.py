"""What a status says of a source of packets: the entries of `probes` in `status.json`.

Each interface, and the kernel's connection tracking where it is asked, has one entry. Of several processes that share an interface
the entries are added up, so readers see one; what is not counted is as those at work say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

PACKETS, KERNEL = "packets", "kernel"

COUNTED = (
    "packets", "octets", "flows", "drops", "emergency", "lost_packets", "lost_octets", "sampled_out", "ip_octets",
    "link_octets", "not_ip", "not_ip_octets", "cut", "fragments",
)  # fmt: skip
"""Adds up over processes, and over those that ended."""
PRESENT = ("packets_per_s", "octets_per_s", "flows_per_s", "used", "entries")
"""Adds up over processes at work."""
LATEST = ("last_seen", "last_drop")
"""Times, of which the latest holds."""
ENDED = "the process that looked at it has ended"


@dataclass(slots=True)
class PacketSource:
    """An entry of `probes`.

    Attributes:
        source: The interface, `eth0`; or `conntrack`.
        kind: `packets`, or `kernel` for flows that the kernel's connection tracking counted: these have no packets of their own,
            and of what follows only what is said of flows, of packets and octets in them, drops (events that were lost), `used` of
            `entries` (connections in the kernel's table, and room in it), `active` and problems.
        interface: ifIndex; 0 while there is none.
        link: What its frames are, `Ethernet`; empty while that is not known.
        address: The `exporter_address` of its flows, as text.
        domain: Their `observation_domain`, which is the ifIndex: `exporter ip ADDRESS and observation domain id DOMAIN` are they.
        problem: Why nothing comes at present, in words; empty where all is well.
        packets: That were taken from the kernel; with `octets`, on the wire.
        flows: That ended, and went to the store.
        drops: Packets for which the kernel had no room.
        last_drop: When the last of them was found, as RFC 3339; empty for never.
        used: Flows that are followed now, of `entries` at most.
        emergency: Flows that ended early, as there was no room.
        lost_packets: In no flow at all, as there was no room even so; with `lost_octets`.
        sampled_out: Packets that were not looked at, of `sampling` one was.
        ip_octets: Octets of IP packets, from the IP header on, without padding; with `link_octets`, the rest of the same frames,
            `not_ip_octets` and what was cut or not looked at they are all `octets`.
        not_ip: Packets without an IP header; with `not_ip_octets`.
        cut: Packets of which too little was there to know their addresses.
        fragments: Packets that are fragments.
        active: Seconds after which a flow that goes on is told of.
        inactive: Seconds without a packet after which a flow is over.
        bpf: The filter that the kernel has; empty for none.
        ring: Octets in which the kernel keeps packets.
        last_seen: When the last packet came, as RFC 3339; empty for never.
    """

    source: str
    kind: str = PACKETS
    interface: int = 0
    link: str = ""
    address: str = ""
    domain: int = 0
    problem: str = ""
    packets: int = 0
    octets: int = 0
    flows: int = 0
    packets_per_s: float = 0.0
    octets_per_s: float = 0.0
    flows_per_s: float = 0.0
    drops: int = 0
    last_drop: str = ""
    used: int = 0
    entries: int = 0
    emergency: int = 0
    lost_packets: int = 0
    lost_octets: int = 0
    sampling: int = 1
    sampled_out: int = 0
    ip_octets: int = 0
    link_octets: int = 0
    not_ip: int = 0
    not_ip_octets: int = 0
    cut: int = 0
    fragments: int = 0
    active: int = 60
    inactive: int = 15
    promiscuous: bool = False
    bpf: str = ""
    ring: int = 0
    last_seen: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return asdict(self)


def together(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry for each source, of those of several processes, and of those that were before them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in entries:
        found.setdefault(str(one.get("source")), []).append(one)
    return [some[0] if len(some) == 1 else _one(some) for some in found.values()]


def left(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what stays of an entry when its process has ended."""
    return {**entry, **dict.fromkeys(PRESENT, 0), "link": "", "problem": ENDED}


def _one(some: list[dict[str, Any]]) -> dict[str, Any]:
    present = [one for one in some if one.get("problem") != ENDED] or some
    return {
        **present[-1],
        **{key: sum(one.get(key, 0) for one in some) for key in COUNTED},
        **{key: round(sum(one.get(key, 0) for one in some), 1) for key in PRESENT},
        **{key: max(str(one.get(key) or "") for one in some) for key in LATEST},
        "problem": next((one["problem"] for one in present if one.get("problem")), ""),
    }
