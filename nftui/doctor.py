"""The command `doctor`: checks of the machine, the configuration, the store and the collector; what isn't well it says how to mend.

Each check is a function of `CHECKS` that yields what it found. It may be given anything: a store that isn't there, a status that is
hostile, a kernel that doesn't tell.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from nftui import config
from nftui.checks import collector, host, nfdump, probe, store
from nftui.checks.finding import Check, Finding, Level, Patient, counted, problem
from nftui.config import Config
from nftui.errors import ConfigError, NftuiError
from nftui.printable import printable

CHECKS: dict[str, Check] = {
    "processor": host.check_processor,  # first, as it may keep Polars from being loaded
    "programs": host.check_programs,
    "configuration": store.check_configuration,
    "data directory": store.check_directory,
    "files": store.check_files,
    "file system": store.check_file_system,
    "room": store.check_room,
    "disk": store.check_disk,
    "scan": store.check_scan,
    "receive buffer": collector.check_buffer,
    "ports": collector.check_ports,
    "open files": host.check_descriptors,
    "collector": collector.check_collector,
    "probe": probe.check_probe,
    "losses": collector.check_losses,
    "events": collector.check_events,
    "clock": host.check_clock,
    "exporters": collector.check_exporters,
    "time zone": host.check_time_zone,
    "terminal": host.check_terminal,
    "nfdump": nfdump.check_nfdump,
}
"""In the order in which they are made."""


def run(data: Path | None, config_path: Path | None, output: str) -> int:
    """Check everything, and print what was found.

    Args:
        data: The data directory that the command line names.
        config_path: The configuration file that it names.
        output: `text` or `json`.
    Returns:
        The exit status: 1 where something is a problem, else 0.
    """
    patient = _patient(data, config_path)
    found: list[tuple[str, Finding]] = []
    for name, check in CHECKS.items():
        for finding in _findings(check, patient):
            found.append((name, finding))
            if output == "text":
                print("\n".join(_lines(name, finding)), flush=True)
    problems, warnings = (sum(one.level == level for _, one in found) for level in (Level.PROBLEM, Level.WARNING))
    if output == "json":
        rows = [{"check": name, **asdict(finding)} for name, finding in found]
        print(json.dumps({"problems": problems, "warnings": warnings, "checks": rows}))
    else:
        print(f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}")
    return 1 if problems else 0


def _patient(data: Path | None, config_path: Path | None) -> Patient:
    path = config_path or config.default_path()
    try:
        taken, mistake = config.load(config_path), ""
    except ConfigError as error:
        taken, mistake = Config(), str(error)
    named = Path(taken.store.path).expanduser() if taken.store.path else config.default_data()
    return Patient(path, taken, mistake, data or named)


def _findings(check: Check, patient: Patient) -> list[Finding]:
    """Return what a check finds; that it can't be made is a finding too."""
    try:
        return list(check(patient))
    except (NftuiError, OSError) as error:
        return [problem(f"can't be checked: {error}", "see that the data directory and /proc may be read by who runs this")]


def _lines(name: str, finding: Finding) -> list[str]:
    first = f"{finding.level:<8} {name:<15} {printable(finding.found, 500)}"
    return [first, f"{'':<24} -> {printable(finding.mend, 500)}"] if finding.mend else [first]
