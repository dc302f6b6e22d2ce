"""Looking up names: nobody waits who didn't say so, everything is bounded, and what comes back is a name or nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nftui.config import NameSettings
from nftui.engine import resolving
from nftui.engine.resolving import Resolver, usable
from nftui.errors import ResolveError
from nftui.printable import printable

DNS = NameSettings(resolve=True, timeout=0.3)


class Server:
    """Stands where the system's resolver does, and says what it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = self.most = 0
        self.answer: Callable[[str], str | None] = lambda address: f"host-{address.replace('.', '-')}.example"
        self._lock = threading.Lock()

    def __call__(self, address: str) -> str | None:
        with self._lock:
            self.asked.append(address)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        try:
            return self.answer(address)
        finally:
            with self._lock:
                self.at_once -= 1


def addresses(count: int, start: int = 0) -> list[str]:
    return [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(start + 1, start + count + 1)]


def test_what_is_not_known_is_looked_up_for_whoever_looks_again() -> None:
    server = Server()
    resolver = Resolver(DNS, reverse=server)
    assert resolver.look(["10.0.0.1"]) == {}
    assert resolver.wait(["10.0.0.1"], 5) == ({"10.0.0.1": "host-10-0-0-1.example"}, 0)
    assert resolver.look(["10.0.0.1"]) == {"10.0.0.1": "host-10-0-0-1.example"}
    assert server.asked == ["10.0.0.1"]


def test_nobody_is_asked_unless_allowed(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("10.0.0.2 own\n")
    server = Server()
    resolver = Resolver(NameSettings(hosts=str(tmp_path / "hosts")), tmp_path / "names", server)
    assert resolver.wait(["10.0.0.1", "10.0.0.2"], 5) == ({"10.0.0.2": "own"}, 0)
    resolver.close()
    assert server.asked == [] and not (tmp_path / "names").exists()


def test_own_names_come_first_and_are_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("10.0.0.0/24 own\n")
    server = Server()
    resolver = Resolver(NameSettings(resolve=True, hosts=str(tmp_path / "hosts")), reverse=server)
    found, left = resolver.wait(["10.0.0.1", "10.0.1.1"], 5)
    assert found == {"10.0.0.1": "own", "10.0.1.1": "host-10-0-1-1.example"} and left == 0
    assert server.asked == ["10.0.1.1"]


def test_a_look_never_waits_and_few_ask_at_a_time() -> None:
    server = Server()
    hold = threading.Event()
    server.answer = lambda address: (hold.wait(10) and "late.example") or None
    resolver = Resolver(NameSettings(resolve=True, timeout=60), reverse=server)
    began = time.monotonic()
    for _ in range(20):
        assert resolver.look(addresses(500)) == {}
    assert time.monotonic() - began < 1
    hold.set()
    found, left = resolver.wait(addresses(500), 10)
    assert len(found) == 500 and left == 0
    assert server.most <= resolving.WORKERS and sorted(server.asked) == sorted(addresses(500))


def test_threads_that_hang_are_left_behind_up_to_a_limit() -> None:
    server = Server()
    hold = threading.Event()
    server.answer = lambda address: (hold.wait(30) and "late.example") or None
    before = threading.active_count()
    resolver = Resolver(NameSettings(resolve=True, timeout=0.1), reverse=server)
    found, left = resolver.wait(addresses(100), 1.0)
    assert found == {} and left == 100
    assert threading.active_count() - before <= resolving.MOST_THREADS
    assert resolving.WORKERS < server.most <= resolving.MOST_THREADS
    hold.set()
    found, left = resolver.wait(addresses(20, start=200), 5)
    assert len(found) == 20 and left == 0
    end = time.monotonic() + 5
    while not resolver.look(server.asked[:1]) and time.monotonic() < end:
        time.sleep(0.01)
    assert resolver.look(server.asked[:1]) == {server.asked[0]: "late.example"}, "what came late is taken all the same"


def test_what_waits_is_bounded_and_the_newest_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "MOST_WAITING", 10)
    server = Server()
    hold = threading.Event()
    server.answer = lambda address: (hold.wait(10) and "one.example") or None
    resolver = Resolver(NameSettings(resolve=True, timeout=60), reverse=server)
    resolver.look(addresses(4))
    while server.at_once < 4:
        time.sleep(0.01)
    resolver.look(addresses(1000, start=10))
    resolver.look(addresses(3, start=5000))
    hold.set()
    resolver.wait(addresses(3, start=5000), 5)
    while server.at_once or len(server.asked) < 14:
        time.sleep(0.01)
    assert len(server.asked) == 14 and set(server.asked[4:7]) == set(addresses(3, start=5000))


def test_names_kept_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resolving, "MOST_KEPT", 50)
    resolver = Resolver(DNS, tmp_path / "names", Server())
    for start in range(0, 200, 20):
        resolver.wait(addresses(20, start), 5)
    resolver.close()
    assert len(json.loads((tmp_path / "names").read_text())["names"]) == 50


