"""Broken forms of captures: how each is made, and what a decoder makes of it, as stated in `tests/data/broken/*.toml`.

A form is made from one case of the corpus by a list of operations on its datagrams, counted from 0:

- `cut`: `datagram` keeps `octets` of its octets, from its end when negative;
- `put`: `octets` (hexadecimal) are written over those at `at` of `datagram`;
- `append`: `octets` are put behind `datagram`;
- `sets`: the sets of `datagram` (NetFlow v9, IPFIX) are sent in this `order`: some twice, some not at all; lengths are put right;
- `insert`: a datagram of `octets` comes before `datagram`;
- `send`: the datagrams are sent in this `order`.

The expected values are rewritten, for review, by

    python -m tests.capture.broken --write
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import tomlkit

from nftui.capture.datagrams import DatagramBlock
from nftui.capture.decoder import Decoder
from nftui.capture.pcap import read_capture
from tests.capture import build, corpus

FOLDER = corpus.ROOT / "tests/data/broken"
COUNTED = ("options_records", "templates", "templates_replaced", "held_back", "released")
"""What is compared of an exporter's other counters, where it has them."""
Datagrams = list[bytes]


@dataclass(frozen=True)
class Form:
    """One broken form.

    Attributes:
        protocol: The name of its file.
        case: Of the corpus.
        name: What is broken.
        make: The operations.
        local_port: Where the datagrams arrive; 0 for the port of the capture.
        expect: The result.
    """

    protocol: str
    case: str
    name: str
    make: Sequence[dict[str, Any]]
    local_port: int
    expect: dict[str, Any]


def files() -> list[Path]:
    """Return the files of forms."""
    return sorted(FOLDER.glob("*.toml"))


def forms(path: Path) -> list[Form]:
    """Read the forms of a file."""
    document = tomlkit.parse(path.read_text("utf-8")).unwrap()
    return [
        Form(path.stem, document["case"], form["name"], form["make"], form.get("local_port", 0), form.get("expect", {}))
        for form in document["form"]
    ]


def cut(datagrams: Datagrams, datagram: int, octets: int) -> Datagrams:
    """Keep the beginning of a datagram."""
    return _with(datagrams, datagram, datagrams[datagram][:octets])


def put(datagrams: Datagrams, datagram: int, at: int, octets: str) -> Datagrams:
    """Write octets over others."""
    old, new = datagrams[datagram], bytes.fromhex(octets)
    assert at + len(new) <= len(old), f"datagram {datagram} ends before octet {at + len(new)}"
    return _with(datagrams, datagram, old[:at] + new + old[at + len(new) :])


def append(datagrams: Datagrams, datagram: int, octets: str) -> Datagrams:
    """Put octets behind a datagram."""
    return _with(datagrams, datagram, datagrams[datagram] + bytes.fromhex(octets))


def insert(datagrams: Datagrams, datagram: int, octets: str) -> Datagrams:
    """Send another datagram before one."""
    return [*datagrams[:datagram], bytes.fromhex(octets), *datagrams[datagram:]]


def send(datagrams: Datagrams, order: Sequence[int]) -> Datagrams:
    """Send datagrams in another order."""
    return [datagrams[place] for place in order]


def sets(datagrams: Datagrams, datagram: int, order: Sequence[int]) -> Datagrams:
    """Send the sets of a datagram in another order."""
    octets, found = datagrams[datagram], list[bytes]()
    ipfix = octets[1] == 10
    at = header = 16 if ipfix else 20
    while at + 4 <= len(octets):
        length = int.from_bytes(octets[at + 2 : at + 4], "big")
        found.append(octets[at : at + length])
        at += length
    body = b"".join(found[place] for place in order)
    head = octets[:2] + struct.pack(">H", header + len(body)) + octets[4:header] if ipfix else octets[:header]
    return _with(datagrams, datagram, head + body)


OPERATIONS: dict[str, Callable[..., Datagrams]] = {
    "cut": cut, "put": put, "append": append, "insert": insert, "send": send, "sets": sets,
}  # fmt: skip


def _with(datagrams: Datagrams, place: int, octets: bytes) -> Datagrams:
    return [*datagrams[:place], octets, *datagrams[place + 1 :]]


def made(form: Form) -> DatagramBlock:
    """Return the datagrams of a form, all from the exporter of the capture, received when its first one was."""
    blocks = list(read_capture(corpus.capture_of(corpus.case(form.case))))
    datagrams = [block.payload[row, :size].tobytes() for block in blocks for row, size in enumerate(block.length)]
    for step in form.make:
        words = dict(step)
        datagrams = OPERATIONS[words.pop("op")](datagrams, **words)
    first = blocks[0]
    block = build.block(datagrams, [first.exporter[0].tobytes()] * len(datagrams), local_port=form.local_port or first.local_port)
    block.received[:] = first.received[0]
    return block


def results(form: Form, *, one_by_one: bool = False) -> dict[str, Any]:
    """Decode a form; return what is compared.

    Args:
        form: The form.
        one_by_one: Whether each datagram is a block of its own.
    """
    decoder, block = Decoder(), made(form)
    frames: list[pl.DataFrame] = []
    for first in range(len(block.length)) if one_by_one else [0]:
        rows = slice(first, first + 1 if one_by_one else None)
        frames += decoder.decode(
            DatagramBlock(
                block.payload[rows], block.length[rows], block.exporter[rows], block.source_port[rows], block.received[rows],
                block.local_port,
            )
        )  # fmt: skip
    decoder.finish(int(block.received[0]))
    decoded = corpus.Decoded(corpus.joined(frames), decoder.status(int(block.received[0])))
    got = corpus.result(decoded.flows)
    totals = got["totals"]
    others: Counter[str] = Counter()
    for exporter in decoded.status["exporters"]:
        others.update({name: exporter[name] for name in COUNTED if exporter[name]})
        others.update(exporter["samples"])
    named = {"counted": others, "malformed": decoded.counted("malformed"), "unread": decoded.counted("unread")}
    return {
        "datagrams": decoded.status["datagrams"],
        "flows": totals["flow_records"],
        "octets": totals["bytes"] or 0,
        "packets": totals["packets"] or 0,
        "flows_sha256": corpus.digest(got["flows"]),
        **{kind: dict(sorted(counts.items())) for kind, counts in named.items() if counts},
    }


def rewritten(path: Path) -> str:
    """Return a file of forms with the results that the decoder gives now; all else stays as it was written."""
    document = tomlkit.parse(path.read_text("utf-8"))
    for form, table in zip(forms(path), document["form"], strict=True):
        expect = tomlkit.table()
        for key, value in results(form).items():
            if isinstance(value, dict):
                inline = tomlkit.inline_table()
                inline.update(value)
                expect[key] = inline
            else:
                expect[key] = value
        expect.add(tomlkit.nl())
        table["expect"] = expect
    return tomlkit.dumps(document).rstrip("\n") + "\n"


def main() -> int:
    """Show, or write, what has changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="rewrite the expected values; look at the difference")
    options = parser.parse_args()
    changed = [(path, text) for path in files() if (text := rewritten(path)) != path.read_text("utf-8")]
    for path, text in changed:
        print(f"{path.relative_to(corpus.ROOT)} {'rewritten' if options.write else 'would change'}")
        if options.write:
            path.write_text(text, "utf-8")
    return 1 if changed and not options.write else 0


if __name__ == "__main__":
    sys.exit(main())
