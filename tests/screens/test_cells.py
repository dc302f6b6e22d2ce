"""Values as cells, and as terms of a filter."""

from __future__ import annotations

import pytest

from nftui.engine import filters
from nftui.screens import cells
from nftui.screens.collector import understand

SECOND = 1_000_000


def test_addresses() -> None:
    assert cells.address(b"\0" * 10 + b"\xff\xff" + bytes([10, 0, 0, 1])) == "10.0.0.1"
    assert cells.address(bytes.fromhex("20010db8" + "0" * 23 + "1")) == "2001:db8::1"
    assert cells.address(None) == "-"
    assert cells.address(b"\x01\x02") == "0102"


@pytest.mark.parametrize(("value", "text"), [(27, ".AP.SF"), (2, "....S."), (0, "......"), (255, "CEUAPRSF"), (None, "-")])
def test_tcp_flags(value: int | None, text: str) -> None:
    assert cells.tcp_flags(value) == text


def test_sparkline_keeps_its_shape() -> None:
    assert cells.spark([0, 1, 2, 4, 8], 5) == " ▁▂▄█"
    assert cells.spark([0, 0], 4) == "  "
    assert len(cells.spark(list(range(120)), 16)) == 16


@pytest.mark.parametrize("text", ["", "port 53", "port 53 or port 80", "port 53 || port 80", "(port 53)", "port 53 # or so"])
def test_narrowed_filters_stay_filters(text: str) -> None:
    narrowed = cells.also(text, "proto 6")
    assert filters.parse(narrowed) == filters.parse(f"({text.partition('#')[0]}) and proto 6" if text else "proto 6")


def test_status_is_not_trusted() -> None:
    now = 1_000 * SECOND
    assert understand(None, now).label == "no collector"
    assert understand({"starting": True}, now).label == "collector starts"
    assert understand({"now": now, "probes": [{"source": "lo"}, 3]}, now).probes == ({"source": "lo"},)
    assert understand({"now": now - 6 * SECOND}, now).label.startswith("status stale")
    assert understand({"now": now, "running": False}, now).label == "collector stopped"
    assert understand({"now": now, "exporters": [1, 2], "drops": 3, "queue_dropped": 1}, now).drops == 4
    assert understand({"now": now, "drops": 3, "probes": [{"drops": 5}, {"drops": "many"}, 7]}, now).drops == 8
    odd = understand(
        {"now": "x", "exporters": {"a": 1}, "drops": True, "events": [1, {"time": "x"}, {"time": 1, "text": "\x1b[2J"}]}, now
    )
    assert odd.exporters == 1 and odd.drops is None and [event.text for event in odd.events] == ["\\x1b[2J"]
