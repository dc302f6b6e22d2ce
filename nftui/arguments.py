"""The arguments of the command line: each command, its options, and what its help says.

`cli` has a function for each command: this module only reads words.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from nftui import __version__
from nftui.errors import UsageError

EXAMPLES = """examples:
  nftui                                    the dashboard, with a collector on ports 9995 and 6343
  nftui demo                               the same, on a simulated network
  nftui collect --data /var/lib/nftui      the collector alone
  nftui top -t -1h -s record/packets -s record/bytes 'dst port 443'
"""
LISTEN = "[ADDR:]PORT[/udp|tcp|sctp]"


class _Parser(argparse.ArgumentParser):
    """argparse with one line an error."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{message}; see {self.prog} --help")


def parsed(words: Sequence[str]) -> tuple[str, argparse.Namespace]:
    """Read the words of a command line.

    Returns:
        The command, as `filters list`, or `dashboard` where none is named; and its options.
    Raises:
        UsageError: They can't be understood.
    """
    options, unknown = _parser().parse_known_args(_joined(list(words)))
    if unknown:
        help_of = ("nftui", options.command, "--help") if options.command else ("nftui", "--help")
        raise UsageError(f"unrecognized arguments: {' '.join(unknown)}; see {' '.join(help_of)}")
    return " ".join(filter(None, (options.command or "dashboard", getattr(options, "action", None)))), options


def _joined(words: list[str]) -> list[str]:
    """Join `-t -15m` to one word, as argparse takes what begins with a dash for an option; and `--previous` with its length.

    Whether a word behind `--previous` is its length or a filter is told by what it looks like.
    """
    joined: list[str] = []
    for word in words:
        last = joined[-1] if joined else ""
        if last in ("-t", "--time") and word[:1] == "-" and word[1:2].isdigit():
            joined[-1] += word if last == "-t" else f"={word}"
        elif last == "--previous=" and re.fullmatch(r"([0-9.]+[smhdwSMHDW])+", word):
            joined[-1] += word
        else:
            joined.append("--previous=" if word == "--previous" else word)
    return joined


