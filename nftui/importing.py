"""The command that fills a store from files: `import`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nftui.collecting import UMASK
from nftui.config import Config
from nftui.engine.packet_source import PACKETS, PacketSource
from nftui.printable import printable
from nftui.units import SECOND, duration

BAR = 24
NOT_METERED = (
    ("not_ip", "not IP"), ("cut", "cut"), ("sampled_out", "not looked at"), ("fragments", "fragments"),
    ("emergency", "flows ended early, as there were more at a time than probe.entries"), ("lost_packets", "in no flow"),
    ("file_cut", "files end within a frame"),
)  # fmt: skip
"""What is counted of packets, and how it is called."""
EVERY_S = 0.1


def import_files(
    data: Path, config: Config, paths: list[Path], output: str, *, packets: bool | None = None, again: bool = False
) -> int:
    """Put the flows of files into the store, and say what was read, stored, malformed and skipped.

    Args:
        data: The data directory.
        config: The configuration.
        paths: Files and directories.
        output: `text` or `json`.
        packets: Whether captures hold traffic, of which flows are made; None to find out.
        again: Import files that were imported before, too.
    Raises:
        NftuiError: A file or the store can't be read or written; what was read before is stored.
    """
    from nftui.capture import layouts
    from nftui.capture.decoder import Rules
    from nftui.engine.importing import Importer
    from nftui.engine.rules import sampling_of

    layouts.define(config.elements)
    os.umask(UMASK)
    importer = Importer(data, Rules(sampling=sampling_of(config.exporters)), config.probe)
    bar = _Bar()
    began = time.monotonic()
    try:
        for progress in importer.run(paths, packets=packets, again=again):
            bar.show(progress)
    finally:
        bar.clear()
    counts = importer.close()
    if output == "json":
        print(json.dumps(counts))
    else:
        print("\n".join(_lines(counts, time.monotonic() - began)))
    return 1 if counts["files_broken"] else 0


class _Bar:
    """A line that says how far an import is, where a person can see it."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._began, self._last = time.monotonic(), 0.0

    def show(self, progress: Any) -> None:
        now = time.monotonic()
        if not self._shown or now - self._last < EVERY_S:
            return
        self._last = now
        share = min(progress.octets / max(progress.of_octets, 1), 1.0)
        full = int(share * BAR)
        rate = progress.flows / max(now - self._began, 0.001)
        line = (
            f"[{'#' * full}{'.' * (BAR - full)}] {share:4.0%}  file {progress.files + 1:,} of {progress.of_files:,}  "
            f"{printable(progress.path.name, 30)}  {progress.flows:,} flows, {rate:,.0f}/s"
        )
        print(f"\r{line[: _width()]}\x1b[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._shown and self._last:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._last = 0.0


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns - 1
    except OSError:
        return 79


def _lines(counts: dict[str, Any], seconds: float) -> list[str]:
    files = counts["files"]
    of = [f"{files:,} file{'' if files == 1 else 's'}"]
    if counts["frames"]:
        of.append(f"{counts['datagrams']:,} datagrams of {counts['frames']:,} frames")
    if counts["blocks"]:
        of.append(f"{counts['blocks']:,} blocks")
    lines = [f"{counts['flows']:,} flows stored from {', '.join(of)} in {duration(int(seconds * SECOND))}"]
    if counts["reverse_flows"]:
        lines.append(f"  {counts['reverse_flows']:,} of them the other half of a biflow record")
    lines += [f"  passed over: {count:,} {reason}" for reason, count in sorted(counts["files_passed_over"].items())]
    lines += [f"  not read: {printable(one, 300)}" for one in counts["files_broken"]]
    for kind in ("samples", "skipped", "malformed", "unread"):
        lines += [f"  {kind}: {count:,} {printable(reason)}" for reason, count in sorted(counts[kind].items())]
    lines += [f"  {line}" for line in traffic_lines(counts["traffic"])]
    if counts["options_records"]:
        lines.append(f"  {counts['options_records']:,} options records")
    return lines


def traffic_lines(counts: Mapping[str, int]) -> list[str]:
    """Return what was read of packets, and what of them is in no flow."""
    if not counts.get("frames"):
        return []
    lines = [f"{counts['packets']:,} IP packets of {counts['frames']:,} frames, {counts['octets']:,} octets"]
    rest = [f"{counts[key]:,} {words}" for key, words in NOT_METERED if counts.get(key)]
    return [*lines, *([f"of the frames: {', '.join(rest)}"] if rest else [])]


def probe_lines(source: PacketSource) -> list[str]:
    """Return what became of the packets of a source that is over."""
    counts = asdict(source)
    counts["frames"] = source.packets
    counts["packets"] = source.packets - source.not_ip - source.cut - source.sampled_out
    lines = traffic_lines(counts)
    if source.drops:
        lines.append(f"{source.drops:,} {'packets' if source.kind == PACKETS else 'events'} more were dropped by the kernel")
    return [f"{source.source}: {source.flows:,} flows", *(f"  {line}" for line in lines)]
