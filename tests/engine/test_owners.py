"""Owners of flows: real sockets of this process, TCP and UDP, IPv4 and IPv6, by both ends and by the port alone."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pytest

from nftui.engine import owners
from nftui.engine.owners import Owners
from nftui.schema import POLARS
from nftui.units import SECOND, address_octets

HERE = f"{Path('/proc/self/comm').read_text('ascii').strip()} {os.getpid()}"


def flow(protocol: int, source: tuple[str, int], destination: tuple[str, int], start: int, end: int) -> dict[str, object]:
    return {
        "flow_start": start, "flow_end": end, "protocol": protocol, "source_address": address_octets(source[0]),
        "source_port": source[1], "destination_address": address_octets(destination[0]), "destination_port": destination[1],
    }  # fmt: skip


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    made = pl.DataFrame(list(rows))
    return made.cast({name: POLARS[name] for name in made.columns})


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


def connected(stack: ExitStack, family: socket.AddressFamily, address: str) -> tuple[tuple[str, int], tuple[str, int], ExitStack]:
    """Return both ends of a connection of this process over the loopback, and what closes it."""
    inner = stack.enter_context(ExitStack())
    listening = inner.enter_context(socket.socket(family, socket.SOCK_STREAM))
    listening.bind((address, 0))
    listening.listen()
    client = inner.enter_context(socket.socket(family, socket.SOCK_STREAM))
    client.connect(listening.getsockname()[:2])
    inner.enter_context(listening.accept()[0])
    return client.getsockname()[:2], client.getpeername()[:2], inner


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_connection_is_of_its_process_both_ways(stack: ExitStack, family: socket.AddressFamily, address: str) -> None:
    one, other, closing = connected(stack, family, address)
    known, now = Owners(), time.time_ns() // 1000
    known.look()
    closing.close()
    known.look()  # the connection is gone, and still known
    flows = frame(
        flow(6, one, other, now - SECOND, now),
        flow(6, other, one, now - SECOND, now),
        flow(6, one, ("192.0.2.1", other[1]), now - SECOND, now),  # to somebody else
        flow(17, one, other, now - SECOND, now),
    )
    found = known.of(flows)
    assert found is not None and found.to_list() == [HERE, HERE, None, None]


def test_a_socket_that_talks_to_anybody_owns_what_comes_to_its_port_here(stack: ExitStack) -> None:
    open_to_all = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    open_to_all.bind(("0.0.0.0", 0))
    at_one = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    at_one.bind(("::1", 0))
    known, now = Owners(), time.time_ns() // 1000
    known.look()
    port, bound, far = open_to_all.getsockname()[1], at_one.getsockname()[1], ("192.0.2.9", 53)
    flows = frame(
        flow(17, far, ("127.0.0.1", port), now, now),
        flow(17, ("127.0.0.1", port), far, now, now),
        flow(17, far, ("192.0.2.77", port), now, now),  # passes through, to a host that isn't this one
        flow(17, ("2001:db8::1", 53), ("::1", bound), now, now),
        flow(17, far, ("127.0.0.1", bound), now, now),  # another address than the one it is bound to
    )
    found = known.of(flows)
    assert found is not None and found.to_list() == [HERE, HERE, None, HERE, None]


def test_a_port_that_others_had_before_is_not_taken_for_theirs(stack: ExitStack) -> None:
    clock = [1000 * SECOND]
    known = Owners(clock=lambda: clock[0])
    known.look()
    clock[0] += 10 * SECOND
    one, other, closing = connected(stack, socket.AF_INET, "127.0.0.1")
    known.look()
    closing.close()
    clock[0] += 60 * SECOND
    known.look()
    times = [(990, 999), (1003, 1008), (1009, 1050), (1020, 1050)]
    found = known.of(frame(*(flow(6, one, other, start * SECOND, end * SECOND) for start, end in times)))
    assert found is not None and found.to_list() == [None, HERE, HERE, None]


def test_what_is_remembered_is_bounded(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "MOST", 1)
    clock = [1000 * SECOND]
    known = Owners(clock=lambda: clock[0])
    one, other, _ = connected(stack, socket.AF_INET, "127.0.0.1")
    known.look()
    assert len(known._seen) == 1
    clock[0] += owners.HOLD + SECOND
    assert known.of(frame(flow(6, one, other, 0, SECOND))) is None, "an hour and more ago"


def test_what_cannot_be_read_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_bytes(b"  sl  local_address\n   0: garbage\n\xff\xfe\n")
    known = Owners(tmp_path)
    known.look()
    assert known.of(frame(flow(6, ("127.0.0.1", 1), ("127.0.0.1", 2), 0, 0))) is None
    assert Owners().of(pl.DataFrame()) is None
