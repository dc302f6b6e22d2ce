"""Names of addresses, and addresses of names: from the user's own hosts file at once, from DNS off everybody's path.

`look` never waits: it returns the names that are known now, and has the rest looked up by a few threads, for whoever looks again.
The system's resolver is asked (`getnameinfo`, `getaddrinfo`), so that /etc/hosts, nsswitch.conf and whatever serves names on this
machine hold here too. It can't be told to give up, so a thread that hangs in it is left behind, and another takes its place; there
is a limit to how many.

What comes back is text from outside. A name is taken only if it looks like one, and is none that reads as an address: whoever
answers for an address may call it whatever he likes.
"""

from __future__ import annotations

import re
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Condition, Event, Thread

import msgspec

from nftui.config import NameSettings
from nftui.engine.files import replace_file
from nftui.engine.hosts import Hosts, Network
from nftui.errors import ResolveError

WORKERS = 4
"""Look-ups at a time, of which the time isn't up."""
MOST_THREADS = 16
"""With those that hang beyond their time."""
MOST_WAITING = 2_000
"""Addresses that wait; of more, those asked for longest ago are forgotten until somebody looks again."""
MOST_KEPT = 65_536
"""Names in memory and on disk; those not looked at for longest go."""
KEPT_S, ABSENT_S, FAILED_S = 86_400.0, 3_600.0, 60.0
"""How long holds what was found, that there is no name, and that nobody answered: the system's resolver tells no TTL."""
LARGEST_FILE = 32 << 20
HELD_S, REFUSED_S = 300.0, 30.0
"""How long holds what a name stands for, and that it stands for nothing."""
MOST_NAMES = 1_000
MOST_ADDRESSES = 64
"""That one name may stand for."""
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_LONGEST = 253
_PAUSE_S = 0.05

