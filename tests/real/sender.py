"""An exporter in a process of its own: NetFlow v5 at a steady rate, from datagrams made beforehand. Prints what it sent, as JSON.

Called as `python -m tests.real.sender PORT FLOWS_PER_SECOND SECONDS`.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

from tests.running import netflow5

RECORDS = 30
MADE = 1000
BURST = 200
PAUSE_S = 0.004
# Of the header: seconds, nanoseconds and sequence number follow each other.
STAMP, AT = struct.Struct(">III"), 8


def send(port: int, rate: int, seconds: float) -> dict[str, float]:
    """Send for some seconds; return flows, octets that they carry, and how far behind the clock it was at the worst, in seconds."""
    made = [bytearray(netflow5(number * RECORDS, RECORDS, 0)) for number in range(MADE)]
    octets = [sum(range(number * RECORDS, (number + 1) * RECORDS)) for number in range(MADE)]
    sent = carried = 0
    worst = 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        exporter.connect(("127.0.0.1", port))
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            due = int(elapsed * rate / RECORDS) - sent
            worst = max(worst, due * RECORDS / rate)
            whole, rest = divmod(time.time_ns(), 10**9)
            for number in range(sent, sent + min(due, BURST)):
                datagram = made[number % MADE]
                STAMP.pack_into(datagram, AT, whole, rest, number * RECORDS % 2**32)
                exporter.send(datagram)
                carried += octets[number % MADE]
            sent += min(due, BURST)
            time.sleep(PAUSE_S)
    return {"flows": sent * RECORDS, "octets": carried, "seconds": elapsed, "worst_lag": worst}


if __name__ == "__main__":
    print(json.dumps(send(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
