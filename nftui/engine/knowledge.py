"""Knowledge: what a decoder has learned, kept beside the flows, so that a restart loses nothing for want of a template.

In `templates.json` stand templates, options and sampling; in `held` the data sets that wait for their template (MessagePack); in
`interfaces.json` names and counters of exporters' interfaces, for whoever looks at the store.

Of several processes each has files of its own, and the first puts the interfaces of all together. Before they start, `deal` gives
each what belongs to it, however many there were before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Hashable
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from nftui.capture.decoder import Decoder
from nftui.capture.saved import octets_of
from nftui.engine.files import INTERFACES, replace_file
from nftui.engine.share import ALONE, Share, left_over

TEMPLATES, HELD = "templates.json", "held"

HELD_PAUSE_S = 5.0
"""Between two writings of data that waits, while more comes; that some was taken out is written at once."""
INTERFACES_PAUSE_S = 10.0
SHARE = 0.02
"""Of all time that may go into writing templates: while very many change, they are written the less often the longer it takes."""


class Knowledge:
    """Loads and saves what one decoder knows."""

    def __init__(self, root: Path, decoder: Decoder, decoding: Lock, share: Share | None = None) -> None:
        """Load what an earlier collector left.

        Args:
            root: The data directory.
            decoder: Whose knowledge it is.
            decoding: Held while the decoder is used.
            share: Which process this is; None for the only one.
        """
        self._decoder, self._decoding = decoder, decoding
        share = share or ALONE
        self._templates_file, self._held_file, self._interfaces_file = (
            share.file(root, name) for name in (TEMPLATES, HELD, INTERFACES)
        )
        self._others = _Others([one.file(root, INTERFACES) for one in share.others()] if share.first else [])
        now = time.time_ns() // 1000
        try:
            decoder.load_templates(json.loads(self._templates_file.read_bytes()), now)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, RecursionError) as error:
            decoder.events.append((now, f"{self._templates_file.name} can't be used: {error}"))
        try:
            decoder.load_held(msgspec.msgpack.decode(self._held_file.read_bytes(), type=list))
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            decoder.events.append((now, f"{self._held_file.name} can't be used: {error}"))
        self._revision = decoder.revision()
        self._held = (-1, -1) if decoder.save_held() else decoder.held_revision()
        self._interfaces = decoder.interfaces_revision()
        self._held_at = self._interfaces_at = self._templates_due = 0.0

    def forget_saved(self) -> None:
        """Write all of it again the next time: the store was begun anew."""
        self._revision = self._held = (-1, -1)
        self._interfaces = -1

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
            replace_file(self._held_file, msgspec.msgpack.encode(saved))
        else:
            self._held_file.unlink(missing_ok=True)
        self._held, self._held_at = revision, time.monotonic()

    def save(self, *, last: bool = False) -> None:
        """Write templates and interfaces, where they changed.

        Raises:
            OSError: A file can't be written.
        """
        due = last or time.monotonic() - self._interfaces_at > INTERFACES_PAUSE_S
        others = due and self._others.changed()
        with self._decoding:
            revision = self._decoder.revision()
            began = time.monotonic()
            changed = revision != self._revision and (last or began >= self._templates_due)
            saved = self._decoder.save_templates() if changed else None
            counted = self._decoder.interfaces_revision()
            interfaces = self._decoder.interfaces() if due and (others or counted != self._interfaces) else None
        if saved is not None:
            replace_file(self._templates_file, msgspec.json.encode(saved))
            self._revision = revision
            now = time.monotonic()
            self._templates_due = now + (now - began) / SHARE
        if interfaces is not None:
            together = self._others.added(interfaces)
            replace_file(self._interfaces_file, json.dumps({"version": 1, "exporters": together}).encode())
            self._interfaces, self._interfaces_at = counted, time.monotonic()


class _Others:
    """The interfaces that other processes know of."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self._stamps: list[int] = []

    def changed(self) -> bool:
        """Return whether there is anything new since the last call."""
        before, self._stamps = self._stamps, [_stamp(path) for path in self._files]
        return self._stamps != before and bool(self._files)

    def added(self, own: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, dict[str, Any]]]:
        """Return our own interfaces and theirs; of one that several know, what was sampled last holds."""
        for path in self._files:
            try:
                exporters = json.loads(path.read_bytes())["exporters"]
                for exporter, interfaces in exporters.items():
                    known = own.setdefault(exporter, {})
                    for index, values in interfaces.items():
                        mine = known.setdefault(index, {})
                        newer = str(values.get("sampled", "")) >= str(mine.get("sampled", ""))
                        known[index] = {**mine, **values} if newer else {**values, **mine}
            except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
                # It is not there yet, or was damaged; its process writes it again.
                continue
        return own


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def deal(root: Path, whole: Share) -> list[str]:
    """Give each process the templates, and the data that waits for them, of the exporters that belong to it.

    Whoever calls holds the store's lock, and no process has begun. Killed at any moment it loses nothing: the next finds it all.

    Args:
        root: The data directory.
        whole: Tells how many processes there are to be.
    Returns:
        What could not be used, in words.
    Raises:
        OSError: A file can't be written.
    """
    told = _deal(root, TEMPLATES, _Domains(whole)) + _deal(root, HELD, _HeldSets(whole))
    for path in left_over(root, INTERFACES):
        path.unlink(missing_ok=True)
    return told


