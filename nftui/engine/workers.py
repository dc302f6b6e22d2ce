"""Workers: the further processes of a collector, started and watched by the first, which puts what they say of themselves together.

Their sockets are the first's too. The kernel goes on queueing for a process that has ended, so one that is started again finds what
came meanwhile; and its templates, which it saved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import socket

import msgspec

from nftui.capture.sockets import can_deal
from nftui.config import Config, to_json
from nftui.engine import accounts
from nftui.engine.accounts import Account
from nftui.engine.crew import Crew, Member
from nftui.engine.listening import Entry
from nftui.engine.outlet import STATUS
from nftui.engine.share import Share

CANT_DEAL = "this kernel can't deal datagrams to processes by their source: one process receives"


def number_of(wanted: int, entries: Sequence[Entry], tell: Callable[[str], None]) -> int:
    """Return how many processes receive.

    Args:
        wanted: 0 for one on each core that this process may use.
        entries: What is listened to: streams are for the first process, so without UDP the others would have nothing to do.
        tell: Takes it, where the kernel is in the way.
    """
    number = wanted or len(os.sched_getaffinity(0))
    if number == 1 or not any(transport == "udp" for _, _, transport in entries):
        return 1
    if not can_deal():
        tell(CANT_DEAL)
        return 1
    return number


class Workers(Crew):
    """The further processes of one collector; none where it has only one."""

    MODULE = "nftui.engine.worker"
    LOSS = "at most its last second is lost"

    def __init__(self, root: Path, config: Config, sockets: Sequence[list[socket]], tell: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            root: The data directory.
            config: What each is told.
            sockets: For each worker those of the UDP entries.
            tell: Makes something an event.
        """
        self._config = config
        members = [
            Member(share, f"process {share.number}", share.file(root, STATUS), tuple(one.fileno() for one in some))
            for share, some in zip(Share(1, 1 + len(sockets)).others(), sockets, strict=True)
        ]
        super().__init__(root, members, to_json(config), tell)

    def descriptions(self) -> list[str]:
        """Return what whoever starts the collector should know."""
        number = 1 + len(self._members)
        return [f"{number} processes receive over udp: an exporter's address says which"] if self._members else []

    def follow(self, config: Config) -> None:
        """Have all go on by another configuration, the same as before in what it listens to, and in how many processes."""
        before, self._config = self._config, config
        self._told = to_json(config)
        if _of_workers(config) != _of_workers(before):
            self.renew(self._lock)

    def together(self, first: Account) -> Account:
        """Return the account of all, given that of the first."""
        if not self._members:
            return first
        others: list[Account] = []
        lines = [_line(1, first, 0)]
        for worker, own in self.heard():
            others += own
            lines.append(_line(worker.share.number, accounts.together(own[0], own[1:]) if own else {}, worker.restarts, worker.pid))
        return {**accounts.together(first, others), "processes": lines}


def _of_workers(config: Config) -> tuple[object, ...]:
    """Return what of a configuration workers go by: sealing is not theirs."""
    return msgspec.structs.replace(config.collector, interval=0), config.exporters, config.elements


def _line(number: int, account: Account, restarts: int, pid: int = 0) -> Account:
    """Return what is said of each process beside the account of all."""
    keys = ("datagrams", "datagrams_per_s", "flows", "flows_per_s", "drops")
    return {
        "number": number,
        "pid": pid or account.get("pid", 0),
        **{key: account.get(key, 0) for key in keys},
        "exporters": len(account.get("exporters", ())),
        "restarts": restarts,
    }
