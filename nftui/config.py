"""Configuration: one TOML file, each key with a default, each mistake named by file and key.

The file is `--config FILE`, else `$NFTUI_CONFIG`, else `/etc/nftui/nftui.toml` for root and `~/.config/nftui/nftui.toml` for
others.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import platformdirs
import tomli

from nftui.errors import ConfigError

SIZE_SUFFIX = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
"""Suffix of a size -> power of 1000, or of 1024 with an `i` behind it."""

LONGEST_NAME = 64
MOST_PROCESSES = 64
"""Of one collector."""
LONGEST_COMMUNITY = 255
LONGEST_INTERFACE = 15
"""Octets of an interface's name (IFNAMSIZ, with its end)."""
MOST_SAMPLING = 1_000_000
LEAST_ENTRIES, MOST_ENTRIES = 1024, 1 << 24
"""Flows that a probe follows at a time."""
CHOICES = {
    "units": ("si", "iec"),
    "colours": ("auto", "truecolor", "256", "16", "none"),
    "glyphs": ("auto", "braille", "blocks", "half", "ascii"),
}
"""Of [display]: keys that take one of a few words."""


class CollectorSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[collector]: what it listens to, and how often it closes a segment."""

    enabled: bool = True
    """Whether to collect at all; without, `nftui collect` ends at once, and the dashboard starts no collector."""
    listen: tuple[str, ...] = ("9995/udp", "6343/udp")
    """`[ADDRESS:]PORT[/udp|tcp|sctp]`; an address in brackets when it is IPv6; without an address, all addresses of both families;
    tcp and sctp take IPFIX; on port 6343 only sFlow is taken."""
    receive_buffer: str = "32M"
    """Asked of the kernel for each UDP socket; it gives what `net.core.rmem_max` allows."""
    interval: int = 300
    """Seconds after which a segment is sealed, 2 to 86400; larger means fewer, bigger files and slower answers over short
    ranges."""

    processes: int = 1
    """Processes that receive over UDP, each the exporters whose addresses fall to it, up to 64; 0 for one on each core."""
    allow: tuple[str, ...] = ()
    """Addresses and networks that are listened to, `192.0.2.1` or `192.0.2.0/24`; empty for everybody."""
    clock_threshold: int = 60
    """Seconds that an exporter's clock may be off before its times are corrected by what it is off; 0 for never."""
    template_lifetime: int = 86_400
    """Seconds after which a template that was not said again over UDP is forgotten; 0 for never."""


class ProbeSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[probe]: flows made of packets here, without an exporter."""

    interfaces: tuple[str, ...] = ()
    """Interfaces whose packets become flows, `eth0`; empty for none."""
    bpf: str = ""
    """A filter as of tcpdump: other packets are not looked at; empty for all."""
    promiscuous: bool = False
    """Whether packets are taken that are addressed to other machines, as on a mirror port."""
    active: int = 60
    """Seconds after which a flow that goes on is told of, 1 to 3600."""
    inactive: int = 15
    """Seconds without a packet after which a flow is over, 1 to 3600."""
    sampling: int = 1
    """N of 1 in N packets that are looked at; 1 for all."""
    entries: int = 0
    """Flows that are followed at a time on each interface, 1024 to 16777216; of more, the least important end early. 0: what fits
    into a hundredth of the memory, at most 1,048,576."""
    inner: bool = False
    """Whether flows are those inside of tunnels (GRE, 6in4, VXLAN, Geneve, GTP-U) instead of the tunnels."""
    biflow: bool = False
    """Whether both directions of a connection are told of together."""
    carry_fragments: bool = False
    """Whether later fragments of a packet count for the ports of the first."""
    processes: int = 1
    """Processes that share the packets of each interface, up to 64; 0 for one on each core."""
    ring: str = ""
    """Memory in which the kernel keeps packets of an interface until they are looked at; empty for a 128th of what there is, 32 to
    128 MB."""
    conntrack: bool = False
    """Whether connections that the kernel's connection tracking forgets become flows, too."""
    address: str = ""
    """The exporter's address in flows that are made here; empty for this machine's own."""


class ExporterSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[exporters."ADDRESS"], or a network: what you know of an exporter better than it tells."""

    sampling: int = 0
    """N of 1 in N, whatever the exporter says; 0 to believe the exporter."""
    name: str = ""
    """What it is called on the Sources screen, beside its address."""


class StoreSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[store]: where flows are kept."""

    path: str = ""
    """The data directory; empty: /var/lib/nftui for root, the user's state directory for others."""
    max_lifespan: float = 5
    """Days that flows are kept; 0 for ever."""
    max_size: str = ""
    """What the store may take, `200G`; empty for no limit."""
    min_free: str = "1G"
    """What stays free of the disk, but no more than a twentieth of it; empty for nothing."""


class SnmpSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[snmp]: asking exporters for the names and speeds of their interfaces."""

    community: str = ""
    """Of SNMPv2c; empty to ask nobody."""
    exporters: tuple[str, ...] = ()
    """Addresses and networks of those who may be asked, once they have sent something; nobody else is ever sent the community."""
    interval: int = 3600
    """Seconds after which an exporter is asked again, 60 to 604800."""
    port: int = 161
    """Where their agents listen."""


class NameSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[names]: what addresses are called, and where they are."""

    resolve: bool = False
    """Whether names are looked up in DNS, which tells its servers what is looked at."""
    hosts: str = ""
    """A hosts file of one's own, in which networks may have names too; it goes before DNS. Empty for none."""
    timeout: float = 3.0
    """Seconds that one look-up may take, 0.1 to 60."""
    country: str = ""
    """A MaxMind file of countries or cities; empty for none."""
    asn: str = ""
    """A MaxMind file of AS numbers and their organisations; may be the same. Empty for none."""


class NetworkSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[network]: what is your own."""

    home: tuple[str, ...] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
    """Your networks: a flow with just one end in them crosses the boundary (`--perspective boundary`)."""


class DisplaySettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[display]: how the dashboard looks."""

    theme: str = "dark"
    """A name in `themes/`."""
    colours: str = "auto"
    """`truecolor`, `256`, `16` (the terminal's own), `none`, or `auto`: what `TERM`, `COLORTERM` and `NO_COLOR` tell."""
    glyphs: str = "auto"
    """Of what pictures are made: `braille`, `blocks`, `half`, `ascii`, or `auto`: what the locale and `TERM` tell."""
    refresh: float = 1.0
    """Seconds between refreshes while following, 0.5 to 60."""
    units: str = "si"
    """Octets in `si` (1000) or `iec` (1024) steps; bits and packets are always in steps of 1000."""
    range: str = "-15m"
    """The time range at start, as `-t` takes it."""
    by: str = "dstip"
    """The group-by at start."""
    max_values: int = 10
    """Groups shown at start; the rest is `other`."""
    maximum_chart_resolution: int = 120
    """Points of a chart, 2 to 1000; of more, neighbours become one."""
    custom_filters: bool = True
    """Whether filters may be typed and saved in the dashboard; without, only those that are saved already can be chosen."""
    keys: dict[str, str] = {}
    """Key bindings by id: `"live.pause" = "space"`."""


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole configuration."""

    collector: CollectorSettings = CollectorSettings()
    probe: ProbeSettings = ProbeSettings()
    store: StoreSettings = StoreSettings()
    snmp: SnmpSettings = SnmpSettings()
    names: NameSettings = NameSettings()
    network: NetworkSettings = NetworkSettings()
    display: DisplaySettings = DisplaySettings()
    exporters: dict[str, ExporterSettings] = {}
    """By address or network; of several that fit the narrowest holds."""
    elements: dict[str, str] = {}
    """[elements]: columns that further information elements fill: `"9/12235" = "application_name"`."""


def default_path() -> Path:
    """Return where the configuration file is looked for."""
    if named := os.environ.get("NFTUI_CONFIG"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/etc/nftui/nftui.toml")
    return platformdirs.user_config_path("nftui") / "nftui.toml"


def filters_directory(path: Path | None = None) -> Path:
    """Return where saved filters stand: beside the configuration file, None for the default one."""
    return (path or default_path()).parent / "filters"


def themes_directory(path: Path | None = None) -> Path:
    """Return where themes of the user stand: beside the configuration file, None for the default one."""
    return (path or default_path()).parent / "themes"


def default_data() -> Path:
    """Return the data directory that is used when none is named; a service's is the one that systemd made for it."""
    if directories := os.environ.get("STATE_DIRECTORY"):
        return Path(directories.partition(":")[0])
    return Path("/var/lib/nftui") if os.geteuid() == 0 else platformdirs.user_state_path("nftui")


