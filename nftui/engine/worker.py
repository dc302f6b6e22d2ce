"""A further process of a collector: receives, decodes and stores what the exporters that belong to it send over UDP.

It is a collector without the sealing and the last word: `workers.py` starts it, on sockets that are bound already, with the store's
lock held for it. The first line of its standard input is the configuration. At the end of that it stores what it has received, and
ends; when its parent is gone it ends at once.

    python -m nftui.engine.worker ROOT NUMBER PROCESSES PARENT LOCK SOCKET…
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path

from nftui import config
from nftui.capture import layouts
from nftui.engine.child import ENDED_BY_PARENT, die_with_parent
from nftui.engine.collector import Collector
from nftui.engine.rules import rules_of
from nftui.engine.share import Inherited, Share


def run(root: Path, share: Share, parent: int, inherited: Inherited) -> int:
    """Collect until standard input ends.

    Args:
        root: The data directory, whose lock the parent holds.
        share: Which process this is.
        parent: Process id of the first.
        inherited: What the first has given to this process.
    Returns:
        The exit status, 0.
    """
    die_with_parent(parent)
    for number in ENDED_BY_PARENT:
        signal.signal(number, signal.SIG_IGN)
    told = config.of_json(sys.stdin.buffer.readline())
    layouts.define(told.elements)
    rules = rules_of(told.collector, told.exporters)
    collector = Collector(root, told.collector, rules, share=share, inherited=inherited)
    threading.Thread(target=_heed, args=(collector,), daemon=True).start()
    collector.run()
    return 0


def _heed(collector: Collector) -> None:
    sys.stdin.buffer.read()
    collector.stop()


if __name__ == "__main__":
    root, number, processes, parent, lock, *sockets = sys.argv[1:]
    share, inherited = Share(int(number), int(processes)), Inherited(int(lock), tuple(map(int, sockets)))
    logging.basicConfig(format=f"%(asctime)s %(levelname)s process {number}: %(message)s", level=logging.INFO)
    sys.exit(run(Path(root), share, int(parent), inherited))
