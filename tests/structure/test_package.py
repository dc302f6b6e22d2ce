"""What a user installs has all that the program reads."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.structure.source import PACKAGE, ROOT


def test_wheel_has_all_data_and_themes(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="install the build backend: make setup")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, capture_output=True, check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    wanted |= {f"nftui/themes/{path.name}" for path in (ROOT / "themes").glob("*.toml")}
    assert len([name for name in wanted if name.startswith("nftui/themes/")]) >= 2
    assert sorted(wanted - held) == []
    assert sorted(name for name in held - wanted if ".dist-info/" not in name) == []