def test_no_name_is_an_answer_and_a_failure_is_none() -> None:
    server = Server()

    def answer(address: str) -> str | None:
        if address == "10.0.0.2":
            raise OSError("nobody there")
        return None

    server.answer = answer
    resolver = Resolver(DNS, reverse=server)
    assert resolver.wait(["10.0.0.1", "10.0.0.2", "0.0.0.0", "224.0.0.1", "text"], 5) == ({}, 1)
    resolver.wait(["10.0.0.1", "10.0.0.2"], 5)
    assert sorted(server.asked) == ["10.0.0.1", "10.0.0.2"]


def test_what_was_found_is_kept_for_the_next_run(tmp_path: Path) -> None:
    cache = tmp_path / "user" / "names"
    first = Resolver(DNS, cache, Server())
    first.wait(addresses(3), 5)
    first.close()
    assert cache.stat().st_mode & 0o777 == 0o600
    server = Server()
    assert Resolver(DNS, cache, server).look(addresses(3)).keys() == set(addresses(3))
    assert server.asked == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"{}",
        b'{"version": 1, "names": {"10.0.0.1": ["evil\\u001b]52;c;x", 9999999999]}}',
        b'{"version": 1, "names": {"10.0.0.1": ["8.8.8.8", 9999999999]}}',
        b'{"version": 2, "names": {"10.0.0.1": ["name", 9999999999]}}',
        b'{"version": 1, "names": {"10.0.0.1": ["ever.example", 1e300]}}',
        b'{"version": 1, "names": {"10.0.0.1": ["past.example", 1]}}',
        b"\xff\xfe",
    ],
)
def test_a_file_of_names_that_is_none_is_left(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "names").write_bytes(content)
    assert Resolver(DNS, tmp_path / "names", Server()).look(["10.0.0.1"]) == {}


def test_a_file_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    resolver = Resolver(DNS, tmp_path / "file" / "names", Server())
    found, left = resolver.wait(["10.0.0.1"], 5)
    resolver.close()
    assert (set(found), left) == ({"10.0.0.1"}, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("www.example.org.", "www.example.org"),
        ("_dmarc.example-1.org", "_dmarc.example-1.org"),
        ("10.0.0.1", None),
        ("1.2.3", None),
        ("::1", None),
        ("evil\x1b]52;c;aGk=\x07.example", None),
        ("a b", None),
        ("a..b", None),
        ("[@click=app.quit]x", None),
        ("\u202eexample", None),
        ("x" * 64, None),
        (".".join(["a"] * 200), None),
        ("", None),
        (None, None),
    ],
)
def test_a_name_looks_like_one(told: str | None, name: str | None) -> None:
    assert usable(told) == name


@given(st.text(max_size=300))
def test_a_name_carries_nothing_else(told: str) -> None:
    name = usable(told)
    assert name is None or (printable(name, 300) == name and len(name) <= 253 and "[" not in name)


def test_a_hostile_name_is_no_name() -> None:
    server = Server()
    server.answer = lambda address: "\x1b[2J"
    assert Resolver(DNS, reverse=server).wait(["10.0.0.1"], 5) == ({}, 0)


def test_a_name_has_to_be_allowed(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("10.0.0.0/24 office\n")
    resolver = Resolver(NameSettings(hosts=str(tmp_path / "hosts")))
    assert [str(network) for network in resolver.addresses("Office")] == ["10.0.0.0/24"]
    with pytest.raises(ResolveError, match=r"example\.org has to be looked up; names\.resolve = true allows that, or --names"):
        resolver.addresses("example.org")
    with pytest.raises(ResolveError, match="is neither an address nor the name of a host"):
        Resolver(DNS).addresses("exa;mple")


def test_localhost_is_found_by_the_system() -> None:
    assert "127.0.0.1/32" in [str(network) for network in Resolver(DNS).addresses("localhost")]
    found, left = Resolver(NameSettings(resolve=True)).wait(["127.0.0.1"], 10)
    assert left == 0 and "127.0.0.1" in found


def test_what_a_name_stands_for_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def found(name: str, seconds: float) -> tuple[Any, ...]:
        asked.append(name)
        if name == "nobody.example":
            raise ResolveError(name, "has no address", "write the address")
        return (ip_network("192.0.2.1/32"),)

    monkeypatch.setattr(resolving, "_addresses_within", found)
    resolver = Resolver(DNS)
    assert resolver.stands_for("www.example") == ()
    for _ in range(3):
        assert [str(one) for one in resolver.addresses("WWW.example")] == ["192.0.2.1/32"]
        with pytest.raises(ResolveError, match="has no address"):
            resolver.addresses("nobody.example")
    assert asked == ["WWW.example", "nobody.example"]
    assert [str(one) for one in resolver.stands_for("www.example")] == ["192.0.2.1/32"] and resolver.stands_for(
        "nobody.example"
    ) == ()
    monkeypatch.setattr(resolving, "MOST_NAMES", 5)
    for number in range(20):
        resolver.addresses(f"host-{number}.example")
    assert len(resolver._addresses) == 5


def test_a_name_that_nobody_answers_for_takes_the_time_of_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = threading.Event()
    monkeypatch.setattr(resolving.socket, "getaddrinfo", lambda *words, **more: hold.wait(20) and [])
    began = time.monotonic()
    with pytest.raises(ResolveError, match=r"was not answered for within 0\.3 s"):
        Resolver(DNS).addresses("slow.example")
    assert time.monotonic() - began < 3
    hold.set()