Reverse = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found of an address.

    Attributes:
        name: None where it has none, or nobody said.
        until: When it is asked for again, seconds since 1970.
        answered: Whether somebody answered.
    """

    name: str | None
    until: float
    answered: bool = True


class _Saved(msgspec.Struct):
    """The file of names: address -> name or None, and until when it holds."""

    version: int
    names: dict[str, tuple[str | None, float]]


class Resolver:
    """What names are known. Safe to use from several threads; nothing but `wait` and `addresses` ever waits."""

    def __init__(self, settings: NameSettings, cache: Path | None = None, reverse: Reverse | None = None) -> None:
        """Begin with what an earlier run found.

        Args:
            settings: `resolve` says whether DNS is asked at all; without, only the hosts file is.
            cache: The file of names, which need not exist; None to keep nothing.
            reverse: Asks for a name: returns it, or None where there is none; raises OSError where nobody answers.
        """
        self.hosts = Hosts(Path(settings.hosts).expanduser() if settings.hosts else None)
        self.asks, self._timeout = settings.resolve, settings.timeout
        """Whether DNS is asked."""
        self._reverse = reverse or system_name
        self._changed = Condition()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._waiting: deque[str] = deque()
        self._queued: set[str] = set()
        self._running: dict[str, float] = {}
        self._threads = self._free = 0
        self._cache, self._dirty = cache, False
        self._addresses: OrderedDict[str, tuple[tuple[Network, ...] | ResolveError, float]] = OrderedDict()
        self.revision = 0
        """Another number whenever something was found."""
        if self.asks and cache is not None:
            self._load(cache)

    # -- names of addresses

    def look(self, addresses: Iterable[str]) -> dict[str, str]:
        """Return the names that are known now, and have the others looked up.

        Args:
            addresses: In text; what is none is passed over.
        Returns:
            Address -> name, of the known ones alone.
        """
        found: dict[str, str] = {}
        unknown: list[str] = []
        now = time.time()
        with self._changed:
            for address in addresses:
                name = self.hosts.name(address)
                if name is None and self.asks:
                    entry = self._known.get(address)
                    if entry is not None:
                        self._known.move_to_end(address)
                        name = entry.name
                    if entry is None or entry.until < now:
                        unknown.append(address)
                if name is not None:
                    found[address] = name
            self._ask(unknown)
        return found

    def wait(self, addresses: Iterable[str], seconds: float) -> tuple[dict[str, str], int]:
        """Return the names of addresses, waiting for what has to be looked up.

        Args:
            addresses: In text, any number.
            seconds: The longest to wait.
        Returns:
            Address -> name, and of how many addresses nothing is known, as the time was up or nobody answered.
        """
        wanted = list(dict.fromkeys(addresses))
        end = time.monotonic() + seconds
        step = MOST_WAITING // 2
        found: dict[str, str] = {}
        for at in range(0, len(wanted), step):
            some = wanted[at : at + step]
            found.update(self.look(some))
            if self.asks:
                self._settle(some, end)
                found.update(self.look(some))
        return found, sum(not self._answered(address) for address in wanted if address not in found) if self.asks else 0

    def close(self) -> None:
        """Keep what was found for the next run; a file that can't be written is none."""
        if not self._dirty or self._cache is None:
            return
        with self._changed:
            names = {address: (known.name, known.until) for address, known in self._known.items() if known.answered}
        try:
            self._cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._cache, msgspec.json.encode(_Saved(1, names)))
            self._cache.chmod(0o600)
        except OSError:
            return
        self._dirty = False

    def _settle(self, addresses: list[str], end: float) -> None:
        """Wait until nothing of these is under way, or the time is up."""
        with self._changed:
            while any(address in self._queued for address in addresses):
                left = end - time.monotonic()
                if left <= 0:
                    return
                # Nobody says when a look-up has taken too long.
                self._changed.wait(min(left, _PAUSE_S))
                self._tick()

    def _answered(self, address: str) -> bool:
        """Return whether it is known that an address has no name, or none is to be asked for."""
        known = self._known.get(address)
        return not _is_asked_for(address) or (known is not None and known.answered)

    def _ask(self, addresses: list[str]) -> None:
        """Have addresses looked up, those asked for last first. The lock is held."""
        for address in reversed(addresses):
            if address not in self._queued and _is_asked_for(address):
                self._queued.add(address)
                self._waiting.append(address)
        while len(self._waiting) > MOST_WAITING:
            self._queued.discard(self._waiting.popleft())
        self._tick()

    def _tick(self) -> None:
        """Give up what takes too long, and see that somebody works. The lock is held."""
        now = time.monotonic()
        for address, since in list(self._running.items()):
            if now - since > self._timeout:
                # Its thread is still in the system's resolver; what it brings in the end is taken all the same.
                del self._running[address]
                self._learn(address, _Known(None, time.time() + FAILED_S, answered=False))
        busy = len(self._running) + self._free
        for _ in range(min(WORKERS - busy, MOST_THREADS - self._threads, len(self._waiting) - self._free)):
            self._threads += 1
            self._free += 1
            Thread(target=self._work, name="nftui-names", daemon=True).start()

    def _work(self) -> None:
        with self._changed:
            while self._waiting and len(self._running) < WORKERS:
                address = self._waiting.pop()
                self._running[address] = time.monotonic()
                self._free -= 1
                self._changed.release()
                try:
                    known = self._found(address)
                finally:
                    self._changed.acquire()
                self._free += 1
                if self._running.pop(address, None) is not None or known.name is not None:
                    self._learn(address, known)
            self._threads -= 1
            self._free -= 1
            self._tick()

    def _found(self, address: str) -> _Known:
        try:
            name = usable(self._reverse(address))
        except (OSError, UnicodeError):
            return _Known(None, time.time() + FAILED_S, answered=False)
        return _Known(name, time.time() + (ABSENT_S if name is None else KEPT_S))

    def _learn(self, address: str, known: _Known) -> None:
        """Take note of what was found. The lock is held."""
        self._queued.discard(address)
        self._known[address] = known
        self._known.move_to_end(address)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        self._dirty = True
        self.revision += 1
        self._changed.notify_all()

    def _load(self, cache: Path) -> None:
        """Take what the file of an earlier run holds, as far as it is one."""
        try:
            if cache.stat().st_size > LARGEST_FILE:
                return
            saved = msgspec.json.decode(cache.read_bytes(), type=_Saved)
        except (OSError, msgspec.DecodeError, RecursionError):
            return
        now = time.time()
        for address, (name, until) in list(saved.names.items())[-MOST_KEPT:]:
            if saved.version == 1 and now < until < now + KEPT_S and usable(name) == name:
                self._known[address] = _Known(name, until)

    # -- addresses of a name

    def addresses(self, name: str) -> tuple[Network, ...]:
        """Return what a name stands for: by the hosts file, else by DNS, which takes up to the time of a look-up.

        Raises:
            ResolveError: The hosts file doesn't have it, and DNS is not to be asked, has it not either, or doesn't answer.
        """
        if own := self.hosts.networks(name):
            return own
        if usable(name) is None:
            raise ResolveError(name, "is neither an address nor the name of a host", "write the address")
        if not self.asks:
            raise ResolveError(name, "has to be looked up", "names.resolve = true allows that, or --names")
        with self._changed:
            found, until = self._addresses.get(name.lower(), ((), 0.0))
        if until < time.time():
            try:
                found, holds = _addresses_within(name, self._timeout), HELD_S
            except ResolveError as error:
                found, holds = error, REFUSED_S
            with self._changed:
                self._addresses[name.lower()] = found, time.time() + holds
                self.revision += 1
                while len(self._addresses) > MOST_NAMES:
                    self._addresses.popitem(last=False)
        if isinstance(found, ResolveError):
            raise found
        return found

    def stands_for(self, name: str) -> tuple[Network, ...]:
        """Return what a name stands for, as far as it is known now; () where it isn't."""
        with self._changed:
            found = self.hosts.networks(name) or self._addresses.get(name.lower(), ((), 0.0))[0]
        return () if isinstance(found, ResolveError) else found


