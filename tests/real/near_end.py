"""The near end of a way to `far_end`, in a network of its own: sends what it is told to, and takes what comes back.

python -m tests.real.near_end ADDRESS PORT, and a line of words for each thing to do, which is answered once it is done:
`connect`, `say OCTETS`, `datagrams NUMBER OCTETS`, `close`. The far end takes datagrams while nobody is connected.
"""

from __future__ import annotations

import socket
import sys


def main(address: str, port: str) -> None:
    """Do as lines of standard input say, until it ends."""
    there = address, int(port)
    connection = datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.settimeout(10)
    for line in sys.stdin:
        match line.split():
            case ["connect"]:
                connection = socket.create_connection(there, timeout=10)
            case ["say", octets]:
                connection.sendall(bytes(int(octets)))
            case ["datagrams", number, octets]:
                for _ in range(int(number)):
                    datagrams.sendto(bytes(int(octets)), there)
                    datagrams.recv(1 << 16)
            case ["close"]:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass
                connection.close()
        print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