class _Domains:
    """What is dealt of `templates.json`: observation domains."""

    def __init__(self, whole: Share) -> None:
        self.whole = whole

    def read(self, octets: bytes) -> list[Any]:
        saved = json.loads(octets)
        if saved["version"] != 1:
            raise ValueError("its version is another")
        return list(saved["domains"])

    def write(self, domains: list[Any]) -> bytes:
        return json.dumps({"version": 1, "domains": domains}).encode()

    def key(self, one: Any) -> Hashable:
        return repr([one["exporter"], one["protocol"], one["domain"], _is_lasting(one)])

    def owner(self, one: Any) -> int:
        return self.whole.owner(octets_of(one["exporter"]), lasting=_is_lasting(one))


class _HeldSets:
    """What is dealt of `held`: data sets."""

    def __init__(self, whole: Share) -> None:
        self.whole = whole

    def read(self, octets: bytes) -> list[Any]:
        return list(msgspec.msgpack.decode(octets, type=list))

    def write(self, sets: list[Any]) -> bytes:
        return msgspec.msgpack.encode(sets)

    def key(self, one: Any) -> Hashable:
        return msgspec.msgpack.encode(one)

    def owner(self, one: Any) -> int:
        return self.whole.owner(one[0])


def _is_lasting(domain: Any) -> bool:
    return domain.get("lasting") is True


def _deal(root: Path, name: str, what: _Domains | _HeldSets) -> list[str]:
    """Deal what the files of one name hold; return what could not be used."""
    files = [share.file(root, name) for share in (ALONE, *what.whole.others())]
    surplus = [path for path in left_over(root, name) if path not in files]
    if len(files) == 1 and not surplus:
        return []
    found: dict[Hashable, tuple[int, Any]] = {}
    told: list[str] = []
    misplaced = bool(surplus)
    # What was written last holds: a process that is no more may have left what another has learned anew.
    for path in sorted([*files, *surplus], key=_stamp):
        try:
            entries = what.read(path.read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError, TypeError, KeyError) as error:
            told.append(f"{path.name} can't be used: {error}")
            continue
        for entry in entries:
            try:
                key, owner = what.key(entry), what.owner(entry)
            except (ValueError, TypeError, KeyError, IndexError, AttributeError):
                told.append(f"{path.name}: an entry can't be used")
                continue
            found[key] = owner, entry
            misplaced = misplaced or files[owner - 1] != path
    if misplaced:
        _place(files, list(found.values()), what)
    for path in surplus:
        path.unlink(missing_ok=True)
    return sorted(set(told))


def _place(files: list[Path], found: list[tuple[int, Any]], what: _Domains | _HeldSets) -> None:
    """Write to each file what its number owns."""
    if found:
        # First everything stands in one place, and last that is made less.
        replace_file(files[0], what.write([entry for _, entry in found]))
    for number, path in [*enumerate(files[1:], 2), (1, files[0])]:
        share = [entry for owner, entry in found if owner == number]
        if share:
            replace_file(path, what.write(share))
        else:
            path.unlink(missing_ok=True)
