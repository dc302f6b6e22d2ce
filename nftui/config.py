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


class CollectorSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[collector]: what it listens to, and how often it closes a segment."""

    listen: tuple[str, ...] = ("9995/udp", "6343/udp")
    """`[ADDRESS:]PORT[/udp|tcp|sctp]`; an address in brackets when it is IPv6; without an address, all addresses of both families;
    tcp and sctp take IPFIX; on port 6343 only sFlow is taken."""
    receive_buffer: str = "32M"
    """Asked of the kernel for each UDP socket; it gives what `net.core.rmem_max` allows."""
    interval: int = 300
    """Seconds after which a segment is sealed, 2 to 86400; larger means fewer, bigger files and slower answers over short
    ranges."""

    allow: tuple[str, ...] = ()
    """Addresses and networks that are listened to, `192.0.2.1` or `192.0.2.0/24`; empty for everybody."""
    clock_threshold: int = 60
    """Seconds that an exporter's clock may be off before its times are corrected by what it is off; 0 for never."""
    template_lifetime: int = 86_400
    """Seconds after which a template that was not said again over UDP is forgotten; 0 for never."""


class ExporterSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[exporters."ADDRESS"], or a network: what you know of an exporter better than it tells."""

    sampling: int = 0
    """N of 1 in N, whatever the exporter says; 0 to believe the exporter."""


class StoreSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[store]: where flows are kept."""

    path: str = ""
    """The data directory; empty: /var/lib/nftui for root, the user's state directory for others."""


class DisplaySettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[display]: how the dashboard looks."""

    theme: str = "dark"
    """A name in `themes/`."""
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
    keys: dict[str, str] = {}
    """Key bindings by id: `"live.pause" = "space"`."""


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole configuration."""

    collector: CollectorSettings = CollectorSettings()
    store: StoreSettings = StoreSettings()
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


def default_data() -> Path:
    """Return the data directory that is used when none is named."""
    return Path("/var/lib/nftui") if os.geteuid() == 0 else platformdirs.user_state_path("nftui")


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
        raise ConfigError(f"{path}: {error.strerror}") from error
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
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {_in_words(str(error))}") from error
    _check(config, name)
    return config


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
    collector = config.collector
    if not 2 <= collector.interval <= 86_400:
        raise ConfigError(f"{name}: collector.interval is {config.collector.interval}; it takes 2 to 86400 seconds")
    for key, value in (("clock_threshold", collector.clock_threshold), ("template_lifetime", collector.template_lifetime)):
        if not 0 <= value <= 10**9:
            raise ConfigError(f"{name}: collector.{key} is {value}; it takes seconds, 0 to 1000000000")
    _check_exporters(config, name)
    if not 0.5 <= config.display.refresh <= 60:
        raise ConfigError(f"{name}: display.refresh is {config.display.refresh}; it takes 0.5 to 60 seconds")
    if config.display.units not in ("si", "iec"):
        raise ConfigError(f"{name}: display.units is {config.display.units!r}; it takes si or iec")
    if not 1 <= config.display.max_values <= 250:
        raise ConfigError(f"{name}: display.max_values is {config.display.max_values}; it takes 1 to 250")
    _check_elements(config, name)
    try:
        size(config.collector.receive_buffer)
    except ConfigError as error:
        raise ConfigError(f"{name}: collector.receive_buffer: {error}") from error


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
