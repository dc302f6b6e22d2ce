"""Configuration: every key has a default, and each mistake is one line that names the file and the key."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nftui import config
from nftui.config import Config
from nftui.errors import ConfigError

EVERY_KEY = b"""
[collector]
enabled = false
listen = ["127.0.0.1:9995/udp", "[::1]:4739"]
receive_buffer = "64M"
processes = 2
interval = 60
allow = ["192.0.2.0/24"]
clock_threshold = 5
template_lifetime = 1800
[probe]
interfaces = ["eth0", "wlan0"]
bpf = "ip or ip6"
promiscuous = true
active = 30
inactive = 5
sampling = 100
entries = 65536
inner = true
biflow = true
carry_fragments = true
processes = 2
ring = "64M"
conntrack = true
address = "192.0.2.5"
[store]
path = "~/flows"
max_lifespan = 30
max_size = "200G"
min_free = "5G"
[snmp]
community = "secret"
exporters = ["192.0.2.0/24", "2001:db8::1"]
interval = 600
port = 1161
[names]
resolve = true
hosts = "~/hosts"
timeout = 1.5
country = "/var/lib/country.mmdb"
asn = "/var/lib/asn.mmdb"
[network]
home = ["192.0.2.0/24", "2001:db8::/32"]
[display]
theme = "light"
refresh = 2
units = "iec"
range = "-1h"
by = "srcip"
max_values = 5
maximum_chart_resolution = 80
custom_filters = false
colours = "16"
glyphs = "ascii"
[display.keys]
"view.pause" = "p"
[elements]
"9/12235" = "application_name"
[exporters."192.0.2.0/24"]
sampling = 100
"""


def test_nothing_said_is_the_defaults() -> None:
    assert config.parse(b"", "here") == Config()


def test_every_key_is_taken() -> None:
    taken = config.parse(EVERY_KEY, "here")
    assert taken.elements == {"9/12235": "application_name"}
    assert taken.exporters == {"192.0.2.0/24": config.ExporterSettings(sampling=100)}
    for section in msgspec.structs.fields(Config):
        if section.name in ("elements", "exporters"):  # keys of the user's own
            continue
        ours, default = getattr(taken, section.name), getattr(Config(), section.name)
        same = [f.name for f in msgspec.structs.fields(type(ours)) if getattr(ours, f.name) == getattr(default, f.name)]
        assert same == [], f"[{section.name}] keys that this test leaves at their default"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[colector]\n", "[colector]"),
        ("[collector]\nlisten_to = []", "collector: "),
        ("[collector]\nlisten_to = []", "listen_to"),
        ("[collector]\nlisten = '9995'", "collector.listen"),
        ("[collector]\nlisten = []", "collector.listen is empty; name a port"),
        ("[collector]\nlisten = [9995]", "collector.listen[0]"),
        ("[collector]\ninterval = 'x'", "collector.interval"),
        ("[collector]\ninterval = true", "collector.interval"),
        ("[collector]\ninterval = 1", "collector.interval is 1"),
        ("[collector]\nprocesses = -1", "collector.processes is -1"),
        ("[collector]\nprocesses = 65", "collector.processes is 65"),
        ("[collector]\ninterval = 86401", "collector.interval is 86401"),
        ("[collector]\nclock_threshold = -1", "collector.clock_threshold is -1"),
        ("[collector]\ntemplate_lifetime = 10000000000", "collector.template_lifetime is 10000000000"),
        ("[probe]\ninterfaces = ['eth0 eth1']", "probe.interfaces: 'eth0 eth1' is no interface's name"),
        ("[probe]\ninterfaces = ['an-interface-too-long']", "is no interface's name"),
        ("[probe]\nactive = 0", "probe.active is 0"),
        ("[probe]\ninactive = 3601", "probe.inactive is 3601"),
        ("[probe]\nsampling = 0", "probe.sampling is 0"),
        ("[probe]\nentries = 100", "probe.entries is 100"),
        ("[probe]\nprocesses = 65", "probe.processes is 65"),
        ("[probe]\nring = 'much'", "probe.ring: 'much' is no size"),
        ("[probe]\naddress = 'here'", "probe.address: 'here' does not appear to be"),
        ("[network]\nhome = []", "network.home is empty; name your networks"),
        ("[network]\nhome = ['192.0.2.1/24']", "network.home: '192.0.2.1/24': 192.0.2.1/24 has host bits set"),
        ("[snmp]\ninterval = 59", "snmp.interval is 59"),
        ("[snmp]\nport = 0", "snmp.port is 0"),
        ("[snmp]\nexporters = ['192.0.2.1/24']", "snmp.exporters: 192.0.2.1/24 has host bits set"),
        ("[snmp]\nexporters = ['edge.example.net']", "write addresses or networks"),
        ("[snmp]\ncommunity = '" + "x" * 256 + "'", "snmp.community is longer than 255 octets"),
        ("[store]\nmax_lifespan = -1", "store.max_lifespan is -1"),
        ("[store]\nmax_lifespan = nan", "store.max_lifespan is nan"),
        ("[store]\nmax_size = 'much'", "store.max_size: 'much' is no size"),
        ("[store]\nmin_free = '5%'", "store.min_free: '5%' is no size"),
        ("[collector]\nallow = ['192.0.2.0/24', 'router']", "collector.allow: 'router'"),
        ("[collector]\nallow = ['192.0.2.1/24']", "collector.allow: '192.0.2.1/24'"),
        ("[exporters.router]\nsampling = 1", "exporters.'router'"),
        ("[exporters.'192.0.2.1/24']\nsampling = 1", "exporters.'192.0.2.1/24'"),
        ("[exporters.'192.0.2.1']\nsampling = -5", "exporters.'192.0.2.1'.sampling is -5"),
        ("[exporters.'192.0.2.1']\nrate = 5", "rate"),
        (f"[exporters.'192.0.2.1']\nname = '{'x' * 65}'", "exporters.'192.0.2.1'.name has 65 characters; at most 64"),
        ("[collector]\nreceive_buffer = 'lots'", "collector.receive_buffer: 'lots'"),
        ("[store]\npath = 1", "store.path"),
        ("[display]\nrefresh = 0.1", "display.refresh is 0.1"),
        ("[display]\nrefresh = nan", "display.refresh is nan"),
        ("[display]\nrefresh = 61", "display.refresh is 61"),
        ("[display]\nunits = 'metric'", "display.units is 'metric'"),
        ("[display]\nmax_values = 0", "display.max_values is 0"),
        ("[display]\nmax_values = 251", "display.max_values is 251"),
        ("[display]\nmaximum_chart_resolution = 1", "display.maximum_chart_resolution is 1"),
        ("[display]\ntheme = 1", "display.theme"),
        ("[display.keys]\na = 1", "display.keys"),
        ("[elements]\n1 = 1", "elements"),
        ("[elements]\n'9/x' = 'user_name'", '"9/x" is no information element'),
        ("[elements]\n'9/12235' = 'aplication_name'", "did you mean application_name?"),
        ("collector = 1", "collector"),
        ("[collector", "not TOML"),
        ("a = " + "[" * 5000, "not TOML"),
    ],
)
def test_mistake_names_file_and_key(text: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(text.encode(), "some/file.toml")
    assert str(caught.value).startswith("some/file.toml: ")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.one_of(st.binary(), st.text().map(str.encode)))
def test_any_octets_are_a_configuration_or_a_mistake(text: bytes) -> None:
    try:
        config.parse(text, "here")
    except ConfigError as error:
        assert str(error).startswith("here: ")


def test_named_file_must_be_there(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(ConfigError, match=r"none\.toml: no such file"):
        config.load(missing)
    with pytest.raises(ConfigError, match=str(tmp_path)):
        config.load(tmp_path)


def test_default_file_may_be_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFTUI_CONFIG", str(tmp_path / "nftui.toml"))
    assert config.load() == Config()
    (tmp_path / "nftui.toml").write_bytes(EVERY_KEY)
    assert config.load().collector.interval == 60


@pytest.mark.parametrize(
    ("user", "file", "data"), [(0, "/etc/nftui/nftui.toml", "/var/lib/nftui"), (1000, "conf/nftui/nftui.toml", "state/nftui")]
)
def test_places(user: int, file: str, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NFTUI_CONFIG", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "conf"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert config.default_path() == tmp_path / file
    assert config.default_data() == tmp_path / data
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/nftui:/var/lib/more")
    assert config.default_data() == Path("/var/lib/nftui")


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("0", 0),
        ("1500", 1500),
        ("32M", 32_000_000),
        ("32 mb", 32_000_000),
        ("32MiB", 33_554_432),
        ("1Ki", 1024),
        ("2G", 2 * 10**9),
        (" 1T ", 10**12),
    ],
)
def test_size(text: str, octets: int) -> None:
    assert config.size(text) == octets


@pytest.mark.parametrize("text", ["", "M", "-1", "1.5M", "32X", "32 M B", "1i", "٣", "9" * 5000])
def test_no_size(text: str) -> None:
    with pytest.raises(ConfigError, match="is no size"):
        config.size(text)
