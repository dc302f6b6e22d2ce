"""Probes: the processes that make flows of packets, started and watched by the collector, which speaks for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nftui.config import Config, ProbeSettings, to_json
from nftui.engine import accounts
from nftui.engine.accounts import Account
from nftui.engine.crew import Crew, Member
from nftui.engine.outlet import STATUS
from nftui.engine.share import PROBE, Share


def number_of(settings: ProbeSettings) -> int:
    """Return how many processes share the packets: what the kernel's connection tracking tells is for one."""
    if not settings.interfaces:
        return int(settings.conntrack)
    return settings.processes or len(os.sched_getaffinity(0))


class Probes(Crew):
    """The probe's processes of one collector; none where no interface is configured."""

    MODULE = "nftui.engine.probe_process"
    LOSS = "the flows that it followed are lost"

    def __init__(self, root: Path, config: Config, tell: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            root: The data directory.
            config: What each is told.
            tell: Makes something an event.
        """
        self._settings, self._root = config.probe, root
        self._running = False
        super().__init__(root, [self._member(one) for one in range(1, 1 + number_of(config.probe))], to_json(config), tell)

    def descriptions(self) -> list[str]:
        """Return what whoever starts the collector should know."""
        settings = self._settings
        number = number_of(settings)
        among = f", shared by {number} processes" if number > 1 else ""
        found = [f"making flows of the packets of {', '.join(settings.interfaces)}{among}"] if settings.interfaces else []
        return found + (["taking flows from the kernel's connection tracking"] if settings.conntrack else [])

    def start(self, lock: int) -> None:
        """Start all, as `Crew` does; what an earlier collector's said is forgotten."""
        self._running = True
        for path in self._root.glob(f"{STATUS.partition('.')[0]}.{PROBE}*"):
            path.unlink(missing_ok=True)
        super().start(lock)

    def follow(self, config: Config) -> None:
        """Go on by another configuration: other interfaces, or none, too. What was followed is told of first."""
        before, self._settings = self._settings, config.probe
        self._told = to_json(config)
        if config.probe == before or not self._running:
            return
        with self._guard:
            wanted = number_of(config.probe)
            for member in self._members:
                member.share = replace(member.share, processes=max(wanted, member.share.number))
                member.retired = member.share.number > wanted
                member.renewed = not member.retired and member.process is not None
                member.ask()
            self._members += [self._member(one) for one in range(len(self._members) + 1, wanted + 1)]

    def together(self, first: Account) -> Account:
        """Return the account of all, given that of the collector."""
        heard = self.heard()
        wanted = {*self._settings.interfaces, *(["conntrack"] if self._settings.conntrack else [])}
        found: Account = accounts.together(first, [one for _, own in heard for one in own])
        # What is not asked for any more has nothing to tell either.
        return {**found, "probes": [one for one in found["probes"] if one.get("source") in wanted]} if heard else first

    def _member(self, number: int) -> Member:
        share = Share(number, max(number_of(self._settings), number), probe=True)
        name = "the probe" if number == 1 else f"process {number} of the probe"
        return Member(share, name, share.file(self._root, STATUS))
