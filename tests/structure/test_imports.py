"""Who may import whom, held twice: in the source, and in a fresh interpreter that looks at what was loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.structure.source import ROOT, imports, modules

# ---------------------------------------------------------------- the table

BASE = ("schema", "elements", "errors", "units", "config", "printable")
"""Modules that everything may use; each of them uses only these."""

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "capture": ("capture",),
    "engine": ("engine",),
    "allocators": (),
    "engine.collector": ("engine", "capture", "allocators"),  # wires capture to the store
    "engine.listening": ("engine", "capture"),  # its sockets
    "engine.knowledge": ("engine", "capture"),  # what the decoder learned, as files
    "engine.share": ("engine", "capture"),  # which process an exporter belongs to
    "engine.workers": ("engine", "capture"),  # what the kernel can do
    "engine.worker": ("engine", "capture"),  # the same as the collector
    "engine.rules": ("engine", "capture"),
    "engine.reload": ("engine", "capture"),
    "engine.owners": ("engine", "capture"),  # the addresses of this host
    "engine.packet_capture": ("engine", "capture"),  # packets of one flow, to files
    "engine.local_interfaces": ("engine", "capture"),  # where a probe may look
    "engine.notify": (),
    "engine.flow_files": ("engine", "capture"),  # files that are asked without importing them
    "engine.importing": ("engine", "capture"),  # the same for files
    "engine.packet_files": ("engine", "capture"),  # flows of the packets in them
    "engine.flow_sources": ("engine", "capture"),  # wires packets to meters
    "engine.packet_sources": ("engine", "capture"),
    "engine.meter_settings": ("engine", "capture"),
    "engine.tracked": ("engine", "capture"),
    "engine.interface_names": ("engine", "capture"),
    "engine.probe_process": ("engine", "capture"),
    "engine.prober": ("engine", "capture"),  # the same as the collector, for packets
    "export": ("export", "engine"),
    "export.netflow": ("export",),  # encoders: octets out, no engine
    "export.netflow5": ("export",),
    "export.netflow9": ("export",),
    "export.ipfix": ("export",),
    "export.sflow": ("export",),
    **dict.fromkeys(("export.fields", "export.flow_columns", "export.patterns", "export.streams"), ("export",)),
    "export.target": ("export",),
    "export.exporter": ("export",),
    "demo": ("demo", "export"),
    "screens": ("screens", "engine", "export"),
    "app": ("app", "screens", "engine", "export"),
    # the commands, each a thin layer over the rest
    "account": ("engine",),
    "asking": ("engine", "export", "filtering", "naming", "output", "progress"),
    "series": ("asking", "engine", "export", "filtering", "naming"),
    "statistics": ("asking", "engine", "export", "filtering", "naming"),
    "sending": ("asking", "engine", "export", "filtering", "naming", "progress"),
    "naming": ("engine",),
    "output": ("export",),
    "progress": (),
    "filtering": ("engine",),
    "filters": ("engine",),
    "configuring": ("engine",),
    "collecting": ("engine", "capture", "protocols"),
    "importing": ("collecting", "engine", "capture"),
    "probing": ("capture", "collecting", "engine", "importing", "probing_to"),
    "probing_to": ("capture", "engine", "export", "importing", "progress"),
    "checks": ("checks", "engine", "capture", "machine"),
    "doctor": ("checks",),
    "machine": (),
    "protocols": (),
    "dashboard": ("allocators", "app", "demo", "engine", "screens.this_host"),
    "serving": ("dashboard", "engine.local_interfaces"),
    "arguments": (),
    "interrupts": (),
    "cli": (
        "allocators",
        "arguments",
        "capture.probe.rights",
        "account",
        "asking",
        "collecting",
        "configuring",
        "dashboard",
        "demo",
        "doctor",
        "filters",
        "importing",
        "interrupts",
        "output",
        "probing",
        "protocols",
        "sending",
        "series",
        "serving",
        "statistics",
    ),
    "__main__": ("cli",),
}
"""Part of the package -> parts it may import beside the base. The longest entry that fits a module holds."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "textual": ("screens", "app"),
    "rich": ("screens", "app"),
    "msgspec": ("config", "collecting", "demo.network", "engine", "filters", "naming", "probing"),
    "tomlkit": ("engine.saved_filter", "engine.settings"),
    "platformdirs": ("config",),
    "aiohttp": ("serving",),
    "textual_serve": ("serving",),
    "socket": (
        "serving",
        "capture",
        "demo",
        "dashboard",
        "engine.if_mib",
        "engine.listening",
        "engine.notify",
        "engine.resolving",
        "engine.workers",
        "export.target",
    ),
    # a version; collector, exporters; keeper, asker; workers
    "subprocess": ("checks.nfdump", "dashboard", "engine.child", "engine.crew", "engine.session", "engine.whois"),
}
"""Library -> the parts that may use it."""

