"""nftui's statistics beside nfdump's, of the same flows.

    python -m tests.real.statistics PEER [STAT…] --data DIR | -r [--limit N]

compares all statistics that both know: PEER is a directory of nfcapd's files, and ours is a store with the same flows, or (`-r`)
the same files. Values, order, shares, rates and durations have to be the same; groups that tie may stand in any order.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nftui.engine.names import protocol_name
from tests import peers
from tests.running import told

ONE_SIDE = (
    "srcip", "dstip", "nhip", "router", "srcport", "dstport", "proto", "srctos", "dsttos", "dir", "srcas", "dstas", "inif", "outif",
    "srcmask", "dstmask", "srcvlan", "dstvlan", "insrcmac", "outdstmac", "indstmac", "outsrcmac", "mpls1",
    "srcip:p", "dstport:p", "outif:p",
)  # fmt: skip
EITHER = ("ip", "port", "as", "if", "mask", "vlan", "srcmac", "dstmac", "outmac", "ip:p", "port:p")
"""Statistics of which nfdump 1.7 counts a flow twice where both values are the same."""
ORDERS = ("flows", "packets", "bytes", "pps", "bps", "bpp")
"""In the order in which nfdump prints them, however they are asked for."""
FIELDS = {"flows": "fl", "packets": "pkt", "octets": "byt", "pps": "pps", "bps": "bps", "bpp": "bpp"}
NAMES = {"bytes": "octets"}

Group = tuple[str, str]
"""A value, and its protocol or `any`."""


@dataclass(frozen=True)
class Line:
    """A group of one list.

    Attributes:
        group: Which.
        sums: Flows, packets, octets, pps, bps, bpp.
        shares: Percent of the flows, packets and octets of all.
        duration_ms: From the first start to the last end.
    """

    group: Group
    sums: dict[str, int]
    shares: tuple[float, float, float]
    duration_ms: int


Lists = dict[tuple[str, str], list[Line]]
"""Statistic and order -> its list."""


def theirs(folder: Path, statistics: Iterable[str], limit: int = 0, *words: str) -> Lists:
    """Return nfdump's lists."""
    found: Lists = {}
    for statistic in statistics:
        command = [peers.require("nfdump"), "-R", str(folder), "-s", "/".join((statistic, *ORDERS)), "-n", str(limit), "-o", "csv"]
        printed = subprocess.run([*command, *words], capture_output=True, text=True, check=True).stdout
        blocks = printed.partition("\nSummary")[0].split("ts,te,td,")[1:]
        assert len(blocks) == len(ORDERS), f"{statistic}: {printed[:200]}"
        for order, block in zip(ORDERS, blocks, strict=True):
            rows = csv.DictReader(io.StringIO("ts,te,td," + block))
            found[statistic, order] = [_their_line(row) for row in rows]
    return found


def _their_line(row: dict[str, str]) -> Line:
    # The headings are those of counters in, where a statistic has other counters, too.
    plain = {name.removeprefix("i"): text for name, text in row.items()}
    sums = {ours: int(plain[name]) for ours, name in FIELDS.items()}
    shares = float(plain["flP"]), float(plain["pktP"]), float(plain["bytP"])
    value = plain["val"].strip().removesuffix("-0-0")
    return Line((value, plain["pr"].strip()), sums, shares, round(float(plain["td"]) * 1000))


def ours(source: Iterable[object], statistics: Iterable[str], limit: int = 0, *words: str) -> Lists:
    """Return our lists; `source` is the words of the command line that say what is read."""
    asked = [word for statistic in statistics for word in ("-s", "/".join((statistic, *ORDERS)))]
    rows = answered("top", *source, *asked, "-n", limit, "-o", "json", *words)
    found: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
    for row in rows:
        statistic, _, order = row["statistic"].partition("/")
        found[statistic, {"octets": "bytes"}.get(order, order)].append(_our_line(statistic, row))
    return dict(found)


def answered(*words: object) -> list[dict[str, Any]]:
    """Run a command of ours in this process; return the rows of its JSON."""
    rows: list[dict[str, Any]] = json.loads(told(*words))["rows"]
    return rows


def _our_line(statistic: str, row: dict[str, Any]) -> Line:
    name = next(name for name in row if name != "statistic")
    protocol = protocol_name(row["protocol"]) if "protocol" in row else "any"
    shares = row["flows_percent"], row["packets_percent"], row["octets_percent"]
    first, last = (datetime.fromisoformat(row[end]) for end in ("first", "last"))
    return Line((str(row[name]), protocol), {one: row[one] for one in FIELDS}, shares, _milliseconds(last) - _milliseconds(first))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def differences(peer: Lists, found: Lists, *, whole: bool = True) -> list[str]:
    """Return what differs, a line each; groups that tie at the end of lists that aren't `whole` may differ."""
    told = []
    for about, lines in peer.items():
        own = found.get(about, [])
        order = NAMES.get(about[1], about[1])
        if [line.sums[order] for line in own] != [line.sums[order] for line in lines]:
            told.append(f"{'/'.join(about)}: the order is {_ranks(own, order)} and nfdump's {_ranks(lines, order)}")
            continue
        ties = Counter(line.sums[order] for line in lines)
        last = lines[-1].sums[order] if lines and not whole else None
        by_group = {line.group: line for line in own}
        for place, line in enumerate(lines):
            mine = by_group.get(line.group)
            if mine is None:
                if line.sums[order] != last:
                    told.append(f"{'/'.join(about)}: {line.group} is missing")
            elif mine.sums != line.sums or mine.duration_ms != line.duration_ms:
                told.append(f"{'/'.join(about)}: {mine} and nfdump's {line}")
            elif any(abs(one - other) > 0.0501 for one, other in zip(mine.shares, line.shares, strict=True)):
                told.append(f"{'/'.join(about)}: shares {mine.shares} and nfdump's {line.shares}")
            elif ties[line.sums[order]] == 1 and own[place].group != line.group:
                told.append(f"{'/'.join(about)}: {line.group} at another place")
    return told


def _ranks(lines: list[Line], order: str) -> list[int]:
    return [line.sums[order] for line in lines[:5]]


def main() -> int:
    """Compare, and print what differs."""
    parser = argparse.ArgumentParser(description="nftui's statistics beside nfdump's")
    parser.add_argument("peer", type=Path, help="a directory of nfcapd's files")
    parser.add_argument("--data", type=Path, help="a store with the same flows")
    parser.add_argument("-r", "--read", action="store_true", help="have nftui read nfcapd's files")
    parser.add_argument("--limit", type=int, default=100, help="groups of each list")
    parser.add_argument("statistics", nargs="*", metavar="STAT", help="all of them unless some are named")
    options = parser.parse_args()
    source = ["-r", options.peer] if options.read else ["--data", options.data]
    wrong = 0
    for statistic in options.statistics or ONE_SIDE + EITHER:
        peer = theirs(options.peer, [statistic], options.limit)
        told = differences(peer, ours(source, [statistic], options.limit), whole=False)
        wrong += bool(told)
        print(f"{statistic:10} {'same' if not told else f'{len(told)} differences: {told[0]}'}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
