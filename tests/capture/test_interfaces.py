"""The interfaces of a network, as the kernel tells of them to the thread that asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from nftui.capture.probe.interfaces import Interface, find, interfaces, look, name_of, own_address
from nftui.errors import InterfaceError
from tests.real import namespace


def test_the_loopback_is_there_and_counts_once() -> None:
    lo = next(one for one in interfaces() if one.name == "lo")
    assert lo.index == 1 and lo.loopback and lo.hardware == 772 and "127.0.0.1" in lo.addresses
    assert lo.octets == lo.received[0] and lo.packets == lo.received[1]
    assert own_address()


def test_one_is_looked_for_by_its_name() -> None:
    lo = find("lo")
    assert (lo.index, lo.hardware, lo.up, lo.loopback, lo.link, lo.framed, name_of(lo.index)) == (1, 772, True, True, 1, True, "lo")
    assert [look(name) for name in ("no-such0", "lo:1", "", "sixteen-octets00")] == [None] * 4
    with pytest.raises(InterfaceError, match=r"no-such0.*there are: .*\blo\b"):
        find("no-such0")


def test_a_network_has_its_own() -> None:
    links: dict[str, Interface] = {}

    def inside() -> None:
        near, far = namespace.link()
        namespace.ip("addr", "add", "192.0.2.7/24", "dev", near)
        namespace.ip("addr", "add", "2001:db8::7/64", "dev", near, "nodad")
        links.update({one.name: one for one in interfaces()})
        assert own_address() == "192.0.2.7"
        namespace.ip("link", "set", far, "down")
        links["after"] = next(one for one in interfaces() if one.name == near)

    with ThreadPoolExecutor(1) as executor:
        executor.submit(namespace.inside, inside).result()
    near, far, after = links["near0"], links["far0"], links["after"]
    assert (near.hardware, near.mtu, near.up, near.running, far.up) == (1, 9000, True, True, True)
    assert (after.up, after.running) == (True, False)
    assert near.addresses[:2] == ("192.0.2.7", "2001:db8::7")
