"""The corpus as a real collector gets it, in datagrams, and as `nftui import` reads it: the same flows as the golden files hold."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from nftui import cli
from nftui.demo.queue import ReceiveQueue
from nftui.engine import filters
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Kind, Query
from tests.capture import corpus
from tests.capture.test_corpus import NOT_READ_YET, name_of
from tests.running import collecting, nftui, payloads

CASES = {name_of(path): path for path in corpus.golden_files() if name_of(path) not in NOT_READ_YET}
EMPTY = {"flows": 0, "octets": 0, "packets": 0}
FIRST = int(ipaddress.IPv4Address("127.2.0.1"))

Row = dict[str, Any]


@dataclass
class Replayed:
    """The corpus in the store of a collector.

    Attributes:
        data: The store.
        addresses: Case -> the addresses that its exporters had on the wire.
        flows: Address -> flows as the command line lists them.
        sent: Datagrams.
        status: The collector's own account.
    """

    data: Path
    addresses: dict[str, list[str]]
    sent: int
    status: dict[str, Any]
    flows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))


def replay(port: int) -> tuple[dict[str, list[str]], int]:
    """Send all cases, each exporter of each from a loopback address of its own; return the addresses, and how many datagrams."""
    addresses: dict[str, list[str]] = {}
    queue, sent = ReceiveQueue(port), 0
    for case, path in CASES.items():
        exporters: dict[str, socket.socket] = {}
        with ExitStack() as stack:
            for exporter, payload in payloads(corpus.capture_of(path)):
                if exporter not in exporters:
                    one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    one.bind((str(ipaddress.IPv4Address(FIRST + sum(map(len, addresses.values())) + len(exporters))), 0))
                    exporters[exporter] = one
                queue.wait_for_room()
                exporters[exporter].sendto(payload, ("127.0.0.1", port))
                sent += 1
            addresses[case] = [one.getsockname()[0] for one in exporters.values()]
    queue.close()
    return addresses, sent


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """The whole corpus, sent once to one collector, which has stored and sealed it."""
    data = tmp_path_factory.mktemp("wire")
    with collecting(data) as collector:
        addresses, sent = replay(collector.port)
        collector.wait_for(lambda: collector.status().get("datagrams") == sent)
        status = collector.status()
    found = Replayed(data, addresses, sent, status)
    for line in nftui("flows", "--data", data, "-o", "ndjson", "--raw").stdout.splitlines():
        row = json.loads(line)
        found.flows[row["exporter_address"]].append(row)
    return found


@pytest.mark.parametrize("case", CASES)
def test_over_the_wire(case: str, replayed: Replayed) -> None:
    flows = [row for address in replayed.addresses[case] for row in replayed.flows[address]]
    assert corpus.differences(corpus.load(CASES[case]), result(flows)) == []


def test_nothing_is_lost_or_left_over(replayed: Replayed) -> None:
    status = replayed.status
    known = {address for addresses in replayed.addresses.values() for address in addresses}
    assert (status["datagrams"], status["drops"], status["queue_dropped"]) == (replayed.sent, 0, 0)
    assert {exporter["address"] for exporter in status["exporters"]} == known
    assert set(replayed.flows) <= known
    assert status["flows"] == sum(map(len, replayed.flows.values()))


def test_a_filter_for_the_exporter_finds_its_flows(replayed: Replayed) -> None:
    back_end = LocalBackEnd(replayed.data)
    for address, flows in replayed.flows.items():
        where = filters.parse(f"exporter ip {address}")
        assert back_end.answer(Query(kind=Kind.FLOWS, where=where)).total.flows == len(flows)
    address = max(replayed.flows, key=lambda one: len(replayed.flows[one]))
    told = nftui("flows", "--data", replayed.data, f"exporter ip {address}", "-o", "ndjson", "--raw").stdout.splitlines()
    assert Counter(told) == Counter(json.dumps(row) for row in replayed.flows[address])


@pytest.mark.parametrize("case", CASES)
def test_imported(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden = corpus.load(CASES[case])
    counts = json.loads(told(capsys, "import", "--data", tmp_path, corpus.capture_of(CASES[case]), "-o", "json"))
    flows = [json.loads(line) for line in told(capsys, "flows", "--data", tmp_path, "-o", "ndjson", "--raw").splitlines()]
    assert corpus.differences(golden, result(flows)) == []
    assert (counts["datagrams"], counts["flows"]) == (golden["datagrams"], len(flows))
    (summary,) = json.loads(told(capsys, "summary", "--data", tmp_path, "-o", "json", "--raw"))["rows"] if flows else (EMPTY,)
    # A record stands for as many flows as it says, and for itself at least.
    assert {name: summary[name] for name in EMPTY} == {
        "flows": sum(max(row.get("flow_count", 1), 1) for row in flows),
        "octets": sum(row.get("octets", 0) for row in flows),
        "packets": sum(row.get("packets", 0) for row in flows),
    }


def test_imported_in_one_go_by_a_process(tmp_path: Path) -> None:
    goldens = [corpus.load(path) for path in CASES.values()]
    done = nftui("import", "--data", tmp_path, *map(corpus.capture_of, CASES.values()), "-o", "json")
    counts = json.loads(done.stdout)
    assert done.stderr == ""
    assert (counts["frames"], counts["datagrams"]) == (sum(golden["datagrams"] for golden in goldens),) * 2
    assert LocalBackEnd(tmp_path).answer(Query(kind=Kind.FLOWS)).total.flows == counts["flows"]


def told(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command in this process, which spares the start of one, and return what it printed."""
    assert cli.main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def result(flows: list[Row]) -> dict[str, Any]:
    """Return flows as the command line gives them, in the shape of a golden file."""

    def total(name: str) -> int | None:
        values = [row[name] for row in flows if name in row]
        return sum(values) if values else None

    def moment(name: str, pick: Any) -> int | None:
        return pick((milliseconds(row[name]) for row in flows if name in row), default=None)

    return {
        "totals": {
            "flow_records": len(flows), "bytes": total("octets"), "packets": total("packets"),
            "first_ms": moment("flow_start", min), "last_ms": moment("flow_end", max),
        },
        "flows": [[row.get(name) for name in corpus.FLOW] for row in flows],
    }  # fmt: skip


def milliseconds(text: str) -> int:
    """Return a time as the command line gives it in milliseconds since 1970, rounded down."""
    return int((datetime.fromisoformat(text) - datetime.fromisoformat("1970-01-01T00:00:00Z")).total_seconds() * 1000)
