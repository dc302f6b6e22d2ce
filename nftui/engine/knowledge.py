"""Knowledge: what a decoder has learned, kept beside the flows, so that a restart loses nothing for want of a template.

In `templates.json` stand templates, options and sampling; in `held` the data sets that wait for their template (MessagePack); in
`interfaces.json` names and counters of exporters' interfaces, for whoever looks at the store.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from threading import Lock

import msgspec

from nftui.capture.decoder import Decoder
from nftui.engine.store import replace_file

HELD_PAUSE_S = 5.0
"""Between two writings of data that waits, while more comes; that some was taken out is written at once."""
INTERFACES_PAUSE_S = 10.0
SHARE = 0.02
"""Of all time that may go into writing templates: while very many change, they are written the less often the longer it takes."""


class Knowledge:
    """Loads and saves what one decoder knows."""

    def __init__(self, root: Path, decoder: Decoder, decoding: Lock) -> None:
        """Load what an earlier collector left.

        Args:
            root: The data directory.
            decoder: Whose knowledge it is.
            decoding: Held while the decoder is used.
        """
        self._root, self._decoder, self._decoding = root, decoder, decoding
        now = time.time_ns() // 1000
        try:
            decoder.load_templates(json.loads((root / "templates.json").read_bytes()), now)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, RecursionError) as error:
            decoder.events.append((now, f"templates.json can't be used: {error}"))
        try:
            decoder.load_held(msgspec.msgpack.decode((root / "held").read_bytes(), type=list))
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            decoder.events.append((now, f"held can't be used: {error}"))
        self._revision = decoder.revision()
        self._held = (-1, -1) if decoder.save_held() else decoder.held_revision()
        self._interfaces = decoder.interfaces_revision()
        self._held_at = self._interfaces_at = self._templates_due = 0.0

    def save_held(self, *, last: bool = False) -> None:
        """Write the data that waits, where it changed.

        Called before flows are written: data that was taken out must not be there any more when its flows are, or a crash between
        the two would have it read again.

        Raises:
            OSError: The file can't be written.
        """
        with self._decoding:
            revision = self._decoder.held_revision()
            if revision == self._held:
                return
            if revision[1] == self._held[1] and not last and time.monotonic() - self._held_at < HELD_PAUSE_S:
                return
            saved = self._decoder.save_held()
        if saved:
            replace_file(self._root / "held", msgspec.msgpack.encode(saved))
        else:
            (self._root / "held").unlink(missing_ok=True)
        self._held, self._held_at = revision, time.monotonic()

    def save(self, *, last: bool = False) -> None:
        """Write templates and interfaces, where they changed.

        Raises:
            OSError: A file can't be written.
        """
        with self._decoding:
            revision = self._decoder.revision()
            began = time.monotonic()
            changed = revision != self._revision and (last or began >= self._templates_due)
            saved = self._decoder.save_templates() if changed else None
            counted = self._decoder.interfaces_revision()
            due = last or time.monotonic() - self._interfaces_at > INTERFACES_PAUSE_S
            interfaces = self._decoder.interfaces() if due and counted != self._interfaces else None
        if saved is not None:
            replace_file(self._root / "templates.json", msgspec.json.encode(saved))
            self._revision = revision
            now = time.monotonic()
            self._templates_due = now + (now - began) / SHARE
        if interfaces is not None:
            replace_file(self._root / "interfaces.json", json.dumps({"version": 1, "exporters": interfaces}).encode())
            self._interfaces, self._interfaces_at = counted, time.monotonic()
