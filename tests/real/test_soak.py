"""The seconds-long form of `make soak`: a collector under load, a dashboard and commands reading, and every flow stored once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import soak


def test_every_flow_is_stored_while_consoles_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "ASK_S", 2.0)
    monkeypatch.setattr(soak, "SAMPLE_S", 1.0)
    monkeypatch.setattr(soak, "GROWTH", 4.0)  # it has only just begun
    assert soak.soak(tmp_path, 20_000, 7.0) == []
