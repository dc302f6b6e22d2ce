"""The configuration key by key: what holds, from where, and a file that is changed or left as it was."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui import config
from nftui.config import Config
from nftui.engine.settings import Setting, change, chosen, in_toml, resolved
from nftui.engine.settings import settings as all_settings
from nftui.errors import ConfigError, UsageError
from tests.test_config import EVERY_KEY

MINE = """\
# mine
[collector]
interval = 60   # often
listen = ["9995/udp"]

[exporters."192.0.2.0/24"]  # the edge
sampling = 100

[display]
keys = { "live.pause" = "p" }
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    path = tmp_path / "nftui.toml"
    path.write_text(MINE)
    return path


def test_each_key_with_what_holds_and_where_it_comes_from(path: Path) -> None:
    found = {one.name: (one.value, one.origin) for one in all_settings(path)}
    assert found["collector.interval"] == (60, str(path))
    assert found["collector.listen"] == (("9995/udp",), str(path))
    assert found["collector.processes"] == (1, "default")
    assert found['exporters."192.0.2.0/24".sampling'] == (100, str(path))
    assert found['exporters."192.0.2.0/24".name'] == ("", "default")
    assert found['display.keys."live.pause"'] == ("p", str(path))
    assert found["store.path"] == ("", "default")


def test_as_toml_they_are_the_configuration(path: Path) -> None:
    for text in (MINE.encode(), EVERY_KEY, b""):
        path.write_bytes(text)
        shown = "\n".join(f"{one.name} = {one.toml}" for one in all_settings(path))
        assert config.parse(shown.encode(), "shown") == config.parse(text, "here")


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert {one.origin for one in all_settings(tmp_path / "none.toml")} == {"default"}


def test_the_data_directory_may_be_the_services(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/nftui:/x")
    (one,) = chosen(path, "store.path")
    assert (one.value, one.origin) == ("/var/lib/nftui", "environment, STATE_DIRECTORY")
    change(path, "store.path", "/data")
    assert chosen(path, "store.path") == [Setting(("store", "path"), "/data", str(path))]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("collector.interval", [60]),
        ("exporters.192.0.2.0/24.sampling", [100]),
        ('exporters."192.0.2.0/24".sampling', [100]),
        ("display.keys.live.pause", ["p"]),
        ('display.keys."live.pause"', ["p"]),
        ("snmp", ["", (), 3600, 161]),
    ],
)
def test_get(path: Path, name: str, values: list[object]) -> None:
    assert [one.value for one in chosen(path, name)] == values


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("colector.interval", "did you mean collector.interval"),
        ("collector.interval.x", "is no key"),
        ("", "is no key"),
        (".", "is no key"),
        ("elements.9/1", "is not set"),
        ("exporters.192.0.2.1.colour", "is no key"),
        ("exporters.sampling", "is no key"),
        ("x\x1b[1m", "is no key"),
    ],
)
def test_keys_that_are_none(path: Path, name: str, message: str) -> None:
    with pytest.raises((UsageError, ConfigError), match=message) as caught:
        chosen(path, name)
    assert isinstance(caught.value, UsageError) == ("is not set" not in str(caught.value))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("collector.interval", "120", "interval = 120   # often"),
        ("collector.enabled", "false", "enabled = false"),
        ("collector.listen", "9995/udp, [::1]:4739/tcp", 'listen = ["9995/udp", "[::1]:4739/tcp"]'),
        ("collector.listen", '["9995"]', 'listen = ["9995"]'),
        ("collector.allow", "", "allow = []"),
        ("store.path", '~/"my" flows', 'path = "~/\\"my\\" flows"'),
        ("store.max_lifespan", "0.5", "max_lifespan = 0.5"),
        ("store.max_size", "200G", 'max_size = "200G"'),
        ("display.keys.live.pause", "space", 'keys = { "live.pause" = "space" }'),
        ("exporters.192.0.2.0/24.name", "edge", 'name = "edge"'),
        ("exporters.2001:db8::1.sampling", "10", '[exporters."2001:db8::1"]'),
        ("elements.9/12235", "application_name", '"9/12235" = "application_name"'),
        ("snmp.community", "12", 'community = "12"'),
    ],
)
def test_set_changes_one_key_and_nothing_else(path: Path, name: str, text: str, line: str) -> None:
    path.chmod(0o600)
    before = {one.key: one.value for one in all_settings(path)}
    changed = change(path, name, text)
    assert line in path.read_text().splitlines()
    after = {one.key: one.value for one in all_settings(path)}
    assert after[changed.key] == changed.value
    assert {key: after[key] for key in before if key != changed.key} == {key: before[key] for key in before if key != changed.key}
    assert "# mine" in path.read_text() and "# the edge" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["nftui.toml"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("collector.interval", "1", "nftui.toml: collector.interval is 1; it takes 2 to 86400 seconds; nothing was changed"),
        ("collector.interval", "soon", "nftui.toml: collector.interval: Expected `int`, got `str`; nothing was changed"),
        ("collector.interval", "1\ncolour = 5", "collector.interval: Expected `int`"),
        ("collector.enabled", "yes", "collector.enabled: Expected `bool`"),
        ("collector.allow", "10.0.0.0/8,x", "collector.allow: 'x'"),
        ("display.units", "metric", "it takes si or iec"),
        ("exporters.x.sampling", "5", "exporters.'x'"),
        ("elements.x", "y", "nothing was changed"),
        ("collector.colour", "5", "is no key"),
        ("collector", "5", "is no key"),
        ("exporters", "5", "is no key"),
        ("display.keys", "p", "is no key"),
    ],
)
def test_a_wrong_value_leaves_the_file_untouched(path: Path, name: str, text: str, message: str) -> None:
    before = path.stat()
    with pytest.raises((UsageError, ConfigError)) as caught:
        change(path, name, text)
    assert isinstance(caught.value, UsageError) == (message == "is no key")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (path.read_text(), path.stat().st_mtime_ns, path.stat().st_ino) == (MINE, before.st_mtime_ns, before.st_ino)