ONE_FILE = ("pyroute2", "scapy", "plotext", "pysnmp", "pyasn1")
"""Libraries that are behind one module of ours each."""

WITHOUT_IO = ("time", "socket", "os", "select", "logging", "threading", "asyncio")
IN_AND_OUT = (
    "capture.sockets", "capture.datagrams", "capture.recvmmsg", "capture.streams",
    "capture.probe.capture_file", "capture.probe.conntrack", "capture.probe.conntrack_socket",
    "capture.probe.packet_socket", "capture.probe.ring", "capture.probe.interface_source",
    "capture.probe.rights", "capture.probe.scapy_source", "capture.probe.interfaces",
)  # fmt: skip
"""The modules of capture which touch the outside; the others are decoders: octets in, columns out."""

# ---------------------------------------------------------------- the source


def _part(module: str) -> str:
    """Return a module's name within the package; '' for the package itself."""
    return module.removeprefix("nftui").removeprefix(".")


def _within(part: str, of: tuple[str, ...]) -> bool:
    return any(part == one or part.startswith(one + ".") for one in of)


def _allowed(part: str) -> tuple[str, ...]:
    fitting = [entry for entry in MAY_IMPORT if _within(part, (entry,))]
    assert fitting, f"nftui.{part} has no place in the table of imports"
    return MAY_IMPORT[max(fitting, key=len)]


PARTS = [part for module in modules() if (part := _part(module))]


def test_table_names_what_there_is() -> None:
    assert [entry for entry in MAY_IMPORT if entry not in PARTS] == []


@pytest.mark.parametrize("part", PARTS)
def test_imports_follow_the_table(part: str) -> None:
    allowed = BASE if part in BASE else (*BASE, *_allowed(part))
    wrong = [
        f"line {line}: {name}"
        for name, line in imports(f"nftui.{part}")
        if name.startswith("nftui.") and not _within(_part(name), allowed)
    ]
    assert wrong == [], f"nftui.{part} may import {', '.join(allowed)}"


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_stays_where_it_belongs(library: str) -> None:
    users = {part for part in PARTS for name, _ in imports(f"nftui.{part}") if _within(name, (library,))}
    assert sorted(part for part in users if not _within(part, ONLY_IN[library])) == []


@pytest.mark.parametrize("library", ONE_FILE)
def test_library_is_behind_one_file(library: str) -> None:
    users = {part for part in PARTS for name, _ in imports(f"nftui.{part}") if _within(name, (library,))}
    assert len(users) <= 1, sorted(users)


def test_decoders_do_no_io() -> None:
    found = [
        f"nftui.{part} line {line}: {name}"
        for part in PARTS
        if _within(part, ("capture",)) and part not in IN_AND_OUT
        for name, line in imports(f"nftui.{part}")
        if _within(name, WITHOUT_IO)
    ]
    assert found == []


# ---------------------------------------------------------------- a fresh interpreter

SCREEN = {"textual", "rich", "plotext"}
HEAVY = {"polars", "numpy", "textual", "rich", "plotext", "scapy", "pyroute2", "msgspec", "tomli", "tomlkit", "asyncio"}

LOADS_WITHOUT: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "the version": (("nftui.cli",), HEAVY),
    "capture": (tuple(f"nftui.{part}" for part in PARTS if _within(part, ("capture",))), SCREEN | {"scapy", "pyroute2"}),
    "the collector": (("nftui.engine.collector", "nftui.collecting"), SCREEN | {"scapy", "pyroute2"}),
    "the probe": (("nftui.engine.prober", "nftui.probing", "nftui.probing_to"), SCREEN | {"scapy", "pyroute2"}),
    "the engine": (tuple(f"nftui.{part}" for part in PARTS if _within(part, ("engine",))), SCREEN | {"scapy", "pyroute2"}),
    "what asks over SNMP": (("nftui.engine.snmp", "nftui.engine.if_mib"), SCREEN | {"polars", "numpy"}),
    "questions": (("nftui.asking", "nftui.statistics"), SCREEN | {"scapy", "pyroute2"}),
    "the simulation": (("nftui.demo",), SCREEN | {"scapy", "pyroute2", "polars"}),
    "the screens": (("nftui.app",), {"scapy", "pyroute2"}),
}
"""What is started -> the modules it imports, and the libraries that must not be loaded by that."""


@pytest.mark.parametrize("started", LOADS_WITHOUT)
def test_nothing_heavy_is_loaded(started: str) -> None:
    wanted, unwanted = LOADS_WITHOUT[started]
    code = (
        f"import {', '.join(wanted)}; import json, sys; print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert sorted(unwanted & set(json.loads(done.stdout))) == []
