"""A process that asks the back end one question which no command asks yet: the top pairs of addresses.

python -m tests.bench.asked DATA
"""

from __future__ import annotations

import sys
from pathlib import Path

from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Query
from nftui.export.rows import group_rows

PAIRS = Query(keys=("source_address", "destination_address"), limit=10)

if __name__ == "__main__":
    for row in group_rows(LocalBackEnd(Path(sys.argv[1]), keep=False).answer(PAIRS)):
        print(row)
