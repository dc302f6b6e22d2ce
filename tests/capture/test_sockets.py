"""What `listen` entries mean, and what is said of sockets that can't be had."""

from __future__ import annotations

import errno
import socket
from contextlib import closing

import pytest

from nftui.capture import sockets
from nftui.capture.datagrams import UdpReceiver
from nftui.capture.sockets import KINDS, MAPPED_PREFIX, bound, parse_listen, require_transport, sixteen
from nftui.errors import ConfigError, ListenError
from tests.capture.test_datagrams import arrived, send


def has_transport(transport: str) -> bool:
    try:
        socket.socket(socket.AF_INET, *KINDS[transport]).close()
    except OSError:
        return False
    return True


STREAMS = [transport for transport in ("tcp", "sctp") if has_transport(transport)]
"""Those that this kernel has; of one that it has not, the test below asks what is said."""
transports = pytest.mark.parametrize("transport", ["udp", *STREAMS])


@transports
@pytest.mark.parametrize("listen", ["127.0.0.1", None])
def test_port_in_use(transport: str, listen: str | None) -> None:
    with closing(bound(listen, 0, transport)) as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            bound(listen, port, transport)
    where = f"{port}" if transport == "udp" else f"{port}/{transport}"
    assert f"{where} in use: another collector? stop it or choose --listen" in str(caught.value)
    assert caught.value.port == port


@transports
def test_address_of_another_host(transport: str) -> None:
    with pytest.raises(ListenError, match=r"192\.0\.2\.77: no address of this host"):
        bound("192.0.2.77", 0, transport)


def test_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    bind = sockets._bind

    def no_ipv6(family: socket.AddressFamily, *rest: object, **named: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return bind(family, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(sockets, "_bind", no_ipv6)
    with UdpReceiver(None, 0) as receiver:
        send("127.0.0.1", receiver.port, b"x")
        assert arrived(receiver).exporter[0].tobytes() == MAPPED_PREFIX + bytes([127, 0, 0, 1])


@pytest.mark.parametrize(
    ("transport", "number", "said"),
    [
        ("udp", errno.EACCES, r"^port 514 not permitted: .*CAP_NET_BIND_SERVICE"),
        ("tcp", errno.EPERM, r"^port 514/tcp not permitted: .*CAP_NET_BIND_SERVICE"),
        ("sctp", errno.EPROTONOSUPPORT, r"^sctp is not available in this kernel; .*modprobe sctp"),
        ("sctp", errno.ESOCKTNOSUPPORT, r"^sctp is not available in this kernel; .*modprobe sctp"),
        ("tcp", errno.ENOBUFS, r"^can't listen on 514/tcp: "),
    ],
)
def test_what_the_kernel_refuses(transport: str, number: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> socket.socket:
        raise OSError(number, "No")

    monkeypatch.setattr(sockets, "_bind", refused)
    with pytest.raises(ListenError, match=said) as caught:
        bound(None, 514, transport)
    assert "\n" not in str(caught.value)


def test_a_transport_that_the_kernel_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for transport in ("udp", "tcp"):
        require_transport(transport)
    monkeypatch.setitem(KINDS, "sctp", (socket.SOCK_STREAM, 253))
    with pytest.raises(ListenError, match=r"^sctp is not available in this kernel"):
        require_transport("sctp")
    with pytest.raises(ListenError, match=r"^sctp is not available in this kernel"):
        bound(None, 9995, "sctp")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("9995", (None, 9995, "udp")),
        ("9995/udp", (None, 9995, "udp")),
        ("192.0.2.1:2055/UDP", ("192.0.2.1", 2055, "udp")),
        ("[2001:db8::1]:4739", ("2001:db8::1", 4739, "udp")),
        ("4739/tcp", (None, 4739, "tcp")),
        ("192.0.2.1:4739/tcp", ("192.0.2.1", 4739, "tcp")),
        (" [::1]:4739/SCTP ", ("::1", 4739, "sctp")),
        ("6343/udp", (None, 6343, "udp")),
    ],
)
def test_listen_text(text: str, parsed: tuple[str | None, int, str]) -> None:
    assert parse_listen(text) == parsed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no address to listen on"),
        ("x", "no address to listen on"),
        ("2001:db8::1:4739", "no address to listen on"),
        ("tcp/9995", "no address to listen on"),
        ("9995/", "no address to listen on"),
        ("9995/tcp/udp", "no address to listen on"),
        ("\u0669\u0669\u0669\u0665", "no address to listen on"),
        ("0", "port 0 is not in"),
        ("65536", "port 65536 is not in"),
        ("host.example:9995", "no IP address"),
        ("9995/quic", "no transport 'quic'; write /udp, /tcp or /sctp"),
        ("6343/tcp", "only sFlow is taken"),
        ("[::1]:6343/sctp", "only sFlow is taken"),
    ],
)
def test_bad_listen_text(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_listen(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("127.0.0.1", MAPPED_PREFIX + bytes([127, 0, 0, 1])),
        ("::ffff:127.0.0.1", MAPPED_PREFIX + bytes([127, 0, 0, 1])),
        ("::1", bytes(15) + b"\x01"),
        ("fe80::1%eth0", b"\xfe\x80" + bytes(13) + b"\x01"),
    ],
)
def test_addresses_are_sixteen_octets(text: str, octets: bytes) -> None:
    assert sixteen(text) == octets
