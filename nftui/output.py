"""Where a command's answer goes: to the standard output, or with `--out` to a file that appears whole or not at all."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import BinaryIO, cast

from nftui.errors import UsageError
from nftui.export.destination import Destination


@contextmanager
def output(form: str, path: Path | None) -> Iterator[None]:
    """Have all that is written to the standard output meanwhile be in a file at the end, where one is named.

    Raises:
        UsageError: Parquet was asked for on a terminal.
        ExportError: The file can't be written.
    """
    if path is None:
        if form == "parquet" and sys.stdout.isatty():
            raise UsageError("-o parquet is nothing for a terminal; name a file with --out FILE")
        yield
        return
    with Destination(path) as destination:
        text = io.TextIOWrapper(destination.file, encoding="utf-8", errors="backslashreplace", newline="")
        try:
            with redirect_stdout(text):
                yield
            text.flush()
        finally:
            text.detach()


def octets_out() -> BinaryIO:
    """Return what takes octets for the standard output."""
    sys.stdout.flush()
    return sys.stdout.buffer if hasattr(sys.stdout, "buffer") else cast(BinaryIO, _Decoded())


class _Decoded:
    """Octets to a standard output that takes text only."""

    def write(self, octets: bytes) -> int:
        sys.stdout.write(octets.decode())
        return len(octets)

    def flush(self) -> None:
        sys.stdout.flush()
