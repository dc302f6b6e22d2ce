"""Packet files: captures of traffic as flows. The clock is that of the packets, so flows end as they would have at the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from nftui.capture.decoder import Decoder
from nftui.capture.pcap import read_capture
from nftui.capture.probe.capture_file import CaptureFile
from nftui.capture.probe.meter import Meter
from nftui.config import ProbeSettings
from nftui.engine.flow_sources import Origin
from nftui.engine.meter_settings import meter_settings
from nftui.errors import CaptureFileError

LOOKED_AT = 500_000
"""Frames in which exports are looked for; a capture that has none in so many holds traffic."""
LIKELY = 256
"""Blocks of datagrams that begin as exports do, and are none, until no more are looked at."""
COUNTS = ("frames", "octets", "packets", "not_ip", "cut", "sampled_out", "fragments", "emergency", "lost_packets")
"""Counts of a meter that are told of files."""


def holds_exports(path: Path) -> bool:
    """Return whether any datagram of a capture's beginning is an export of flows.

    Raises:
        CaptureFileError: The file can't be read.
    """
    decoder = Decoder()
    for block in islice(read_capture(path, likely=True, frames=LOOKED_AT), LIKELY):
        if any(frame.height for frame in decoder.decode(block)):
            return True
    known = decoder.status(0)["exporters"]
    return any(one[key] for one in known for key in ("templates", "options_records", "held_back", "samples"))


def flows_of(path: Path, settings: ProbeSettings, counts: Counter[str]) -> Iterator[tuple[list[pl.DataFrame], int]]:
    """Make flows of a capture's packets.

    Args:
        path: The file.
        settings: Of the probe.
        counts: Is brought up to date at the end.
    Yields:
        The flows that ended with each block, and how many octets of the file were read by then; last those that went on.
    Raises:
        CaptureFileError: The file can't be read, or only up to here; the flows of what was read have been yielded.
    """
    meter = Meter(meter_settings(settings))
    origin = Origin(settings.address, sampling=settings.sampling)

    def marked(frame: pl.DataFrame | None) -> list[pl.DataFrame]:
        return [] if frame is None or not frame.height else [origin.marked(frame, meter.seen_us)]

    broken: CaptureFileError | None = None
    with CaptureFile(path) as file:
        try:
            for block in file:
                meter.take(block)
                yield marked(meter.expired(meter.seen_us)), file.offset
        except CaptureFileError as error:
            broken = error
        counts["file_cut"] += file.file_cut
        for name in COUNTS:
            counts[name] += getattr(meter.counts, name)
        yield marked(meter.rest()), file.offset
    if broken is not None:
        raise broken
