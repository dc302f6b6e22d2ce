"""The user's own names: a hosts file, in which networks may have names too.

A line is `ADDRESS NAME…` as in hosts(5), or `NETWORK NAME`; `#` begins a comment. The first name of an address is the one that is
shown; all of them stand for it in a filter. Of several lines the first holds for an address, the longest prefix for a network.
"""

from __future__ import annotations

import re
import time
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from threading import Lock

from nftui.printable import printable

Network = IPv4Network | IPv6Network

LARGEST = 4 << 20
"""Octets of a hosts file that are read: it is read wherever a name is looked for."""
LONGEST_NAME = 253
LOOK_PAUSE_S = 1.0
"""Between two looks at whether the file was changed."""
_NAME = re.compile(r"[^\s/%,\[\]()'\"]{1,253}")


class Hosts:
    """The names of one file, read again when it changes. Safe to use from several threads."""

    def __init__(self, path: Path | None) -> None:
        """Read the file; None, or one that is not there, for no names."""
        self._path, self._lock = path, Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        self._table = _Table([])
        self.note = ""
        """What could not be used, in one line; empty where all could."""
        self._refresh()

    def name(self, address: str) -> str | None:
        """Return the name of an address: its own, else that of the narrowest network that it lies in."""
        return self._refresh().name(address)

    def shared(self, address: str) -> bool:
        """Return whether the name of an address is that of a network that it lies in, which others have, too."""
        return self._refresh().shared(address)

    def networks(self, name: str) -> tuple[Network, ...]:
        """Return the addresses and networks that a name stands for, in the order of the file; the case of letters is all one."""
        return self._refresh().networks(name)

    def _refresh(self) -> _Table:
        with self._lock:
            now = time.monotonic()
            if self._path is None or now - self._looked < LOOK_PAUSE_S:
                return self._table
            self._looked = now
            try:
                status = self._path.stat()
                stamp = status.st_mtime_ns, status.st_size, status.st_ino
                if stamp != self._stamp:
                    self._stamp = stamp
                    with self._path.open("rb") as file:
                        octets = file.read(LARGEST + 1)
                    self._table = _Table(octets[:LARGEST].decode("utf-8", "replace").splitlines())
                    self.note = _note(self._path, self._table.wrong, len(octets) > LARGEST)
            except OSError as error:
                # What was read before holds: an editor may be about to put the new file in place.
                self._stamp = None
                self.note = f"{self._path}: {error.strerror}; names.hosts of the configuration names it"
            return self._table


class _Table:
    """What the lines of a file say."""

    def __init__(self, lines: list[str]) -> None:
        self.wrong: list[int] = []
        self._addresses: dict[tuple[int, int], str] = {}
        self._prefixes: dict[tuple[int, int], dict[int, str]] = {}
        self._names: dict[str, list[Network]] = {}
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            if words and not self._take(words):
                self.wrong.append(number)
        # The longest prefix first.
        self._prefixes = dict(sorted(self._prefixes.items(), reverse=True))

    def _take(self, words: list[str]) -> bool:
        try:
            network = ip_network(words[0], strict=False)
        except ValueError:
            return False
        names = [word for word in words[1:] if _NAME.fullmatch(word)]
        if not names or len(names) < len(words) - 1:
            return False
        first = int(network.network_address)
        if network.prefixlen == network.max_prefixlen:
            self._addresses.setdefault((network.version, first), names[0])
        else:
            self._prefixes.setdefault((network.version, network.prefixlen), {}).setdefault(first, names[0])
        for name in names:
            self._names.setdefault(name.lower(), []).append(network)
        return True

    def name(self, address: str) -> str | None:
        try:
            found = ip_address(address)
        except ValueError:
            return None
        if not self._names:
            return None
        number, bits = int(found), found.max_prefixlen
        if (name := self._addresses.get((found.version, number))) is not None:
            return name
        for (version, length), names in self._prefixes.items():
            if version == found.version and (name := names.get(number >> (bits - length) << (bits - length))) is not None:
                return name
        return None

    def shared(self, address: str) -> bool:
        if self.name(address) is None:
            return False
        found = ip_address(address)
        return (found.version, int(found)) not in self._addresses

    def networks(self, name: str) -> tuple[Network, ...]:
        return tuple(self._names.get(name.lower(), ()))


def _note(path: Path, wrong: list[int], cut: bool) -> str:
    if cut:
        return f"{path}: only its first {LARGEST >> 20} MiB are read"
    if not wrong:
        return ""
    some = ", ".join(map(str, wrong[:3])) + (", …" if len(wrong) > 3 else "")
    one = len(wrong) == 1
    lines = "1 line is" if one else f"{len(wrong)} lines are"
    return f"{printable(path)}: {lines} no `ADDRESS NAME` or `NETWORK NAME` and {'is' if one else 'are'} left out: {some}"