def system_name(address: str) -> str | None:
    """Ask the system's resolver for the name of an address.

    Raises:
        OSError: Nobody answers.
    """
    try:
        return socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
    except socket.gaierror as error:
        if error.errno == socket.EAI_NONAME:
            return None
        raise


def usable(name: str | None) -> str | None:
    """Return a name from outside if it is one: of letters, digits, hyphens, dots and underscores, and no address; else None."""
    if name is None:
        return None
    name = name.removesuffix(".")
    if len(name) > _LONGEST or not all(map(_LABEL.fullmatch, name.split("."))):
        return None
    return None if name.replace(".", "").isdigit() else name


def _is_asked_for(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return not (found.is_unspecified or found.is_multicast or address == "255.255.255.255")


def _addresses_within(name: str, seconds: float) -> tuple[Network, ...]:
    """Ask the system's resolver for the addresses of a name, in a thread that is left behind when the time is up."""
    found: list[tuple[Network, ...]] = []
    problems: list[str] = []
    done = Event()

    def ask() -> None:
        try:
            infos = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            texts = dict.fromkeys(str(info[4][0]).partition("%")[0] for info in infos)
            found.append(tuple(ip_network(text) for text in list(texts)[:MOST_ADDRESSES]))
        except (OSError, UnicodeError, ValueError) as error:
            problems.append(getattr(error, "strerror", None) or str(error))
        finally:
            done.set()

    Thread(target=ask, name="nftui-name", daemon=True).start()
    if not done.wait(seconds):
        raise ResolveError(name, f"was not answered for within {seconds:g} s", "write the address")
    if not found or not found[0]:
        raise ResolveError(name, f"has no address: {problems[0] if problems else 'none was told'}", "write the address")
    return found[0]
