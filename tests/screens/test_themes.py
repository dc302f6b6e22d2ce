"""Themes: readable, told apart by everybody, and what is wrong with one said in a line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import tomli

from nftui.errors import ConfigError
from nftui.screens import themes
from nftui.screens.depth import Depth
from nftui.screens.themes import ink
from tests.screens.colours import BLINDNESS, apart, contrast, distance, in_256, lab

RGB = [name for name, theme in themes.find().known.items() if not theme.ansi]
SHOWN = {"truecolor": str, "256": in_256}
GOOD = (themes.directory() / "dark.toml").read_text()


def tree(name: str) -> dict[str, str]:
    return tomli.loads((themes.directory() / f"{name}.toml").read_text())


def test_distances_are_those_of_the_standard() -> None:
    assert lab("#ffffff") == pytest.approx((100, 0, 0), abs=0.05)
    assert distance("#000000", "#ffffff") == pytest.approx(100, abs=0.1)
    # Pairs 1, 7, 17 and 25 of table 1 of Sharma, Wu and Dalal (2005).
    for one, other, wanted in (
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ):
        assert apart(one, other) == pytest.approx(wanted, abs=1e-4)


def test_there_is_one_for_each_need() -> None:
    assert {"dark", "light", "contrast", "terminal"} <= set(themes.find().known)
    assert themes.find().known["terminal"].ansi
    assert themes.find().problems == {}


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("name", RGB)
def test_text_can_be_read(name: str, shown: str) -> None:
    theme, seen = tree(name), SHOWN[shown]
    grounds = {ground: seen(theme[ground]) for ground in ("background", "surface", "panel", "cursor")}
    for ground, colour in grounds.items():
        assert contrast(seen(theme["foreground"]), colour) >= 4.5, ground
    for text in ("primary", "accent", "success", "warning", "error"):
        assert contrast(seen(theme[text]), grounds["background"]) >= 4.5, text
    assert contrast(seen(theme["dim"]), grounds["background"]) >= 3
    if name == "contrast":
        assert contrast(seen(theme["foreground"]), grounds["background"]) >= 15
        assert contrast(seen(theme["dim"]), grounds["background"]) >= 7


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("name", RGB)
def test_series_are_told_apart(name: str, shown: str, blindness: str) -> None:
    theme, seen = tree(name), SHOWN[shown]
    series = [seen(colour) for colour in theme["series"]]
    for one, other in pairwise(series):
        assert distance(one, other, blindness) >= 18, (one, other)
    for place, one in enumerate(series[:5]):
        for other in series[:place]:
            assert distance(one, other, blindness) >= 10, (one, other)
        assert distance(one, seen(theme["background"]), blindness) >= 20, one


@pytest.mark.parametrize("depth", [Depth.ALL, Depth.MANY])
@pytest.mark.parametrize("name", RGB)
def test_text_on_a_colour_can_be_read(name: str, depth: Depth) -> None:
    theme = themes.find().known[name]
    styles = ink(theme.variables | {key: getattr(theme, key) for key in themes.COLOURS}, depth)
    seen = in_256 if depth is Depth.MANY else str
    for colour in (*styles.series, styles.other):
        assert contrast(seen(styles.on(colour)), seen(colour)) >= (4.5 if depth is Depth.ALL else 3.5), colour
    assert not styles.letters


@pytest.mark.parametrize("depth", [Depth.NONE, Depth.SIXTEEN])
def test_with_few_colours_every_style_can_still_be_made(depth: Depth) -> None:
    theme = themes.find().known["terminal"]
    styles = ink(theme.variables | {key: getattr(theme, key) for key in themes.COLOURS}, depth)
    assert styles.letters
    assert styles.cursor.reverse
    assert styles.coloured(styles.layer(0, 3), here=True).reverse
    levels = [styles.heat(level / 10) for level in range(11)]
    assert len(set(levels)) >= 5
    for colour in {styles.layer(rank, 12) for rank in range(13)} | {styles.ground}:
        for share in (0.0, 0.3, 0.5, 1.0):
            styles.filled(styles.mixed(colour, share))
    names = {styles.layer(rank, 12) for rank in range(12)}
    assert len(names) == (12 if depth is Depth.SIXTEEN else 1)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('dim = "#7c8894"', "", "dim is missing"),
        ('dim = "#7c8894"', 'dim = "grey"', "dim is 'grey'; it takes #rrggbb"),
        ('dim = "#7c8894"', 'dim = "ansi_blue"', "dim is 'ansi_blue'; it takes #rrggbb, as background does"),
        ("dark = true", 'dark = "yes"', "dark is 'yes'; it takes true or false"),
        ('"#4c9be8"', '"blue"', "series[0] is 'blue'; it takes #rrggbb"),
        ("series = [", "series = 3\nother_series = [", "series takes a list of 4 to 32 colours"),
        ("series = [", "series = [[", "not TOML"),
    ],
)
def test_a_mistake_is_named_by_file_and_key(tmp_path: Path, before: str, after: str, words: str) -> None:
    (tmp_path / "mine.toml").write_text(GOOD.replace(before, after, 1))
    (tmp_path / "fine.toml").write_text(GOOD)
    found = themes.find(tmp_path)
    assert found.problems["mine"].startswith(f"{tmp_path / 'mine.toml'}: {words}")
    assert "\n" not in found.problems["mine"].replace(words, "")
    assert "fine" in found.known
    assert found.chosen("fine", Depth.ALL) == "fine"
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        found.chosen("mine", Depth.ALL)


def test_ones_own_goes_before_ours(tmp_path: Path) -> None:
    (tmp_path / "dark.toml").write_text(GOOD.replace("#101418", "#000001"))
    assert themes.find(tmp_path).known["dark"].background == "#000001"
    assert themes.find(tmp_path / "missing").known["dark"].background == "#101418"


def test_few_colours_have_the_terminals_own_theme_stand_in() -> None:
    found = themes.find()
    assert found.chosen("light", Depth.SIXTEEN) == themes.TERMINAL == found.chosen("light", Depth.NONE)
    assert found.chosen("light", Depth.MANY) == "light"
    with pytest.raises(ConfigError, match="there are: "):
        found.chosen("nosuch", Depth.SIXTEEN)
