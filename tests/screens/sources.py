"""What the Sources screen is tested with: an account of some exporters, and how to look at the screen."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from typing import Any

from textual.pilot import Pilot

from nftui.app import NftuiApp
from nftui.engine.local import LocalBackEnd
from nftui.screens.sources import SourcesScreen
from nftui.units import rfc3339
from tests.screens.conftest import HOSTILE, NOW, SECOND, lines, quiet

SIZES = [(80, 24), (120, 36), (200, 50)]
MINUTE = 60 * SECOND


def ago(seconds: float) -> str:
    return rfc3339(NOW - int(seconds * SECOND))


def exporter(address: str, protocol: str, **more: Any) -> dict[str, Any]:
    """Return an entry as a collector writes it, of an exporter of which there is nothing to say."""
    return {
        "address": address, "domains": [0], "protocol": protocol, "datagrams": 52_310, "octets": 61_208_114, "flows": 1_204_118,
        "reverse_flows": 0, "options_records": 0, "sequence_lost": 0, "lost": {}, "gaps": 0, "last_gap": None, "templates": 0,
        "templates_awaited": [], "templates_replaced": 0, "templates_expired": 0, "held_back": 0, "released": 0, "held_octets": 0,
        "observation_domains": [], "malformed": {}, "unread": {}, "unknown_elements": {}, "samples": {}, "discards": {},
        "sampling": {}, "restarts": 0, "last_restart": None, "started": None, "clock_skew_s": 0.4, "clock_correction_s": 0.0,
        "watermark_s": 64.0, "silent": False, "known_since": ago(7200), "last_seen": ago(1), "datagrams_per_s": 22.4,
        "flows_per_s": 390.2, **more,
    }  # fmt: skip


def domain(number: int, **more: Any) -> dict[str, Any]:
    return {"number": number, "protocol": "IPFIX", "templates": [256, 257, 258], "options_templates": [512], "awaited": [], **more}


EXPORTERS = [
    exporter(
        "10.0.0.1", "v9", name="r1", templates=4, flows_per_s=812.0, datagrams_per_s=41.0, started=ago(41 * 86_400 + 300),
        observation_domains=[domain(7, protocol="v9")],
    ),
    exporter(
        "10.0.0.2", "IPFIX", templates=4, templates_awaited=[260], sequence_lost=14, lost={"records": 14}, gaps=3,
        last_gap=ago(130), sampling={"options": 1000, "configured": 100}, held_back=14, restarts=1, last_restart=ago(41 * 86_400),
        started=ago(41 * 86_400), held_octets=19_200, clock_skew_s=72.0, clock_correction_s=72.0,
        malformed={"record cut short": 3}, unread={"basicList passed over": 12}, unknown_elements={"0/61 flowDirection": 40},
        observation_domains=[
            domain(0, awaited=[{"template": 260, "sets": 14, "octets": 19_200, "until": rfc3339(NOW + 30 * SECOND)}]), domain(9),
        ],
    ),
    exporter(
        "10.0.0.9", "sFlow", flows_per_s=120.0, datagrams_per_s=12.0, sampling={"sflow": 1024}, samples={"flow_samples": 9000},
    ),
    exporter("192.0.2.44", "v5", flows_per_s=0.0, datagrams_per_s=0.0, silent=True, last_seen=ago(1500)),
    exporter("2001:db8:85a3::8a2e:370:7334", "IPFIX, v9", templates=3, sampling={"header": 1}),
]  # fmt: skip
LISTEN = [
    {"address": "*", "port": 9995, "transport": "udp", "receive_buffer": 8_000_000, "receive_buffer_asked": 32_000_000, "drops": 0},
    {"address": "*", "port": 9995, "transport": "udp", "receive_buffer": 8_000_000, "receive_buffer_asked": 32_000_000, "drops": 7},
    {"address": "*", "port": 6343, "transport": "udp", "receive_buffer": 8_000_000, "receive_buffer_asked": 32_000_000, "drops": 0},
]
EVENTS = [
    (1500, "192.0.2.44: silent: nothing came for 5m"), (130, "10.0.0.2: 3 records lost: gap in sequence numbers"),
    (12, "10.0.0.2: template 260 of domain 0 awaited: its data is held back"),
]  # fmt: skip
INTERFACES = {
    "10.0.0.2": {
        "1": {"name": "ge0", "description": "uplink", "speed": 10**9, "status": 3, "in_octets_per_s": 51_500_000.0},
        "2": {"name": "ge1", "description": "lan", "speed": 10**9, "status": 1},
        "30": {"name": "xe0"},
    }
}


def account(**more: Any) -> dict[str, Any]:
    """Return an account as a collector writes it, for one test alone."""
    told = {
        "pid": 1, "running": True, "now": NOW, "listen": LISTEN, "exporters": EXPORTERS, "exporters_known": len(EXPORTERS),
        "datagrams_per_s": 98.0, "flows_per_s": 1712.4, "sequence_lost": 14, "held_octets": 19_200, "drops": 7, "queue_dropped": 0,
        "events": [{"time": NOW - seconds * SECOND, "text": text} for seconds, text in EVENTS], **more,
    }  # fmt: skip
    return deepcopy(told)


async def opened(pilot: Pilot[None]) -> SourcesScreen:
    """Open the screen and wait until it has looked."""
    await pilot.press("7")
    for _ in range(200):
        await pilot.pause(0.02)
        screen = pilot.app.screen
        if isinstance(screen, SourcesScreen) and screen.heard:
            break
    await quiet(pilot, 0.1)
    assert isinstance(pilot.app.screen, SourcesScreen)
    return pilot.app.screen


async def looked(pilot: Pilot[None], back_end: LocalBackEnd, status: dict[str, Any]) -> None:
    """Have the screen look at another account."""
    (back_end.store.root / "status.json").write_text(json.dumps(status))
    await pilot.press("r")
    await quiet(pilot, 0.1)


def text(app: NftuiApp) -> str:
    return "\n".join(lines(app))


def hostile(value: object, dice: random.Random) -> object:
    """Return a value of another kind, or of the same beyond all sense."""
    if isinstance(value, dict) and dice.random() < 0.7:
        return {(HOSTILE if dice.random() < 0.1 else key): hostile(one, dice) for key, one in value.items()}
    if isinstance(value, list) and dice.random() < 0.7:
        return [hostile(one, dice) for one in value]
    if dice.random() < 0.5:
        return value
    return dice.choice(
        [None, -1, 10**18, -(2**63), 1e308, -1e308, "", HOSTILE, [HOSTILE], {"\x1b": "\x1b"}, True, 2**63 - 1, 0.1, "9" * 300]
    )