def test_a_wrong_key_can_be_mended(path: Path) -> None:
    path.write_text("[collector]\ninterval = 'x'\n")
    with pytest.raises(ConfigError, match=r"collector\.interval"):
        all_settings(path)
    with pytest.raises(ConfigError, match=r"collector\.interval"):
        change(path, "collector.processes", "2")
    change(path, "collector.interval", "60")
    assert config.load(path) == Config(collector=config.CollectorSettings(interval=60))


@pytest.mark.parametrize("text", ["[collector", "collector = 5", "[[collector]]\n", "\ufeff[", "a.b = 1\n[a]\nc = 2"])
def test_a_file_that_is_none_is_not_edited(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"nftui\.toml"):
        change(path, "collector.interval", "60")
    assert path.read_text() == text


def test_a_file_and_its_directory_are_made(tmp_path: Path) -> None:
    path = tmp_path / "config" / "nftui.toml"
    change(path, "collector.interval", "60")
    assert path.read_text() == "[collector]\ninterval = 60\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_one(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link" / "nftui.toml"
    link.parent.mkdir()
    link.symlink_to(path)
    change(link, "collector.interval", "120")
    assert link.is_symlink()
    assert "interval = 120   # often" in path.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away, which only root may")
def test_owner_and_group_stay(path: Path) -> None:
    os.chown(path, 65534, 65533)
    path.chmod(0o640)
    change(path, "snmp.community", "secret")
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65533, 0o640)


def test_secrets_are_known() -> None:
    assert Setting(("snmp", "community"), "x", "default").secret
    assert not Setting(("snmp", "community"), "", "default").secret


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.text(max_size=30), st.integers(-(2**60), 2**60), st.booleans(), st.lists(st.text(max_size=5)).map(tuple)))
def test_any_value_is_toml_on_one_line(value: object) -> None:
    import tomli

    if isinstance(value, (str, tuple)) and any(0xD800 <= ord(one) < 0xE000 for one in "".join(value)):
        return
    text = in_toml(value)
    assert "\n" not in text
    assert tomli.loads(f"x = {text}")["x"] == (list(value) if isinstance(value, tuple) else value)


def test_every_key_can_be_named() -> None:
    for one in [Setting(("exporters", "192.0.2.1", "name"), "", ""), Setting(("display", "keys", 'a"b'), "", "")]:
        assert json.loads(json.dumps(one.name)) == one.name
    found = resolved("exporters.192.0.2.1.name")
    assert found is not None and found[0] == ("exporters", "192.0.2.1", "name")
