"""The demo in a real terminal: it moves, fits, answers keys, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real.processes import Mark
from tests.real.terminal import Screen, Terminal, marked, terminal

pytestmark = pytest.mark.peer("tmux")

TOTALS = re.compile(r"b/s .* flows +\d+ exporters? +drops 0$")
CHILDREN = ("nftui collect", "nftui.engine.keeper", "nftui demo-exporters")
SIZES = [pytest.param(80, 24, id="80x24"), pytest.param(200, 50, id="200x50")]


@contextmanager
def demo(tmp_path: Path, columns: int, lines: int, theme: str = "dark") -> Iterator[tuple[Terminal, Mark, Path]]:
    """The demo in a terminal, its mark, and the folder for temporary files that it is given."""
    config = tmp_path / "nftui.toml"
    config.write_text(f'[display]\ntheme = "{theme}"\n')
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    mark = Mark()
    with terminal(marked(mark, "demo", "--config", config, temporary=temporary), columns, lines) as one:
        yield one, mark, temporary
    mark.gone()


def traffic(screen: Screen) -> bool:
    """Return whether the Live screen shows traffic: totals, a chart, a ranked list."""
    return len(screen) > 2 and bool(TOTALS.search(screen[2])) and any("┤" in line and "■" in line for line in screen)


def path(screen: Screen) -> str:
    """Return the line of the Flows screen that says where one is."""
    return screen[2] if len(screen) > 2 and "Flows]" in screen[0] else ""


def all_running(mark: Mark) -> bool:
    return all(mark.named(words) for words in CHILDREN)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_the_demo_moves_fits_and_answers_keys(columns: int, lines: int, theme: str, tmp_path: Path) -> None:
    with demo(tmp_path, columns, lines, theme) as (console, mark, temporary):
        console.wait(traffic, "traffic", 30)
        first = time.monotonic() - console.started
        before = console.screen()[2]
        moved = console.wait(lambda screen: traffic(screen) and screen[2] != before, "other figures", 10)
        print(f"\n{columns}x{lines} {theme}: first traffic after {first:.1f} s, other figures {moved:.1f} s later")
        assert first <= 10
        assert all_running(mark)
        assert len(list(temporary.glob("nftui-demo-*"))) == 1
        check_live(console)
        check_colours(console, theme)
        check_keys(console)
        console.press("q")
        assert console.ends() == 0, console.screen()
        mark.gone()
        assert list(temporary.iterdir()) == []


def check_live(console: Terminal) -> None:
    """Check the edges of the Live screen, and that all of it fits."""
    console.check_width()
    # A picture of the terminal may show half a frame; a moment later it has to be whole.
    console.wait(lambda screen: len(screen) == console.lines and edges(screen), "the tabs and the keys", 2)


def edges(screen: Screen) -> bool:
    """Return whether the first two lines of the Live screen, and the last one, are as they should be."""
    first, second, *_, last = screen
    # On a busy machine the terminal may take frames slowly.
    tabs = re.match(r"\[1 ?Live\] 2 ?Flows .* 8 ?Set.*  demo.* LIVE (1s|\d+s slow link)$", first)
    keys = last.startswith(" f Filter t Time b By") and "? Help" in last
    return bool(tabs) and second.startswith(" filter: all flows") and keys


def check_colours(console: Terminal, theme: str) -> None:
    """Check that the theme of the configuration reaches the terminal, as colours that it was sent."""
    found = re.findall(r"\x1b\[[0-9;]*?48;(?:5;(\d+)|2;(\d+);(\d+);(\d+))", console.coloured())
    assert found, "no background is set"
    levels = [_level(int(one[0])) if one[0] else sum(map(int, one[1:])) / 3 for one in found]
    middle = sorted(levels)[len(levels) // 2]
    assert middle < 100 if theme == "dark" else middle > 155, levels


def _level(number: int) -> float:
    """Return how bright a colour of the palette of 256 is, 0 to 255."""
    if number >= 232:
        return 8 + 10 * (number - 232)
    if number < 16:
        return 255 if number in (7, 15) else 0 if number in (0, 8) else 128
    steps = [(number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6]
    return sum(55 + 40 * step if step else 0 for step in steps) / 3


def check_keys(console: Terminal) -> None:
    """Go to Flows and back, down and up, filter, and read the help."""
    console.press("2")
    console.wait(lambda screen: re.match(r" path: all .*of [\d,]+ flows", path(screen)), "all flows")
    console.check_width()
    console.press("1")
    console.wait(lambda screen: "Live]" in screen[0] and traffic(screen), "Live again")
    console.press("Enter")
    console.wait(lambda screen: re.match(r" path: all > dst ip \S+ .* flows ", path(screen)), "the flows of a group")
    assert console.screen()[1].startswith(" filter: dst ip ")
    console.check_width()
    console.press("Escape")
    console.wait(lambda screen: "Live]" in screen[0] and "filter: all flows" in screen[1], "Live, all flows")
    console.wait(traffic, "traffic of all")
    console.press("f")
    console.shows("Apply esc Cancel")
    console.type("proto udp and dst port 53")
    console.press("Enter")
    console.wait(lambda screen: screen[1].startswith(" filter: proto udp and dst port 53 ") and traffic(screen), "what is filtered")
    console.press("2")
    console.wait(lambda screen: all(" UDP " in line and " 53 " in line for line in _rows(screen)), "only such flows")
    console.press("1")
    console.wait(lambda screen: "Live]" in screen[0], "Live again")
    check_sources(console)
    console.press("?")
    console.shows("keys of live")
    console.shows("view.filter")
    console.check_width()
    console.press("Escape")
    console.wait(lambda screen: not any("keys of live" in line for line in screen), "the help gone")
    assert console.status() is None


def check_sources(console: Terminal) -> None:
    """Look at the exporters of the demo, at the flows of one, and come back."""
    console.press("7")
    console.wait(lambda screen: sum(line[1:].startswith("127.0.10.") for line in screen) >= 4, "the exporters")
    console.check_width()
    console.press("j")
    console.wait(lambda screen: any(line.startswith("── 127.0.10.2 ──") for line in screen), "the second exporter")
    console.wait(lambda screen: any(re.search(r" domain +2 v9 ", line) for line in screen), "its templates")
    console.press("f")
    console.wait(lambda screen: screen[1].startswith(" filter: exporter ip 127.0.10.2 ") and traffic(screen), "its flows")
    console.press("Escape")
    console.wait(lambda screen: "[7" in screen[0], "Sources again")
    console.press("1")
    console.wait(lambda screen: "Live]" in screen[0] and traffic(screen), "Live again")


def _rows(screen: Screen) -> list[str]:
    rows = [line for line in screen[4:-1] if re.match(r".\d\d:\d\d:\d\d ", line)]
    return rows if path(screen) and rows else [""]


def test_a_terminal_that_goes_away_takes_everything_with_it(tmp_path: Path) -> None:
    with demo(tmp_path, 80, 24) as (console, mark, temporary):
        console.wait(traffic, "traffic", 30)
        assert all_running(mark)
        console.tmux("kill-server")
        print(f"\nall gone {mark.gone():.1f} s after the terminal")
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("after", [0.2, 1.0, 2.0])
def test_a_terminal_that_goes_away_while_the_demo_starts(after: float, tmp_path: Path) -> None:
    with demo(tmp_path, 80, 24) as (console, mark, temporary):
        time.sleep(after)
        console.tmux("kill-server")
        mark.gone()
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("after", [0.8, 1.5, 2.5])
def test_quit_at_once(after: float, tmp_path: Path) -> None:
    with demo(tmp_path, 80, 24) as (console, mark, temporary):
        time.sleep(after)
        while console.status() is None and time.monotonic() - console.started < 30:
            console.press("q")
            time.sleep(0.2)
        assert console.ends() == 0, console.screen()
        mark.gone()
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("words", [(), ("--no-screen",)], ids=["screen", "no-screen"])
def test_no_process_outlives_a_demo_that_was_killed(words: tuple[str, ...], tmp_path: Path) -> None:
    """Killed as soon as its processes are there, some of them still starting."""
    mark = Mark()
    with terminal(marked(mark, "demo", *words, temporary=tmp_path)) as console:
        console.wait(lambda _: all_running(mark), "all processes")
        (demo_itself,) = [pid for pid in mark.named("-m nftui demo") if pid not in mark.named("demo-exporters")]
        os.kill(demo_itself, signal.SIGKILL)
        assert console.ends() == 128 + signal.SIGKILL
        mark.gone()


def test_a_terminal_that_goes_away_ends_the_demo_without_a_screen(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    mark = Mark()
    with terminal(marked(mark, "demo", "--no-screen", temporary=temporary)) as console:
        console.shows("demo: collector on")
        console.wait(lambda _: all_running(mark), "all processes")
        console.tmux("kill-server")
        mark.gone()
    assert list(temporary.iterdir()) == []
