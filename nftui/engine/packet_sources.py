"""Packet sources: what a configuration says of the probe, as sources of flows."""

from __future__ import annotations

import os
from pathlib import Path

from nftui.capture.probe import interface_source, interfaces
from nftui.capture.probe.capture_file import STDIN, CaptureFile
from nftui.capture.probe.conntrack import Conntrack
from nftui.capture.probe.frames import FrameSource
from nftui.capture.probe.interface_source import InterfaceSettings
from nftui.capture.probe.interfaces import own_address
from nftui.capture.probe.meter import Meter
from nftui.capture.probe.packet_socket import Fanout
from nftui.config import ProbeSettings
from nftui.engine.feed import Feed
from nftui.engine.flow_sources import OF_KERNEL, FlowSource, Metered, Origin, Piped
from nftui.engine.interface_names import InterfaceNames
from nftui.engine.meter_settings import entries_of, meter_settings, ring_of
from nftui.engine.packet_source import PacketSource
from nftui.engine.share import Share
from nftui.engine.tracked import Tracked

LEAST_RING = 1 << 20
"""Octets of a ring that is only opened to see whether it can be."""


def exporter_address(settings: ProbeSettings) -> str:
    """Return the exporter's address in flows that are made here, as text."""
    return settings.address or own_address()


def sources_of(settings: ProbeSettings, share: Share, group: int) -> list[FlowSource]:
    """Return the sources of one process, none of them open.

    Args:
        settings: Of the probe.
        share: Which process it is: the packets of an interface are dealt to all, other flows are the first's.
        group: A number that the processes have in common, and others on this machine have not.
    """
    address = exporter_address(settings)
    found: list[FlowSource] = [metered(name, settings, address, share, group) for name in dict.fromkeys(settings.interfaces)]
    if settings.conntrack and share.number == 1:
        found.append(Tracked(Origin(address, version=OF_KERNEL), settings.active))
    return found


def require(settings: ProbeSettings) -> None:
    """See that all that is to be looked at can be, before anything is begun.

    Raises:
        InterfaceError: An interface is not there, or may not be opened.
        PacketFilterError: The filter can't be used.
    """
    for name in settings.interfaces:
        interface_source.opened(name, InterfaceSettings(filter=settings.bpf, ring_octets=LEAST_RING)).close()
    if settings.conntrack:
        Conntrack().close()


def piped(settings: ProbeSettings) -> Piped:
    """Return the capture that comes through standard input, and its meter.

    Raises:
        CaptureFileError: There is none.
    """
    file = CaptureFile(STDIN)
    entry = described(file.name, settings, settings.address)
    return Piped(file, Meter(meter_settings(settings)), Origin(settings.address, sampling=settings.sampling), entry)


def metered(name: str, settings: ProbeSettings, address: str, share: Share, group: int) -> Metered:
    """Return an interface and its meter.

    Args:
        name: Of the interface.
        settings: Of the probe.
        address: Of the exporter.
        share: Which process it is.
        group: As `sources_of` takes it.
    """

    def origin(index: int) -> Origin:
        return Origin(address, index, sampling=settings.sampling)

    def opened() -> FrameSource:
        # A group is of one interface: those of others on this machine, and of other collectors, have another number.
        number = (group * 31 + (interfaces.find(name).index if share.processes > 1 else 0)) & 0xFFFF
        fanout = Fanout(number) if share.processes > 1 else None
        taken = InterfaceSettings(settings.promiscuous, settings.bpf, ring_octets=ring_of(settings), fanout=fanout)
        return interface_source.opened(name, taken)

    return Metered(name, opened, Meter(meter_settings(settings)), origin, lambda: described(name, settings, address))


def described(name: str, settings: ProbeSettings, address: str) -> PacketSource:
    """Return what the status says of an interface that nothing was seen of yet."""
    return PacketSource(
        name,
        address=address,
        entries=entries_of(settings),
        sampling=settings.sampling,
        active=settings.active,
        inactive=settings.inactive,
        promiscuous=settings.promiscuous,
        bpf=settings.bpf,
        ring=ring_of(settings),
    )


def alone(settings: ProbeSettings) -> list[FlowSource]:
    """Return the sources of a process that shares them with no other, none of them open."""
    return sources_of(settings, Share(probe=True), os.getpid())


def feed(root: Path, settings: ProbeSettings) -> Feed:
    """Return what makes flows of all that a configuration says within the process that calls."""
    return Feed(alone(settings), InterfaceNames(root, exporter_address(settings)))
