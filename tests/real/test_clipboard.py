"""What is copied passes through tmux: `set -g set-clipboard on` has it take OSC 52."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nftui.engine.writer import StoreWriter
from tests.real.processes import Mark
from tests.real.terminal import marked, terminal
from tests.screens.conftest import flows

pytestmark = pytest.mark.peer("tmux")


def test_a_cell_and_a_row_reach_the_buffer_of_tmux(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "store")
    writer.append([flows()])
    writer.write_tail()
    config = tmp_path / "nftui.toml"
    config.write_text('[display]\nrange = "all"\n')
    mark = Mark()
    words = marked(mark, "--no-collect", "--data", tmp_path / "store", "--config", config)
    with terminal(words, 80, 24) as console:
        console.tmux("set-option", "-g", "set-clipboard", "on")
        console.shows("93.184.216.34", 30)
        for key, wanted in (("y", "93.184.216.34"), ("Y", "\t")):
            console.press(key)
            deadline = time.monotonic() + 10
            while wanted not in (held := console.tmux("show-buffer", check=False)):
                assert time.monotonic() < deadline, held
                time.sleep(0.1)
        assert "93.184.216.34" in held.split("\t"), "the row has its cells, tab separated"
        console.press("q")
        assert console.ends() == 0
    mark.gone()
