"""Sockets: what `listen` entries mean, sockets bound to them, and addresses as 16 octets."""

from __future__ import annotations

import ctypes
import errno
import re
import socket
import struct

from nftui.capture import pinning
from nftui.errors import ConfigError, ListenError

MAPPED_PREFIX = bytes(10) + b"\xff\xff"
SFLOW_PORT = 6343
"""Where only sFlow is taken."""
KINDS = {
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "sctp": (socket.SOCK_STREAM, 132),  # IPPROTO_SCTP, which not every Python names
}
"""Transport -> kind and protocol of its sockets; SCTP is of the one-to-one style (RFC 6458, section 4)."""
BACKLOG = 128
"""Connections that wait in the kernel to be accepted."""
_SO_RCVBUFFORCE, _SO_ATTACH_REUSEPORT_CBPF = 33, 51
_MISPLACED = 4096
_NO_SUCH_TRANSPORT = (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EINVAL)
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


def parse_listen(text: str) -> tuple[str | None, int, str]:
    """Parse `[ADDRESS:]PORT[/udp|tcp|sctp]`, an IPv6 address in brackets.

    Returns:
        The address or None for all, the port, and the transport.
    Raises:
        ConfigError: The text is something else, or asks for IPFIX where only sFlow is taken.
    """
    match = re.fullmatch(r"(?:(?:\[([^\]]+)\]|([^:\[\]/]+)):)?(\d{1,5})(?:/(\w+))?", text.strip(), re.ASCII)
    if not match:
        raise ConfigError(
            f"{text!r} is no address to listen on; write PORT, ADDRESS:PORT or [IPv6]:PORT, with /tcp or /sctp behind it for those"
        )
    address, port, transport = match[1] or match[2], int(match[3]), (match[4] or "udp").lower()
    if transport not in KINDS:
        raise ConfigError(f"{text!r}: no transport {transport!r}; write /udp, /tcp or /sctp")
    if not 0 < port < 65536:
        raise ConfigError(f"{text!r}: port {port} is not in 1 to 65535")
    if port == SFLOW_PORT and transport != "udp":
        raise ConfigError(f"{text!r}: on port {port} only sFlow is taken, which comes over udp; choose another port for IPFIX")
    if address is not None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            socket.inet_pton(family, address)
        except OSError as error:
            raise ConfigError(f"{text!r}: {address!r} is no IP address") from error
    return address, port, transport


def bound(address: str | None, port: int, transport: str = "udp") -> socket.socket:
    """Return a bound socket, a listening one for streams; without an address of both families, or of IPv4 where there is no IPv6.

    Args:
        address: An IP address of this host, or None.
        port: 0 takes any that is free.
        transport: A key of `KINDS`.
    Raises:
        ListenError: The port is in use, may not be used, the address is not of this host, or the kernel lacks the transport.
    """
    if address is None:
        try:
            return _bind(socket.AF_INET6, "::", port, transport, both=True)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise _listen_error("", port, transport, error) from error
    family = socket.AF_INET6 if address and ":" in address else socket.AF_INET
    try:
        return _bind(family, address or "0.0.0.0", port, transport)  # noqa: S104 - all addresses is what was asked for
    except OSError as error:
        raise _listen_error(address or "", port, transport, error) from error


def bound_together(address: str | None, port: int, number: int) -> list[socket.socket]:
    """Return some UDP sockets bound to the same port, to which the kernel deals datagrams by their source address.

    `pinning.processes_of` tells which source goes to which; only sockets of this call are ever chosen.

    Args:
        address: An IP address of this host, or None.
        port: 0 takes any that is free.
        number: Of sockets, two at least.
    Raises:
        ListenError: As `bound`; a port that anybody else has is in use, whether they would share it or not.
    """
    # The first is bound as if it were alone, which fails where somebody else has the port, and shares it only then.
    group = [bound(address, port)]
    try:
        first = group[0]
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        both = first.family == socket.AF_INET6 and not first.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        host, port = first.getsockname()[:2]
        while len(group) < number:
            group.append(_bind(first.family, host, port, "udp", both=both, shared=True))
        _deal_by_source(first, number)
        for one in group:
            _discard(one)
    except OSError as error:
        for one in group:
            one.close()
        raise _listen_error(address or "", port, "udp", error) from error
    return group


def can_deal() -> bool:
    """Return whether the kernel can deal datagrams to several sockets by their source."""
    with socket.socket(socket.AF_INET, *KINDS["udp"]) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            _deal_by_source(probe, 2)
        except OSError:
            return False
    return True


def grow_buffer(bound: socket.socket, octets: int) -> int:
    """Ask for a receive buffer, beyond net.core.rmem_max when permitted; return what the kernel gave."""
    octets = min(max(octets, 1), 2**30)
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            bound.setsockopt(socket.SOL_SOCKET, option, octets)
            break
        except OSError:
            continue
    return bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def require_transport(transport: str) -> None:
    """Bind nothing, but see that the kernel has a transport.

    Raises:
        ListenError: It has not.
    """
    try:
        socket.socket(socket.AF_INET, *KINDS[transport]).close()
    except OSError as error:
        raise _listen_error("", 0, transport, error) from error


def sixteen(address: str) -> bytes:
    """Return an address, as sockets give it, as 16 octets; IPv4 as ::ffff:a.b.c.d."""
    bare = address.partition("%")[0]
    return socket.inet_pton(socket.AF_INET6, bare) if ":" in bare else MAPPED_PREFIX + socket.inet_pton(socket.AF_INET, bare)


def _bind(
    family: socket.AddressFamily | int, address: str, port: int, transport: str, *, both: bool = False, shared: bool = False
) -> socket.socket:
    found = socket.socket(family, *KINDS[transport])
    try:
        if shared:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if transport != "udp":
            # Connections of a collector that ended linger for a minute; the next collector must not wait for them.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        found.bind((address, port))
        if transport != "udp":
            found.listen(BACKLOG)
    except OSError:
        found.close()
        raise
    return found


def _deal_by_source(one: socket.socket, number: int) -> None:
    """Have the kernel choose among the sockets that share a port with one of them, or will (socket(7))."""
    octets = pinning.program(number)
    instructions = ctypes.create_string_buffer(octets, len(octets))
    described = struct.pack("HP", len(octets) // 8, ctypes.addressof(instructions))
    one.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, described)


def _discard(one: socket.socket) -> None:
    """Take what came before the kernel knew whose it is: it may be another's, and a moment ago nobody listened at all."""
    for _ in range(_MISPLACED):
        try:
            one.recv(0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return


def _listen_error(address: str, port: int, transport: str, error: OSError) -> ListenError:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}" if address else f"{port}"
    if transport != "udp":
        where += f"/{transport}"
    if error.errno == errno.EADDRINUSE:
        reason = f"port {where} in use: another collector? stop it or choose --listen"
    elif error.errno in (errno.EACCES, errno.EPERM):
        reason = f"port {where} not permitted: ports below 1024 need root or CAP_NET_BIND_SERVICE; grant it or choose --listen"
    elif error.errno == errno.EADDRNOTAVAIL:
        reason = f"{address or where}: no address of this host; choose --listen"
    elif transport == "sctp" and error.errno in _NO_SUCH_TRANSPORT:
        reason = "sctp is not available in this kernel; load it with `modprobe sctp`, or listen on /tcp or /udp"
    else:
        reason = f"can't listen on {where}: {error.strerror or error}"
    return ListenError(address, port, reason)
