"""The hosts of the simulated network as tables: addresses, masks, AS numbers, and where each exporter finds them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import numpy as np
from numpy.typing import NDArray

from nftui.demo.network import ANY, Exporter, Network, Subnet

FIRST_OFFSET = 10
"""Below it stand routers and the like."""
SPREAD = 2_654_435_761
"""Odd, so that its multiples visit each address of a prefix once."""
RANK_EXPONENT = 0.8
_MAPPED = [0] * 10 + [255, 255]


class Hosts:
    """All hosts, numbered; arrays of shape (hosts,) unless stated otherwise.

    Attributes:
        address: uint8, shape (hosts, 2, 16): the IPv4 address, mapped, and the IPv6 address.
        has6: Whether it has an IPv6 address.
        subnet: Position in the network's subnets.
        mask: Shape (hosts, 2): length of the prefix, IPv4 and IPv6.
        asn: AS number.
        home: The position of the exporter that sees its traffic; -1 in the Internet.
        ingress: Shape (exporters, hosts): index of the interface behind which an exporter finds the host.
        next_hop: uint8, shape (exporters, hosts, 2, 16): the neighbour on the way to it.
    """

    def __init__(self, network: Network) -> None:
        exporters = [exporter.name for exporter in network.exporters]
        offsets = [_offsets(subnet) for subnet in network.subnets]
        self._network = network
        self.address = np.concatenate([_addresses(*pair) for pair in zip(network.subnets, offsets, strict=True)])
        self.subnet = np.repeat(np.arange(len(offsets)), [len(each) for each in offsets])
        masks = np.array([(IPv4Network(each.prefix).prefixlen, _length6(each)) for each in network.subnets])
        self.mask = masks[self.subnet]
        self.has6 = np.array([bool(each.prefix6) for each in network.subnets])[self.subnet]
        self.asn = np.array([each.asn for each in network.subnets])[self.subnet]
        self.home = np.array([exporters.index(each.exporter) if each.exporter else -1 for each in network.subnets])[self.subnet]
        routes = [_routes(exporter, network) for exporter in network.exporters]
        self.ingress = np.stack([index[self.subnet] for index, _ in routes])
        self.next_hop = np.stack([neighbour[self.subnet] for _, neighbour in routes])

    def among(self, names: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the hosts of some subnets, and the sums of their weights up to each: few hosts have most of the traffic."""
        found, weights = [], []
        for position, subnet in enumerate(self._network.subnets):
            if subnet.name in names:
                hosts = np.flatnonzero(self.subnet == position)
                weight = np.arange(1, len(hosts) + 1) ** -RANK_EXPONENT
                found.append(hosts)
                weights.append(weight / weight.sum() * subnet.weight)
        sums = np.cumsum(np.concatenate(weights))
        return np.concatenate(found), sums / sums[-1]

    def find(self, text: str) -> int:
        """Return the host with an IPv4 address."""
        wanted = np.array(_MAPPED + list(IPv4Address(text).packed), np.uint8)
        return int(np.flatnonzero((self.address[:, 0] == wanted).all(axis=1))[0])


def _offsets(subnet: Subnet) -> NDArray[np.int64]:
    """Return where in its prefix each host stands: particular hosts first, others in a row at home, scattered in the Internet."""
    prefix = IPv4Network(subnet.prefix)
    particular = np.array([int(IPv4Address(text)) - int(prefix.network_address) for text in subnet.addresses], np.int64)
    numbers = np.arange(FIRST_OFFSET, FIRST_OFFSET + subnet.hosts + len(particular))
    if not subnet.exporter:
        numbers = numbers * SPREAD % prefix.num_addresses
    others = numbers[~np.isin(numbers, particular)][: subnet.hosts]
    return np.concatenate([particular, others])


def _addresses(subnet: Subnet, offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    address = np.zeros((len(offsets), 2, 16), np.uint8)
    address[:, 0, :12] = _MAPPED
    low = int(IPv4Network(subnet.prefix).network_address) + offsets
    address[:, 0, 12:] = low.astype(">u4").view(np.uint8).reshape(-1, 4)
    if subnet.prefix6:
        prefix = np.frombuffer(IPv6Network(subnet.prefix6).network_address.packed, np.uint8)
        address[:, 1] = prefix
        address[:, 1, 12:] |= offsets.astype(">u4").view(np.uint8).reshape(-1, 4)
    return address


def _length6(subnet: Subnet) -> int:
    return IPv6Network(subnet.prefix6).prefixlen if subnet.prefix6 else 0


def _routes(exporter: Exporter, network: Network) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return for each subnet the index of its interface, and the neighbours there: uint8, shape (subnets, 2, 16)."""
    behind = {name: interface for interface in exporter.interfaces for name in interface.subnets}
    interfaces = [behind.get(subnet.name, behind[ANY]) for subnet in network.subnets]
    neighbour = np.zeros((len(interfaces), 2, 16), np.uint8)
    for position, interface in enumerate(interfaces):
        packed = IPv4Address(interface.next_hop or 0).packed
        neighbour[position, 0] = _MAPPED + list(packed)
        neighbour[position, 1] = list(IPv6Address(interface.next_hop6 or 0).packed)
    return np.array([interface.index for interface in interfaces]), neighbour
