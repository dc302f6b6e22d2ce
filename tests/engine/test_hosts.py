"""The user's own names."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nftui.engine import hosts
from nftui.engine.hosts import Hosts

LINES = """
127.0.0.1   localhost loopback
192.0.2.7   mail.example.org mail   # comes first
192.0.2.7   other
192.0.2.0/24 office
192.0.2.64/26 guests
2001:db8::1 six
2001:db8::/32 lab
# 198.51.100.1 nothing
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text(LINES)
    return path


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "mail.example.org"),
        ("192.0.2.8", "office"),
        ("192.0.2.65", "guests"),
        ("192.0.3.1", None),
        ("2001:db8::1", "six"),
        ("2001:db8:1::1", "lab"),
        ("2001:db9::1", None),
        ("198.51.100.1", None),
        ("no address", None),
    ],
)
def test_own_name_then_that_of_the_narrowest_network(file: Path, address: str, name: str | None) -> None:
    assert Hosts(file).name(address) == name
    assert Hosts(file).shared(address) == (name in ("office", "guests", "lab"))


def test_a_name_stands_for_all_its_lines(file: Path) -> None:
    own = Hosts(file)
    assert own.networks("MAIL") == (ip_network("192.0.2.7/32"),)
    assert own.networks("guests") == (ip_network("192.0.2.64/26"),)
    assert own.networks("nobody") == ()


def test_no_file_is_no_names(tmp_path: Path) -> None:
    assert Hosts(None).name("192.0.2.7") is None and Hosts(None).note == ""
    absent = Hosts(tmp_path / "absent")
    assert absent.name("192.0.2.7") is None
    assert "absent: No such file" in absent.note and "names.hosts" in absent.note


def test_wrong_lines_are_counted_and_named(file: Path) -> None:
    file.write_text("192.0.2.1 good\n192.0.2.300 bad\n192.0.2.2\n192.0.2.3 with(bracket)\n192.0.2.4 good2\n\x1b]52;c;x\x07 y\n")
    own = Hosts(file)
    assert own.name("192.0.2.1") == "good" and own.name("192.0.2.4") == "good2"
    assert own.note == f"{file}: 4 lines are no `ADDRESS NAME` or `NETWORK NAME` and are left out: 2, 3, 4, …"


def test_a_changed_file_is_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "LOOK_PAUSE_S", 0.0)
    own = Hosts(file)
    file.write_text("192.0.2.7 renamed\n")
    assert own.name("192.0.2.7") == "renamed"
    moved = file.with_name("other")
    moved.write_text("192.0.2.7 replaced\n")
    moved.replace(file)
    assert own.name("192.0.2.7") == "replaced"
    file.unlink()
    assert own.name("192.0.2.7") == "replaced" and own.note
    file.write_text("192.0.2.7 again\n")
    assert own.name("192.0.2.7") == "again" and not own.note


def test_a_file_that_is_too_large_is_cut(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "LARGEST", 1 << 20)
    file.write_text("192.0.2.7 first\n" * 100_000)
    own = Hosts(file)
    assert own.name("192.0.2.7") == "first" and "only its first 1 MiB" in own.note


@given(octets=st.binary(max_size=200))
def test_any_file_is_read_or_told_of(tmp_path_factory: pytest.TempPathFactory, octets: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / f"hosts-{os.getpid()}"
    path.write_bytes(octets + b"\n192.0.2.77 last\n")
    own = Hosts(path)
    assert own.name("192.0.2.77") is not None
    assert own.note.isprintable()
