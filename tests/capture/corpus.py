"""The conformance corpus: where it is, what a decoder made of a case, and how that compares with the golden file.

The comparison is that of the corpus: totals that the golden file has key by key, times within 1 ms, flows as a multiset, and an
order-free checksum of all flows in which absent, 0 and a zero address are the same.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from nftui import schema
from nftui.capture.decoder import Decoder
from nftui.capture.pcap import read_capture

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/data/corpus"
WHOLE = ROOT.parent / "shared/corpus/flow"
FLOW = ("source_address", "destination_address", "source_port", "destination_port", "protocol", "octets", "packets")


@dataclass(frozen=True)
class Decoded:
    """What a decoder made of a capture."""

    flows: pl.DataFrame
    status: dict[str, Any]

    def counted(self, kind: str) -> Counter[str]:
        """Return `malformed`, `unread` or `unknown_elements` of all exporters together."""
        total: Counter[str] = Counter()
        for exporter in self.status["exporters"]:
            total.update(exporter[kind])
        return total


def golden_files() -> list[Path]:
    """Return the golden files of the whole corpus where it is at hand, else of the part that the repository holds."""
    return sorted((WHOLE if WHOLE.is_dir() else HERE).glob("*.golden.json"))


def case(name: str) -> Path:
    """Return the golden file of one case."""
    inside = HERE / f"{name}.golden.json"
    return inside if inside.exists() else WHOLE / f"{name}.golden.json"


def load(golden: Path) -> dict[str, Any]:
    """Read a golden file."""
    return dict(json.loads(golden.read_text(encoding="utf-8")))


def capture_of(golden: Path) -> Path:
    """Return the capture beside a golden file."""
    return golden.with_name(golden.name.replace(".golden.json", ".pcap"))


def decode(capture: Path, decoder: Decoder | None = None) -> Decoded:
    """Decode a capture, and check that every frame is as the schema says."""
    decoder = decoder or Decoder()
    frames: list[pl.DataFrame] = []
    for block in read_capture(capture):
        frames += decoder.decode(block)
    decoder.finish()
    order = {name: place for place, name in enumerate(schema.POLARS)}
    for frame in frames:
        assert {"received", "exporter_address", "observation_domain", "protocol_version"} <= set(frame.columns)
        assert all(frame.schema[name] == schema.POLARS[name] for name in frame.columns)
        assert frame.columns == sorted(frame.columns, key=order.__getitem__)
    return Decoded(joined(frames), decoder.status(0))


def joined(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return frames as one with all columns of the schema."""
    return pl.concat([pl.DataFrame(schema=schema.POLARS), *frames], how="diagonal")


def result(flows: pl.DataFrame) -> dict[str, Any]:
    """Return totals and flows in the shape of a golden file, which counts data records: the other half of a biflow is none."""
    flows = forward(flows)

    def total(column: str) -> int | None:
        return int(flows[column].sum()) if flows[column].null_count() < len(flows) else None

    def milliseconds(column: str, least: bool) -> int | None:
        times = flows[column].drop_nulls().cast(pl.Int64)
        return None if not len(times) else int(times.min() if least else times.max()) // 1000  # type: ignore[arg-type]

    rows = [[_address(row[0]), _address(row[1]), *row[2:]] for row in flows.select(FLOW).iter_rows()]
    return {
        "totals": {
            "flow_records": len(flows),
            "bytes": total("octets"),
            "packets": total("packets"),
            "first_ms": milliseconds("flow_start", least=True),
            "last_ms": milliseconds("flow_end", least=False),
        },
        "flows": rows,
    }


def differences(golden: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """Return how a result differs from a golden file; nothing when it is right."""
    wanted, totals = golden["totals"], got["totals"]
    accepted = golden.get("acceptable_flow_records")
    if accepted and totals["flow_records"] in accepted and totals["flow_records"] != wanted["flow_records"]:
        return []
    bad = []
    for key, value in wanted.items():
        tolerance = 1 if key.endswith("_ms") else 0
        if value is not None and (totals[key] is None or abs(totals[key] - value) > tolerance):
            bad.append(f"{key}: {totals[key]}, golden {value}")
    missing = Counter(tuple(map(_norm, flow[:7])) for flow in golden["flows"])
    missing -= Counter(tuple(map(_norm, flow)) for flow in got["flows"])
    bad += [f"flow not found: {flow}" for flow in missing]
    if len(got["flows"]) == golden["flows_total"] and digest(got["flows"]) != golden["flows_sha256"]:
        bad.append("the whole list of flows differs")
    return bad


def sflow_result(decoded: Decoded) -> dict[str, Any]:
    """Return totals and flows in the shape of a golden file of sFlow; flows end with frame length and sampling rate."""
    flows, samples = decoded.flows, Counter[str]()
    for exporter in decoded.status["exporters"]:
        samples.update(exporter["samples"])
    strangers = sum(exporter["malformed"].get("version other than 5", 0) for exporter in decoded.status["exporters"])
    rate = flows["sampling_interval"].fill_null(0)
    rows = flows.select(*FLOW[:5], "octets", "sampling_interval").iter_rows()
    return {
        "totals": {
            "datagrams": decoded.status["datagrams"] - strangers,
            **{f"{kind}_samples": samples[f"{kind}_samples"] for kind in ("flow", "counter", "drop")},
            "frame_bytes": flows["octets"].sum(),
            "ip_bytes": flows["ip_total_length"].sum(),
            "estimated_packets": rate.sum(),
            "estimated_frame_bytes": (rate * flows["octets"]).sum(),
        },
        "flows": [[_norm(_address(row[0])), _norm(_address(row[1])), *map(_norm, row[2:])] for row in rows],
    }


def forward(flows: pl.DataFrame) -> pl.DataFrame:
    """Return flows without the rows that stand for the other half of a biflow record."""
    return flows.filter(pl.col("reverse").fill_null(False).not_())


def digest(flows: list[list[Any]]) -> str:
    """Return the corpus' order-free checksum of flows."""
    rows = sorted(",".join(str(_norm(value)) for value in flow) for flow in flows)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _address(octets: bytes | None) -> str | None:
    if octets is None:
        return None
    value = ipaddress.IPv6Address(octets)
    return str(value.ipv4_mapped or value)


def _norm(value: Any) -> Any:
    if value is None:
        return 0
    if isinstance(value, str):
        address = ipaddress.ip_address(value)
        return str(address) if int(address) else 0
    return value
