"""Checks of what reads nfdump's files: our own libraries, and the nfdump beside us, which nothing needs."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator

from nftui.checks.finding import Finding, Patient, ok, warning

OLDEST = (1, 6, 8)
"""The first version of nfdump whose files and answers are comparable with ours."""
CODECS = {"LZO": "lzallright", "LZ4": "lz4", "zstd": "zstandard"}
WITHIN_S = 5.0
_PATH = "/usr/local/bin:/usr/bin:/bin"


def check_nfdump(patient: Patient) -> Iterator[Finding]:
    """Tell which of nfdump's files can be read, and see that an nfdump that is installed is not too old to compare with."""
    missing = [name for name, library in CODECS.items() if importlib.util.find_spec(library) is None]
    if missing:
        yield ok(f"its files are read, but for {', '.join(missing)}, which takes pip install 'nftui[nfdump]'")
    else:
        yield ok("its files are read, with any compression")
    program = shutil.which("nfdump") or shutil.which("nfdump", path=_PATH)
    if program is None:
        yield ok("the program is not installed, and nothing needs it")
        return
    version = _version(program)
    if version is None:
        yield warning(f"{program} does not tell its version", f"see what it is: {program} -V")
    elif version < OLDEST:
        yield warning(
            f"{program} is version {_text(version)}, older than {_text(OLDEST)}",
            "install a newer one, or none: nothing here needs it",
        )
    else:
        yield ok(f"{program} is version {_text(version)}, to compare answers with")


def _version(program: str) -> tuple[int, ...] | None:
    try:
        told = subprocess.run([program, "-V"], capture_output=True, timeout=WITHIN_S, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(rb"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", told.stdout[:4096] + told.stderr[:4096])
    return tuple(int(one or 0) for one in found.groups()) if found else None


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
