"""The simulated network as TOML describes it: exporters, subnets, services, scenarios. Values only; nothing happens here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import tomli
from msgspec import Meta

from nftui.errors import ConfigError

DEFAULT = Path(__file__).parent.parent / "data" / "demo.toml"
ANY = "*"
"""Among an interface's subnets: all that no other interface names."""

Name = Annotated[str, Meta(min_length=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Octet = Annotated[int, Meta(ge=0, le=255)]
Seconds = Annotated[int, Meta(ge=1, le=86400)]
Element = TypeVar("Element", bound=msgspec.Struct)


class Interface(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[[exporters.interfaces]]: an interface and what lies behind it."""

    index: Annotated[int, Meta(ge=1, le=65535)]
    name: Name
    subnets: tuple[str, ...]
    """Names of subnets; `*` stands for all others."""
    speed: Positive = 1e9
    """Bits a second."""
    next_hop: str = ""
    """IPv4 address of the neighbour; empty where the subnets are attached directly."""
    next_hop6: str = ""


class Exporter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[[exporters]]: a device that sends flows."""

    name: Name
    address: str
    """The loopback address that its datagrams come from."""
    protocol: Literal["v5", "v9", "ipfix", "sflow"]
    observation_domain: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    interfaces: Annotated[tuple[Interface, ...], Meta(min_length=1)]
    active_timeout: Seconds = 60
    """Seconds after which a flow that goes on is exported in part."""
    template_interval: Seconds = 20
    """Seconds between templates."""
    clock_offset: float = 0.0
    """Seconds by which its clock is fast."""
    sampling: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    """N of 1 in N packets that are sampled; of sFlow alone."""


class Subnet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[[subnets]]: hosts with a prefix in common, here or in the Internet."""

    name: Name
    prefix: str
    prefix6: str = ""
    asn: Annotated[int, Meta(ge=0, le=2**32 - 1)] = msgspec.field(default=0, name="as")
    exporter: str = ""
    """The exporter that sees the traffic of this subnet; empty for the Internet."""
    hosts: Annotated[int, Meta(ge=0, le=65536)] = 0
    """How many hosts it has beside those of `addresses`."""
    addresses: tuple[str, ...] = ()
    """IPv4 addresses of particular hosts."""
    weight: Positive = 1.0
    """How often it is chosen among the subnets of a service."""


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[[services]]: conversations of one kind."""

    name: Name
    protocol: Literal["tcp", "udp", "icmp"]
    weight: Positive
    """Its share of the conversations."""
    clients: Annotated[tuple[str, ...], Meta(min_length=1)]
    servers: Annotated[tuple[str, ...], Meta(min_length=1)]
    port: Port = 0
    request: Positive = 400.0
    """Octets that the client sends, without headers: the median."""
    response: Annotated[float, Meta(ge=0)] = 4000.0
    """Octets that the server sends, without headers: the median; 0 where it never answers."""
    spread: Annotated[float, Meta(ge=0, le=3)] = 1.0
    """Of octets and seconds: the standard deviation of their logarithm."""
    largest: Positive = 1e9
    """Octets that neither side exceeds."""
    seconds: Positive = 1.0
    """How long it lasts: the median."""
    packet: Annotated[int, Meta(ge=64, le=9000)] = 1400
    """Octets of a full packet."""
    acks: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Packets without data that answer one with."""
    tos: Octet = 0


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """[[scenarios]]: something that happens again and again."""

    name: Name
    every: Seconds
    """Seconds from one start to the next."""
    seconds: Seconds
    """How long it goes on."""
    after: Annotated[int, Meta(ge=0)] = 0
    """Seconds into each period at which it starts."""
    jitter: Annotated[int, Meta(ge=0)] = 0
    """Seconds by which it may start later."""


class Backup(Scenario, frozen=True, tag="backup", kw_only=True):
    """One server sends very much to one host."""

    source: str
    destination: str
    port: Port
    megabits: Positive
    """A second."""
    streams: Annotated[int, Meta(ge=1, le=10000)] = 60
    """Connections, one for each file."""
    tos: Octet = 0


class Scan(Scenario, frozen=True, tag="scan", kw_only=True):
    """One host tries many ports of many hosts with single SYN packets."""

    source: str
    targets: Annotated[tuple[str, ...], Meta(min_length=1)]
    rate: Positive
    """Probes a second."""
    first_port: Port = 1
    last_port: Port = 1024
    answered: Share = 0.1
    """Share of the probes that are answered with a RST."""


class Flood(Scenario, frozen=True, tag="flood", kw_only=True):
    """Many sources send small UDP packets to one host."""

    sources: Annotated[tuple[str, ...], Meta(min_length=1)]
    destination: str
    rate: Positive
    """Flows a second."""
    port: Port = 53
    packet: Annotated[int, Meta(ge=28, le=1500)] = 70
    """Octets of a packet."""
    packets: Annotated[int, Meta(ge=1)] = 2
    """At most, in a flow."""
    answered: Share = 0.2


class Rhythm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[rhythm]: how much there is to see, and when."""

    conversations: Positive
    """A second, in the busiest hour."""
    hours: Annotated[tuple[Share, ...], Meta(min_length=24, max_length=24)]
    """Share of `conversations` at each full hour of the local day."""
    noise: Annotated[float, Meta(ge=0, le=1)] = 0.2
    """How far each service swings around that."""
    ipv6: Share = 0.0
    """Share of IPv6 where both sides and the exporter know it."""


AnyScenario = Backup | Scan | Flood


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole simulated network."""

    rhythm: Rhythm
    exporters: tuple[Exporter, ...]
    subnets: tuple[Subnet, ...]
    services: tuple[Service, ...]
    scenarios: tuple[AnyScenario, ...] = ()


LISTS: dict[str, Any] = {"exporters": Exporter, "subnets": Subnet, "services": Service, "scenarios": AnyScenario}


def load_network(path: Path | None = None) -> Network:
    """Read a simulated network.

    Args:
        path: A TOML file; None for the one that comes with nftui.
    Raises:
        ConfigError: The file can't be read, is no TOML, or a key is unknown, missing or wrong.
    """
    path = path or DEFAULT
    try:
        return parse_network(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; copy {DEFAULT} and change it") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def parse_network(text: bytes, name: str) -> Network:
    """Read a simulated network from TOML text; `name` stands in error messages.

    Raises:
        ConfigError: As in `load_network`.
    """
    try:
        tree = tomli.loads(text.decode())
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: not TOML: {error}") from error
    for key in tree.keys() - {"rhythm", *LISTS}:
        raise ConfigError(f"{name}: {key}: unknown key; there are rhythm, {', '.join(LISTS)}")
    lists = {key: tuple(_elements(tree.get(key, []), key, kind, name)) for key, kind in LISTS.items()}
    for key in ("exporters", "subnets", "services"):
        if not lists[key]:
            raise ConfigError(f"{name}: {key}: there is none; write at least one [[{key}]]")
    network = Network(rhythm=_converted(tree.get("rhythm", {}), Rhythm, "rhythm", name), **lists)
    for problem in _problems(network):
        raise ConfigError(f"{name}: {problem}")
    return network


def _elements(trees: Any, key: str, kind: Any, name: str) -> Iterable[Any]:
    if not isinstance(trees, list):
        raise ConfigError(f"{name}: {key}: has to be a list of tables; write [[{key}]]")
    for position, tree in enumerate(trees, 1):
        label = tree.get("name") if isinstance(tree, dict) else None
        yield _converted(tree, kind, f"{key}.{label if isinstance(label, str) and label else position}", name)


def _converted(tree: Any, kind: Any, where: str, name: str) -> Any:
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        problem, _, inside = str(error).partition(" - at `")
        inside = re.sub(r"^(key in )?\$\.?", "", inside.rstrip("`"))
        key = f"{where}.{inside}" if inside else where
        raise ConfigError(f"{name}: {key}: {problem}") from error


def _problems(network: Network) -> Iterable[str]:
    """Tell what is wrong with values that are right each by itself."""
    for key in LISTS:
        for label, count in Counter(element.name for element in getattr(network, key)).items():
            if count > 1:
                yield f"{key}.{label}: the name stands {count} times; each needs its own"
    for subnet in network.subnets:
        yield from _subnet_problems(subnet, {exporter.name for exporter in network.exporters})
    names = {subnet.name for subnet in network.subnets}
    for domain, count in Counter(exporter.observation_domain for exporter in network.exporters).items():
        if count > 1:
            yield f"exporters: observation_domain {domain} stands {count} times; each exporter needs its own"
    for exporter in network.exporters:
        yield from _exporter_problems(exporter, names)
    homeless = {subnet.name for subnet in network.subnets if not subnet.exporter}
    for service in network.services:
        yield from _unknown(f"services.{service.name}.clients", service.clients, names)
        yield from _unknown(f"services.{service.name}.servers", service.servers, names)
        if homeless & set(service.clients) and homeless & set(service.servers):
            yield f"services.{service.name}: no exporter sees traffic from {service.clients[0]} to {service.servers[0]}"
    for scenario in network.scenarios:
        yield from _scenario_problems(scenario, network)


def _subnet_problems(subnet: Subnet, exporters: set[str]) -> Iterable[str]:
    where = f"subnets.{subnet.name}"
    prefix = _parsed(IPv4Network, subnet.prefix)
    if prefix is None:
        yield f"{where}.prefix: {subnet.prefix!r} is no IPv4 prefix; write for example 10.1.0.0/24"
        return
    if subnet.prefix6 and _parsed(IPv6Network, subnet.prefix6) is None:
        yield f"{where}.prefix6: {subnet.prefix6!r} is no IPv6 prefix; write for example 2001:db8:1::/64"
    if subnet.exporter and subnet.exporter not in exporters:
        yield f"{where}.exporter: there is no exporter {subnet.exporter!r}"
    if not subnet.hosts and not subnet.addresses:
        yield f"{where}.hosts: there are none; give hosts or addresses"
    if subnet.hosts > max(0, prefix.num_addresses - 12):
        yield f"{where}.hosts: {subnet.hosts} don't fit into {prefix}"
    for text in subnet.addresses:
        address = _parsed(IPv4Address, text)
        if address is None or address not in prefix:
            yield f"{where}.addresses: {text!r} is no address of {prefix}"


def _exporter_problems(exporter: Exporter, subnets: set[str]) -> Iterable[str]:
    where = f"exporters.{exporter.name}"
    address = _parsed(IPv4Address, exporter.address)
    if address is None or not address.is_loopback:
        yield f"{where}.address: {exporter.address!r} is no loopback address; write for example 127.0.10.1"
    if exporter.protocol == "v5" and exporter.observation_domain > 0xFFFF:
        yield f"{where}.observation_domain: v5 has room for 65535, not for {exporter.observation_domain}"
    if exporter.sampling > 1 and exporter.protocol != "sflow":
        yield f"{where}.sampling: {exporter.protocol} sends flows here, not samples; leave it out, or take sflow"
    indices = [interface.index for interface in exporter.interfaces]
    if len(set(indices)) < len(indices):
        yield f"{where}.interfaces: an index stands twice"
    behind = Counter(subnet for interface in exporter.interfaces for subnet in interface.subnets)
    yield from _unknown(f"{where}.interfaces.subnets", behind.keys() - {ANY}, subnets)
    if behind[ANY] != 1 or max(behind.values()) > 1:
        yield f"{where}.interfaces.subnets: each subnet stands behind one interface, and {ANY!r} behind exactly one"
    for interface in exporter.interfaces:
        if interface.next_hop and _parsed(IPv4Address, interface.next_hop) is None:
            yield f"{where}.interfaces.next_hop: {interface.next_hop!r} is no IPv4 address"
        if interface.next_hop6 and _parsed(IPv6Address, interface.next_hop6) is None:
            yield f"{where}.interfaces.next_hop6: {interface.next_hop6!r} is no IPv6 address"


def _scenario_problems(scenario: AnyScenario, network: Network) -> Iterable[str]:
    where = f"scenarios.{scenario.name}"
    if scenario.after + scenario.jitter + scenario.seconds > scenario.every:
        yield f"{where}.every: {scenario.every} is shorter than after + jitter + seconds"
    if isinstance(scenario, Scan) and scenario.last_port < scenario.first_port:
        yield f"{where}.last_port: {scenario.last_port} lies before first_port, {scenario.first_port}"
    homes = {subnet.name: subnet.exporter for subnet in network.subnets}
    ends: list[str] = []
    for key in ("source", "destination"):
        text = getattr(scenario, key, None)
        found = [subnet.exporter for subnet in network.subnets if text in subnet.addresses]
        if text is not None and not found:
            yield f"{where}.{key}: {text!r} is none of the addresses of a subnet"
        ends += found[:1]
    for key in ("sources", "targets"):
        named = getattr(scenario, key, ())
        yield from _unknown(f"{where}.{key}", named, homes.keys())
        ends += [min((homes.get(name, "") for name in named), default="")] if named else []
    if len(ends) == 2 and not any(ends):
        yield f"{where}: no exporter sees this traffic; one end has to be in a subnet with an exporter"


def _unknown(where: str, named: Iterable[str], known: Iterable[str]) -> Iterable[str]:
    for name in sorted(set(named) - set(known)):
        yield f"{where}: there is no subnet {name!r}"


Address = TypeVar("Address", IPv4Address, IPv6Address, IPv4Network, IPv6Network)


def _parsed(kind: type[Address], text: str) -> Address | None:
    try:
        return kind(text)
    except ValueError:
        return None
