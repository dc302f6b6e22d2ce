"""An exporter whose clock is off, over the wire: what it said stays, and questions about now find its flows."""

from __future__ import annotations

import socket
import struct
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.capture.test_netflow5 import simple
from tests.running import answer, collecting, told

HOUR = 3600


def datagram(ahead: int, sequence: int) -> bytes:
    """Return a NetFlow v5 datagram of one flow that ended two seconds before it, by a clock that is ahead."""
    uptime = 100_000
    flow = simple(octets=1000, packets=1, first=uptime - 4000, last=uptime - 2000)
    return struct.pack(">HHIIIIHH", 5, 1, uptime, int(time.time()) + ahead, 0, sequence, 0, 0) + flow


@pytest.mark.parametrize("ahead", [2 * HOUR, -30 * 365 * 24 * HOUR, -20], ids=["ahead", "decades behind", "within the threshold"])
def test_clock_that_is_off(ahead: int, tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        for sequence in range(3):
            exporter.sendto(datagram(ahead, sequence), ("127.0.0.1", collector.port))
        collector.wait_for(lambda: collector.status().get("flows_stored") == 3)
        (status,) = collector.status()["exporters"]
        shown = told("status", "--data", tmp_path)
        odd = collector.status()["flows_odd"]
    corrected = abs(ahead) > 60
    assert status["clock_skew_s"] == pytest.approx(-ahead, abs=3)
    assert status["clock_correction_s"] == pytest.approx(-ahead if corrected else 0, abs=3)
    assert ("corrected" in shown) == corrected
    assert odd == 0
    flows = answer("flows", "--data", tmp_path, "-t", "-5m")["rows"]
    assert len(flows) == 3 and answer("summary", "--data", tmp_path, "-t", "-5m")["rows"][0]["octets"] == 3000
    for flow in flows:
        said = datetime.fromisoformat(flow["flow_end"]).timestamp()
        assert said == pytest.approx(time.time() + ahead, abs=60), "as it was exported"
        assert ("clock_correction" in flow) == corrected
    listed = told("flows", "--data", tmp_path, "-t", "-5m")
    assert time.strftime("%Y") in listed