def _parser() -> argparse.ArgumentParser:
    shared = _Parser(add_help=False)
    shared.add_argument("--data", metavar="DIR", type=Path, default=argparse.SUPPRESS, help="the data directory")
    shared.add_argument("--config", metavar="FILE", type=Path, default=argparse.SUPPRESS, help="the configuration file")
    parser = _Parser(
        prog="nftui",
        description="NetFlow and IPFIX: collect, store, ask, see.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"nftui {__version__}")
    parser.add_argument("--no-collect", action="store_true", help="only read: start no collector")
    parser.add_argument("--listen", action="append", metavar=LISTEN, help="of the embedded collector; as of `collect`")
    parser.add_argument("--interface", action="append", metavar="IF", help="of the embedded collector; as of `collect`")
    parser.add_argument("--with-parent", type=int, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", parser_class=_Parser)
    _add_collecting(commands, shared)
    _add_asking(commands, shared)
    _add_sending(commands, shared)
    _add_keeping(commands, shared)
    return parser


def _add_collecting(commands: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    demo = commands.add_parser("demo", parents=[shared], help="the dashboard on a simulated network")
    demo.add_argument("--network", metavar="FILE", help="the network to simulate, TOML")
    demo.add_argument("--seed", type=int, default=1, help="of the simulation")
    demo.add_argument("--no-screen", action="store_true", help="only the collector and the exporters, until interrupted")
    serve = commands.add_parser("serve", parents=[shared], help="the dashboard in a browser, for whoever has the link it prints")
    serve.add_argument("--port", type=int, default=9980, metavar="N", help="default 9980; 0: any that is free")
    serve.add_argument("--bind", default="127.0.0.1", metavar="ADDR", help="default 127.0.0.1, reachable from this machine alone")
    serve.add_argument("--no-collect", action="store_true", help="only read: start no collector")
    serve.add_argument("--listen", action="append", metavar=LISTEN, help="of the collector; as of `collect`")
    exporters = commands.add_parser("demo-exporters", parents=[shared], help="only the simulated exporters")
    exporters.add_argument("--to", required=True, metavar="HOST:PORT", help="the collector")
    exporters.add_argument("--network", metavar="FILE")
    exporters.add_argument("--seed", type=int, default=1)
    exporters.add_argument("--with-parent", type=int, help=argparse.SUPPRESS)
    exporters.add_argument("--minutes", type=int, default=0, help="of history to send first")
    collect = commands.add_parser("collect", parents=[shared], help="the collector alone, until SIGTERM")
    collect.add_argument(
        "--listen",
        action="append",
        metavar=LISTEN,
        help="repeatable; default 9995/udp for all protocols and 6343/udp for sFlow only; tcp and sctp take IPFIX",
    )
    collect.add_argument(
        "--interface", action="append", metavar="IF", help="repeatable; make flows of its packets, too; see `nftui probe`"
    )
    collect.add_argument("--interval", type=int, metavar="S", help="seconds of a segment (default 300)")
    collect.add_argument("--processes", type=int, metavar="N", help="that receive over udp (default 1; 0: one on each core)")
    collect.add_argument("--with-parent", type=int, help=argparse.SUPPRESS)
    collect.add_argument("--check", action="store_true", help="print what it would bind and which elements it takes")
    _add_probe(commands, shared)
    importing = commands.add_parser(
        "import",
        parents=[shared],
        help="files of nfdump, captures (pcap) of flow exports or of traffic, Parquet, and directories of them into the store",
    )
    importing.add_argument("paths", nargs="+", metavar="PATH", type=Path)
    importing.add_argument(
        "--as",
        dest="kind",
        choices=("flows", "packets"),
        help="what a capture holds: exports of flows (default where it has any), or traffic, of which flows are made",
    )
    importing.add_argument("--again", action="store_true", help="import files that were imported before, too")
    importing.add_argument("-o", "--output", choices=("text", "json"), default="text")
    protocols = commands.add_parser("protocols", parents=[shared], help="protocols, vendors' names for them, and what decodes each")
    protocols.add_argument("-o", "--output", choices=("text", "json"), default="text")
    status = commands.add_parser("status", parents=[shared], help="the collector's counters, per exporter")
    status.add_argument("-o", "--output", choices=("text", "json"), default="text")
    doctor = commands.add_parser(
        "doctor", parents=[shared], help="checks permissions, limits, clock, disk, terminal; says how to mend each"
    )
    doctor.add_argument("-o", "--output", choices=("text", "json"), default="text")


def _add_probe(commands: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    probe = commands.add_parser(
        "probe",
        parents=[shared],
        help="flows of packets: from interfaces, capture files or a pipe; without any, the interfaces there are",
    )
    probe.add_argument(
        "sources", nargs="*", metavar="IF|FILE|-", help="interfaces; or capture files; or - for standard input: `tcpdump -w - | …`"
    )
    probe.add_argument("--to", action="append", metavar="HOST:PORT", help="a collector, repeatable; instead of into the store")
    probe.add_argument(
        "--format", choices=("netflow5", "netflow9", "ipfix"), default="ipfix", help="of what is sent (default ipfix)"
    )
    probe.add_argument("--bpf", metavar="EXPR", help="a filter as of tcpdump, in the kernel")
    probe.add_argument("--active", type=int, metavar="S", help="tell of a flow that goes on after so long (default 60)")
    probe.add_argument("--inactive", type=int, metavar="S", help="a flow is over after so long without a packet (default 15)")
    probe.add_argument("--sampling", type=int, metavar="N", help="look at 1 in N packets (default 1: all)")
    probe.add_argument(
        "--entries", type=int, metavar="N", help="flows that are followed at a time (default: by the memory there is)"
    )
    probe.add_argument(
        "--processes", type=int, metavar="N", help="that share an interface's packets (default 1; 0: one on each core)"
    )
    probe.add_argument("--promiscuous", action="store_true", help="take what is addressed to other machines, as on a mirror port")
    probe.add_argument("--inner", action="store_true", help="flows are those inside of tunnels")
    probe.add_argument("--biflow", action="store_true", help="tell of both directions of a connection together")
    probe.add_argument("--carry-fragments", action="store_true", help="later fragments count for the ports of the first")
    probe.add_argument("--conntrack", action="store_true", help="flows from the kernel's connection tracking, too")
    probe.add_argument("--again", action="store_true", help="of files: read those that were read before, too")


def _add_asking(commands: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    asking = _Parser(add_help=False, parents=[shared])
    asking.add_argument("filter", nargs="*", metavar="FILTER", help="a filter expression: 'dst port 443 and net 10.0.0.0/8'")
    asking.add_argument(
        "-r",
        "--read",
        action="append",
        type=Path,
        metavar="PATH",
        help="ask files instead of the store, repeatable: of nfdump, pcap, Parquet; directories; DIR/FIRST:LAST",
    )
    asking.add_argument(
        "-t", "--time", metavar="RANGE", help="-15m, -1d, START/END, all (default: the last hour; all with --data, -r)"
    )
    asking.add_argument("--contained", action="store_true", help="only flows wholly inside the range, as nfdump")
    asking.add_argument("-o", "--output", choices=("text", "csv", "json", "ndjson", "markdown", "parquet"), default="text")
    asking.add_argument("--out", metavar="FILE", type=Path, help="write there: a file that appears whole, or not at all")
    asking.add_argument("-N", "--plain", action="store_true", help="plain numbers")
    asking.add_argument("--units", choices=("si", "iec"), default="si", help="of octets")
    asking.add_argument("--raw", action="store_true", help="counters as exported: sampling not applied")
    asking.add_argument("--names", action="store_true", help="names of addresses, by your hosts file and DNS; names in FILTER too")
    asking.add_argument(
        "--perspective",
        choices=("all", "ingress", "egress", "boundary"),
        default="all",
        help="flows as metered on their way in or out, or with just one end in network.home",
    )
    asking.add_argument("--metric", choices=("octets", "packets", "flows"), default="octets", help="what is counted")
    _add_filtering(asking)
    flows = commands.add_parser("flows", parents=[asking], help="list flow records")
    flows.add_argument("-c", "--count", type=int, metavar="N", help="at most N (default: all in a pipe, 1,000 on a terminal)")
    flows.add_argument("-O", "--order", metavar="KEY", default="flow_start", help="a column, highest last as `KEY/asc` (default)")
    _add_ranking(commands, asking)
    series = commands.add_parser("series", parents=[asking], help="the data table: sums of the metric a bin")
    series.add_argument(
        "--by", metavar="KEY", help="any statistic of `top`, or none (default: what --filter NAME says, else dstip)"
    )
    series.add_argument("-n", "--limit", type=int, default=10, metavar="N", help="groups that have a column (default 10)")
    series.add_argument(
        "--resolution", metavar="R", default="medium", help="low, medium, high, ultra, hourly, daily or a number of bins"
    )
    series.add_argument("--rate", action="store_true", help="bit/s, packets or flows a second in place of sums")
    series.add_argument("--stats", action="store_true", help="min, avg, max, last and 95th percentile below")
    series.add_argument("--previous", metavar="LENGTH", help="the same groups before: the range's own length, or 1d, 1w, …")
    commands.add_parser("summary", parents=[asking], help="totals, rates, time range, coverage")


def _add_ranking(commands: argparse._SubParsersAction[_Parser], asking: _Parser) -> None:
    ranking = _Parser(add_help=False, parents=[asking])
    ranking.add_argument("-n", "--limit", type=int, default=10, metavar="N", help="groups shown, 0 for all (default 10)")
    ranking.add_argument("-O", "--order", metavar="ORDER", help="bytes, packets, flows, bps, pps, bpp, duration, tstart, tend, …")
    ranking.add_argument("-P", "--having", metavar="FILTER", help="only groups like this: 'packets > 1000 and bps > 1m'")
    top = commands.add_parser("top", parents=[ranking], help="statistics, as nfdump -s, -A, -a and -b")
    top.add_argument(
        "-s",
        "--statistic",
        action="append",
        metavar="STAT[:p][/ORDER]…",
        help="repeatable; default: what --filter NAME says, else record; :p by protocol",
    )
    top.add_argument("-A", "--aggregate", metavar="KEY[/MASK],…", help="what a record is: srcip4/24,srcip6/64,dstport")
    top.add_argument("-a", "--records", action="store_true", help="records by protocol, addresses and ports (the default)")
    top.add_argument("-b", "--both-ways", action="store_true", help="both directions of a connection in one record")
    top.add_argument("-B", "--guess", action="store_true", help="the same, from the client where ports tell it")
    pairs = commands.add_parser("pairs", parents=[ranking], help="pairs of addresses, and what went each way")
    pairs.add_argument("--matrix", action="store_true", help="who sent how much to whom among the top N, as a table")
    pairs.add_argument("--by", metavar="KEY", default="ip", help="of the matrix: ip (default), port, as, if, vlan")


def _add_filtering(asking: _Parser) -> None:
    asking.add_argument("-f", "--filter-file", metavar="FILE", type=Path, help="read a filter from a file, as nfdump")
    asking.add_argument("--filter", dest="saved", metavar="NAME", help="a saved filter; all filters that are given must match")
    asking.add_argument(
        "--notes",
        action=argparse.BooleanOptionalAction,
        help="on stderr, what a filter may mean otherwise than it seems (default: on a terminal)",
    )


def _add_sending(commands: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    sending = _Parser(add_help=False, parents=[shared])
    sending.add_argument("filter", nargs="*", metavar="FILTER", help="only these flows: 'net 10.0.0.0/8 and not port 53'")
    add_targets(sending, required=True)
    sending.add_argument("--exporters", action="store_true", help="tell who exported each flow to us, too (netflow9, ipfix)")
    sending.add_argument("-o", "--output", choices=("text", "json"), default="text", help="of what is said at the end")
    sending.add_argument("--names", action="store_true", help="names in FILTER are looked up in DNS, too")
    _add_filtering(sending)
    replay = commands.add_parser(
        "replay", parents=[sending], help="send stored flows to a collector, as fast as they came or faster"
    )
    replay.add_argument("--speed", default="1", metavar="N", help="times as fast as they came, or max (default 1)")
    replay.add_argument("--shift-to-now", action="store_true", help="move their times, as if they were received now")
    replay.add_argument(
        "-r", "--read", action="append", type=Path, metavar="PATH", help="files instead of the store; as of `flows`"
    )
    replay.add_argument("-t", "--time", metavar="RANGE", help="-15m, -1d, START/END, all; as of `flows`")
    replay.add_argument("--contained", action="store_true", help="only flows wholly inside the range, as nfdump")
    replay.add_argument("-c", "--count", type=int, metavar="N", help="at most N")
    replay.set_defaults(raw=True, perspective="all")
    commands.add_parser("relay", parents=[sending], help="send on what the collector stores, as it comes, until SIGTERM")


def add_targets(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the options that say where flows are sent, and how."""
    parser.add_argument("--to", action="append", required=required, metavar="HOST:PORT", help="a collector, repeatable")
    parser.add_argument("--format", choices=("netflow5", "netflow9", "ipfix"), default="ipfix", help="default ipfix")
    parser.add_argument("--domain", type=int, default=0, metavar="N", help="observation domain, or source id (default 0)")
    parser.add_argument("--mtu", type=int, default=1400, metavar="OCTETS", help="of the largest packet sent (default 1400)")
    parser.add_argument(
        "--pace", type=int, default=20_000, metavar="N", help="datagrams a second at most (default 20000; 0: no limit)"
    )


def _add_keeping(commands: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    told = _Parser(add_help=False, parents=[shared])
    told.add_argument("-o", "--output", choices=("text", "json"), default="text")
    filters = commands.add_parser("filters", parents=[shared], help="saved filters").add_subparsers(
        metavar="list|show|save|delete", required=True, dest="action", parser_class=_Parser
    )
    filters.add_parser("list", parents=[told], help="all of them, and files that can't be used")
    showing = filters.add_parser("show", parents=[told], help="one of them")
    showing.add_argument("name", metavar="NAME")
    saving = filters.add_parser("save", parents=[shared], help="make or change one; what is not given stays")
    saving.add_argument("name", metavar="NAME")
    saving.add_argument("filter", nargs="*", metavar="FILTER", help="an expression; a filter has one, or lists:")
    for option, of in (
        ("--source-ip", "addresses and networks of the source"),
        ("--destination-ip", "addresses and networks of the destination"),
        ("--source-port", "ports of the source"),
        ("--destination-port", "ports of the destination"),
        ("--protocol", "protocols"),
        ("--exporter", "addresses and networks of exporters"),
    ):
        saving.add_argument(option, metavar="LIST", help=f"{of}, with commas between")
    saving.add_argument("--aggregate-by", metavar="KEY", help="srcip, dstip, srcport, dstport, proto, none (default dstip)")
    saving.add_argument("--description", metavar="TEXT")
    deleting = filters.add_parser("delete", parents=[shared], help="remove some")
    deleting.add_argument("names", nargs="+", metavar="NAME")
    config = commands.add_parser("config", parents=[shared], help="the configuration").add_subparsers(
        metavar="show|get|set|path", required=True, dest="action", parser_class=_Parser
    )
    config.add_parser("show", parents=[told], help="every key, and where its value comes from")
    getting = config.add_parser("get", parents=[told], help="the value of a key")
    getting.add_argument("key", metavar="SECTION.KEY")
    setting = config.add_parser("set", parents=[shared], help="give a key another value, in the file")
    setting.add_argument("key", metavar="SECTION.KEY")
    setting.add_argument("value", metavar="VALUE", help="as it is; of a list, with commas between")
    config.add_parser("path", parents=[told], help="which file is read")
