"""What stands in a store and can't be used: it is moved out of the readers' way, kept, and named.

Damaged parts go to `damaged/`; files that are none of ours, and that have lain among the flows for an hour, to `foreign/`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from pathlib import Path

import polars as pl

from nftui.engine.segments import Part
from nftui.engine.store import Store, make_folder, read_schema, scan_part
from nftui.errors import SegmentError

NAMES = 100
"""How many names are kept; the folders have them all."""
FOREIGN_AGE_S = 3600.0
"""A younger file may be a copy under way, which gets its name when it is whole."""
PARTS_AT_A_TIME = 200
log = logging.getLogger(__name__)


class SetAside:
    """Sets files of one store aside.

    Attributes:
        names: The latest files that were set aside, and why.
        count: How many there were.
    """

    def __init__(self, root: Path) -> None:
        """Look after a store; nothing is moved yet."""
        self.root, self.count = root, 0
        self.names: deque[str] = deque(maxlen=NAMES)
        self._seen: set[Path] = set()

    def damaged(self, part: Part, reason: str) -> None:
        """Move a part that can't be read."""
        self._move(part.path, "damaged", reason.split("\n", 1)[0])

    def look_into(self, part: Part) -> bool:
        """Read a part from one end to the other; return whether it was damaged, and is set aside now."""
        try:
            read_schema(part)
            scan_part(part).collect(engine="streaming")
        except FileNotFoundError:
            return False
        except (SegmentError, pl.exceptions.PolarsError) as error:
            self.damaged(part, str(error))
            return True
        return False

    def opens(self, part: Part) -> bool:
        """Return whether a part can be opened and has our columns; it is set aside where it can't."""
        try:
            read_schema(part)
        except FileNotFoundError:
            return False
        except SegmentError as error:
            self.damaged(part, str(error))
            return False
        return True

    def patrol(self, store: Store) -> None:
        """Open some parts that weren't looked at yet, and move foreign files that have lain there for long."""
        parts = store.parts()
        new = [part for part in parts if part.path not in self._seen][:PARTS_AT_A_TIME]
        for part in new:
            if self.opens(part):
                self._seen.add(part.path)
        if not new and len(self._seen) > 2 * len(parts):
            self._seen &= {part.path for part in parts}
        for path in store.foreign:
            try:
                old = path.is_file() and time.time() - path.stat().st_mtime > FOREIGN_AGE_S
            except OSError:
                continue
            if old and not path.name.startswith("."):
                self._move(path, "foreign", "is no file of a store")

    def _move(self, path: Path, kind: str, reason: str) -> None:
        folder = self.root / kind
        try:
            make_folder(folder)
            path.rename(folder / path.name)
        except OSError as error:
            log.warning("%s can't be set aside: %s", path, error)
            return
        log.warning("%s was set aside in %s: %s", path.name, folder, reason)
        self.count += 1
        self.names.append(f"{kind}/{path.name}: {reason}")
