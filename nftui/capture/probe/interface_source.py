"""An interface as a source of frames: by a ring, or one by one where the kernel has no rings."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from nftui.capture.probe import bpf
from nftui.capture.probe.packet_socket import Fanout, NoRing
from nftui.capture.probe.ring import RING_OCTETS, SNAP, Ring
from nftui.capture.probe.scapy_source import ScapySource

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InterfaceSettings:
    """How packets of an interface are taken; see `Ring`."""

    promiscuous: bool = False
    filter: str = ""
    direction: str = bpf.BOTH
    snap: int = SNAP
    ring_octets: int = RING_OCTETS
    fanout: Fanout | None = None


def opened(interface: str, settings: InterfaceSettings) -> Ring | ScapySource:
    """Return a source of an interface's frames, which is a ring wherever there can be one.

    Raises:
        InterfaceError: There is no such interface, or it may not be opened.
        PacketFilterError: The filter can't be used.
    """
    try:
        return Ring(
            interface,
            promiscuous=settings.promiscuous,
            filter=settings.filter,
            direction=settings.direction,
            snap=settings.snap,
            ring_octets=settings.ring_octets,
            fanout=settings.fanout,
        )
    except NoRing as error:
        log.warning("%s; packets are taken one by one, some thousands a second at most", error)
        return ScapySource(interface, promiscuous=settings.promiscuous, filter=settings.filter, direction=settings.direction)
