"""A process of the probe, as its command: first it takes what opens sockets out of force, and only then loads what has threads.

Threads keep what was in force when they were made, and libraries make some when they are loaded.

    python -m nftui.engine.probe_process ROOT NUMBER PROCESSES PARENT LOCK
"""

from __future__ import annotations

import sys

from nftui.capture.probe import rights

if __name__ == "__main__":
    rights.drop()
    from nftui.engine import prober

    sys.exit(prober.main(sys.argv[1:]))
