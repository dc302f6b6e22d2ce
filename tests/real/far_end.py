"""The far end of a link, in a network of its own: takes a connection and datagrams, and sends back what came.

python -m tests.real.far_end LINK ADDRESS…
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys

from tests.real.probing import plain

PORT = 5001


def main(link: str, *addresses: str) -> None:
    """Bring the link up, say that, and serve until standard input ends."""
    plain(link)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in addresses:
        more = ["nodad"] if ":" in address else []
        subprocess.run(["ip", "addr", "add", address, "dev", link, *more], check=True)
    subprocess.run(["ip", "link", "set", link, "up"], check=True)
    listener = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    datagrams.bind(("::", PORT))
    selector = selectors.DefaultSelector()
    for one in (listener, datagrams, sys.stdin):
        selector.register(one, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is listener:
                connection, _ = listener.accept()
                with connection:
                    while octets := connection.recv(1 << 16):
                        connection.sendall(octets[: len(octets) // 4])
            elif key.fileobj is datagrams:
                octets, sender = datagrams.recvfrom(1 << 16)
                datagrams.sendto(octets, sender)


if __name__ == "__main__":
    main(*sys.argv[1:])