def default_cache() -> Path:
    """Return the directory of what is kept for this user between runs, and may be removed at any time."""
    return platformdirs.user_cache_path("nftui")


def load(path: Path | None = None) -> Config:
    """Read the configuration.

    Args:
        path: The file; None for the default one, which may be absent.
    Raises:
        ConfigError: The file can't be read, is no TOML, or has an unknown key or a value of the wrong kind.
    """
    named = path is not None
    path = path or default_path()
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        if named:
            raise ConfigError(f"{path}: no such file; create it or leave --config out") from error
        return Config()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; make it a file that you may read, or name another with --config FILE"
        ) from error
    return parse(text, str(path))


def parse(text: bytes, name: str) -> Config:
    """Read a configuration from TOML text; `name` stands in error messages.

    Raises:
        ConfigError: As in `load`.
    """
    try:
        tree: dict[str, Any] = tomli.loads(text.decode())
    except (tomli.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{name}: not TOML: {error}") from error
    return of_tree(tree, name)


def of_tree(tree: dict[str, Any], name: str) -> Config:
    """Return a configuration from sections and keys; `name` stands in error messages.

    Raises:
        ConfigError: A key is unknown, or has a value of the wrong kind.
    """
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {_in_words(str(error))}") from error
    _check(config, name)
    return config


def to_json(config: Config) -> bytes:
    """Return a configuration as one line of JSON, for another process."""
    return msgspec.json.encode(config)


def of_json(line: bytes) -> Config:
    """Take back what `to_json` returned.

    Raises:
        ConfigError: It is something else.
    """
    try:
        return msgspec.json.decode(line, type=Config)
    except msgspec.DecodeError as error:
        raise ConfigError(f"no configuration: {error}") from error


def size(text: str) -> int:
    """Return a size such as `32M` (or `32MiB`, in steps of 1024) in octets.

    Raises:
        ConfigError: The text is no size.
    """
    match = re.fullmatch(r"\s*([0-9]{1,15})\s*([kmgt]?)((?<=[kmgt])i)?b?\s*", text, re.IGNORECASE)
    if not match:
        raise ConfigError(f"{text!r} is no size; write for example 32M")
    step: int = 1024 if match[3] else 1000
    return int(int(match[1]) * step ** SIZE_SUFFIX[match[2].lower()])


def _check(config: Config, name: str) -> None:
    collector, store, display = config.collector, config.store, config.display
    ranges: tuple[tuple[str, float, float, float, str], ...] = (
        ("collector.interval", collector.interval, 2, 86_400, " seconds"),
        ("collector.clock_threshold", collector.clock_threshold, 0, 10**9, " seconds"),
        ("collector.template_lifetime", collector.template_lifetime, 0, 10**9, " seconds"),
        ("collector.processes", collector.processes, 0, MOST_PROCESSES, ""),
        ("probe.active", config.probe.active, 1, 3600, " seconds"),
        ("probe.inactive", config.probe.inactive, 1, 3600, " seconds"),
        ("probe.sampling", config.probe.sampling, 1, MOST_SAMPLING, ""),
        ("probe.processes", config.probe.processes, 0, MOST_PROCESSES, ""),
        ("store.max_lifespan", store.max_lifespan, 0, 100_000, " days"),
        ("snmp.interval", config.snmp.interval, 60, 604_800, " seconds"),
        ("snmp.port", config.snmp.port, 1, 65_535, ""),
        ("names.timeout", config.names.timeout, 0.1, 60, " seconds"),
        ("display.refresh", display.refresh, 0.5, 60, " seconds"),
        ("display.max_values", display.max_values, 1, 250, ""),
        ("display.maximum_chart_resolution", display.maximum_chart_resolution, 2, 1000, ""),
    )
    for key, value, least, most, unit in ranges:
        if not least <= value <= most:
            raise ConfigError(f"{name}: {key} is {value}; it takes {least} to {most}{unit}")
    if not collector.listen:
        raise ConfigError(f"{name}: collector.listen is empty; name a port, or set collector.enabled = false")
    _check_choices(display, name)
    _check_home(config.network.home, name)
    _check_exporters(config, name)
    _check_probe(config.probe, name)
    _check_snmp(config.snmp, name)
    _check_elements(config, name)
    _check_sizes(config, name)


def _check_choices(display: DisplaySettings, name: str) -> None:
    for key, choices in CHOICES.items():
        value = getattr(display, key)
        if value not in choices:
            raise ConfigError(f"{name}: display.{key} is {value!r}; it takes {', '.join(choices[:-1])} or {choices[-1]}")


def own_networks(config: Config) -> tuple[str, ...]:
    """Return the networks that were named as one's own; none where nobody said so: private ones are but likely to be."""
    return () if config.network.home == NetworkSettings().home else config.network.home


def _check_home(home: tuple[str, ...], name: str) -> None:
    if not home:
        raise ConfigError(f"{name}: network.home is empty; name your networks, or leave it out for the private ones")
    for network in home:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigError(f"{name}: network.home: {network!r}: {error}; write an address or a network") from error


def _check_exporters(config: Config, name: str) -> None:
    for allowed in config.collector.allow:
        try:
            ipaddress.ip_network(allowed)
        except ValueError as error:
            raise ConfigError(f"{name}: collector.allow: {allowed!r}: {error}; write an address or a network") from error
    for address, exporter in config.exporters.items():
        try:
            ipaddress.ip_network(address)
        except ValueError as error:
            raise ConfigError(f"{name}: exporters.{address!r}: {error}; write an address or a network") from error
        if not 0 <= exporter.sampling <= 100_000_000:
            raise ConfigError(f"{name}: exporters.{address!r}.sampling is {exporter.sampling}; it takes 0 to 100000000")
        if len(exporter.name) > LONGEST_NAME:
            raise ConfigError(f"{name}: exporters.{address!r}.name has {len(exporter.name)} characters; at most {LONGEST_NAME}")


def _check_probe(probe: ProbeSettings, name: str) -> None:
    for interface in probe.interfaces:
        if not interface or len(interface.encode()) > LONGEST_INTERFACE or "/" in interface or interface.split() != [interface]:
            raise ConfigError(
                f"{name}: probe.interfaces: {interface!r} is no interface's name; `nftui probe` lists those there are"
            )
    if probe.entries and not LEAST_ENTRIES <= probe.entries <= MOST_ENTRIES:
        raise ConfigError(f"{name}: probe.entries is {probe.entries}; it takes {LEAST_ENTRIES} to {MOST_ENTRIES}, or 0")
    if probe.address:
        try:
            ipaddress.ip_address(probe.address)
        except ValueError as error:
            raise ConfigError(f"{name}: probe.address: {error}; write an address, or leave it out") from error


def _check_snmp(snmp: SnmpSettings, name: str) -> None:
    for address in snmp.exporters:
        try:
            ipaddress.ip_network(address)
        except ValueError as error:
            raise ConfigError(f"{name}: snmp.exporters: {error}; write addresses or networks") from error
    # What it is stands in no message: they are logged.
    if len(snmp.community.encode()) > LONGEST_COMMUNITY:
        raise ConfigError(f"{name}: snmp.community is longer than {LONGEST_COMMUNITY} octets")


def _check_sizes(config: Config, name: str) -> None:
    for key, text in (
        ("collector.receive_buffer", config.collector.receive_buffer),
        ("probe.ring", config.probe.ring or "0"),
        ("store.max_size", config.store.max_size or "0"),
        ("store.min_free", config.store.min_free or "0"),
    ):
        try:
            size(text)
        except ConfigError as error:
            raise ConfigError(f"{name}: {key}: {error}") from error


def _check_elements(config: Config, name: str) -> None:
    if not config.elements:
        return
    from nftui import elements  # its columns take a tenth of a second to load

    for key, column in config.elements.items():
        try:
            elements.chosen(key, column)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error


def _in_words(message: str) -> str:
    """Turn msgspec's `… - at `$.collector.interval`` into `collector.interval: …`."""
    match = re.fullmatch(r"(.*?) - at `\$\.?(.*)`", message)
    if match:
        return f"{match[2]}: {match[1]}"
    match = re.fullmatch(r"Object contains unknown field `(.*)`", message)
    return f"unknown section [{match[1]}]" if match else message
