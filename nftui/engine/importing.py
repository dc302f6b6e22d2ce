"""Flow exports from capture files into a store, as if they had been received when they were captured."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nftui.capture.decoder import Decoder, Rules
from nftui.capture.pcap import CaptureFileCounts, read_capture
from nftui.engine.store import make_folder
from nftui.engine.writer import SEGMENT_FLOWS, StoreWriter
from nftui.errors import StoreError


class Importer:
    """Reads capture files into one store; a collector may be writing to it meanwhile."""

    def __init__(self, root: Path, rules: Rules | None = None) -> None:
        """Open a store, making it where it is missing.

        Args:
            root: The data directory.
            rules: How exports are read; None for those of files.

        Raises:
            StoreError: It can't be written.
        """
        try:
            make_folder(root)
            self._writer = StoreWriter(root, stream=f"i{secrets.token_hex(4)}")
        except OSError as error:
            raise StoreError(f"{root}: {error.strerror}; choose a data directory you may write with --data DIR") from error
        self._root = root
        self._decoder = Decoder(rules)
        self._files = 0
        self._captured = CaptureFileCounts()

    def read(self, path: Path) -> Iterator[int]:
        """Read one file.

        Yields:
            Datagrams read so far, of all files.
        Raises:
            CaptureFileError: It can't be read, or is no capture file; what was read before it stays.
            StoreError: The store can't be written.
        """
        for block in read_capture(path, self._captured):
            self._writer.append(self._decoder.decode(block))
            if self._writer.pending >= SEGMENT_FLOWS:
                self._store()
            yield self._captured.datagrams
        self._files += 1

    def close(self) -> dict[str, Any]:
        """Store what is left, and return the counts: files, frames, datagrams, flows, options records, and reasons."""
        self._store()
        self._decoder.finish()
        status = self._decoder.status(0)
        malformed: dict[str, int] = {}
        unread: dict[str, int] = {}
        samples: dict[str, int] = {}
        options = reverse = 0
        for exporter in status["exporters"]:
            options += int(exporter["options_records"])
            reverse += int(exporter["reverse_flows"])
            for sums, counts in ((malformed, exporter["malformed"]), (unread, exporter["unread"]), (samples, exporter["samples"])):
                for reason, count in counts.items():
                    sums[reason] = sums.get(reason, 0) + count
        captured = self._captured.as_dict()
        return {
            "files": self._files,
            "frames": captured.pop("frames"),
            "datagrams": captured.pop("datagrams"),
            "flows": self._writer.flows,
            "flows_odd": self._writer.odd,
            "reverse_flows": reverse,
            "options_records": options,
            "samples": samples,
            "skipped": {reason.replace("_", " "): count for reason, count in captured.items() if count},
            "malformed": malformed,
            "unread": unread,
        }

    def _store(self) -> None:
        try:
            self._writer.write_segments()
        except OSError as error:
            raise StoreError(f"{self._root}: {error.strerror}; {self._writer.pending} flows were not stored") from error


def decode_capture(path: Path, root: Path) -> None:
    """Decode one capture file into a store."""
    importer = Importer(root)
    for _ in importer.read(path):
        pass
    importer.close()
