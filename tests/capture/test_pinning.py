"""An exporter's datagrams reach one socket of several, whatever port they come from, and it is the one that is foretold."""

from __future__ import annotations

import errno
import ipaddress
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from threading import Thread

import numpy as np
import pytest

from nftui.capture import sockets
from nftui.capture.pinning import processes_of, program
from nftui.capture.sockets import bound, bound_together, can_deal, sixteen
from nftui.errors import ListenError
from tests.real import namespace

PORTS = 4
FOUR = [f"127.0.{place // 256}.{1 + place % 256 % 250}" for place in range(64)]


@contextmanager
def together(address: str | None, number: int, port: int = 0) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        group = [stack.enter_context(closing(one)) for one in bound_together(address, port, number)]
        for one in group:
            one.settimeout(5)
        yield group


def belongs(address: str, processes: int) -> int:
    return int(processes_of(np.frombuffer(sixteen(address), np.uint8).reshape(1, 16), processes)[0])


def check(group: list[socket.socket], sources: list[str], target: str) -> list[int]:
    """Send from some ports of each source; return to which socket each went, having seen that no other got anything."""
    found, port = [], group[0].getsockname()[1]
    for source in sources:
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        expected = belongs(source, len(group))
        for number in range(PORTS):
            with socket.socket(family, socket.SOCK_DGRAM) as exporter:
                exporter.bind((source, 0))
                exporter.sendto(bytes([number]), (target, port))
        for number in range(PORTS):
            assert group[expected].recv(9) == bytes([number])
        found.append(expected)
    for one in group:
        one.setblocking(False)
        with pytest.raises(BlockingIOError):
            one.recv(9)
    return found


@pytest.mark.parametrize("address", [None, "127.0.0.1"])
@pytest.mark.parametrize("number", [2, 3, 8])
def test_an_exporter_reaches_one_socket_from_all_its_ports(address: str | None, number: int) -> None:
    with together(address, number) as group:
        assert set(check(group, FOUR, "127.0.0.1")) == set(range(number))


def test_exporters_of_both_families_on_one_port() -> None:
    chance = random.Random(5)
    # Of one network, of several, and such whose words would cancel if they were only added.
    six = [f"2001:db8::{place:x}" for place in range(1, 25)]
    six += [f"2001:db8:{chance.randrange(2**16):x}::1" for _ in range(12)]
    six += [str(ipaddress.IPv6Address(bytes([0xFD, 0, place, 7] * 4))) for place in range(12)]
    failed: list[BaseException] = []

    def inside() -> None:
        for source in six:
            namespace.ip("addr", "add", f"{source}/128", "dev", "lo", "nodad")
        with together(None, 4) as group:
            assert set(check(group, six, "::1")) == set(range(4))
            for one in group:
                one.settimeout(5)
            assert set(check(group, FOUR, "127.0.0.1")) == set(range(4))
        with together("::1", 2) as group:
            check(group, six, "::1")

    def run() -> None:
        try:
            namespace.inside(inside)
        except BaseException as error:  # noqa: BLE001 - skips too are for the test's own thread
            failed.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def test_exporters_fall_evenly() -> None:
    """As evenly as a fair die would have them, whatever they have in common."""
    number, processes = 4096, 8
    alike = np.zeros((number, 16), np.uint8)
    alike[:, 10:12] = 0xFF
    places = np.arange(number)
    neighbours, networks, hosts = alike.copy(), alike.copy(), np.zeros((number, 16), np.uint8)
    neighbours[:, 12:] = (0x0A000000 + places).astype(">u4").view(np.uint8).reshape(-1, 4)
    networks[:, 12:] = (0x0A000001 + places * 256).astype(">u4").view(np.uint8).reshape(-1, 4)
    hosts[:, :2], hosts[:, 12:] = (0x20, 0x01), networks[:, 12:]
    for some in (neighbours, networks, hosts):
        counts = np.bincount(processes_of(some, processes), minlength=processes)
        chi_square = ((counts - number / processes) ** 2 / (number / processes)).sum()
        assert chi_square < 30, counts  # 7 degrees of freedom: one in ten thousand is above


def test_a_port_of_somebody_else_is_in_use_whether_they_share_it_or_not() -> None:
    for shares in (False, True):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
            other.bind(("127.0.0.1", 0))
            port = other.getsockname()[1]
            with pytest.raises(ListenError, match=f"port 127.0.0.1:{port} in use"):
                bound_together("127.0.0.1", port, 2)
    with together("127.0.0.1", 2) as group:
        port = group[0].getsockname()[1]
        for again in (lambda: bound("127.0.0.1", port), lambda: bound_together("127.0.0.1", port, 2)):
            with pytest.raises(ListenError, match="in use"):
                again()


def test_whoever_joins_later_gets_nothing() -> None:
    with together("127.0.0.1", 2) as group, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(group[0].getsockname())
        check(group, FOUR, "127.0.0.1")
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(9)


def test_what_the_kernel_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_deal()

    def refused(*_: object) -> None:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    monkeypatch.setattr(sockets, "_deal_by_source", refused)
    assert not can_deal()
    with pytest.raises(ListenError, match=r"can't listen on 127.0.0.1:\d+: Protocol not available"):
        bound_together("127.0.0.1", 0, 2)


def test_program_is_short() -> None:
    assert len(program(64)) < 8 * 64
