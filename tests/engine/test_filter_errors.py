"""Filters as people mistype them: `tests/data/filter_errors.txt` has of each what is shown, the place and the way to mend it.

A block is a filter behind `> `, line ends as `\\n`, and then the error. After a change of words on purpose, write the file anew
with `python -m tests.engine.test_filter_errors` and read the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from nftui.engine.filters import parse
from nftui.errors import FilterError

GOLDEN = Path(__file__).parents[1] / "data" / "filter_errors.txt"
BLOCKS = [block.partition("\n") for block in GOLDEN.read_text("utf-8").strip("\n").split("\n\n")]
WRONG = {first.removeprefix("> "): shown for first, _, shown in BLOCKS}


def shown(written: str) -> str:
    """Return what is shown of a wrong filter."""
    with pytest.raises(FilterError) as caught:
        parse(written.replace("\\n", "\n"))
    return caught.value.picture()


@pytest.mark.parametrize("written", WRONG)
def test_error_is_shown(written: str) -> None:
    assert shown(written) == WRONG[written]


@pytest.mark.parametrize("written", WRONG)
def test_error_names_a_column_and_a_way_out(written: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(written.replace("\\n", "\n"))
    error, text = caught.value, written.replace("\\n", "\n")
    assert error.hint and error.problem
    assert 0 <= error.column <= len(text)
    assert text.startswith(error.token, error.column) or text.startswith(error.token, error.column + 1)


def test_there_are_enough() -> None:
    assert len(WRONG) == len(BLOCKS) >= 30


def test_a_long_filter_is_shown_around_its_error() -> None:
    written = "port 1 or " * 60 + "foo 5" + " and port 1" * 60
    line, mark = shown(written).split("\n")[1:]
    assert len(line) <= 102 and line[mark.index("^") :].startswith("foo 5")


def test_a_filter_that_is_too_long_is_refused() -> None:
    assert "longer than 65536" in shown("port 80 or " * 10_000)


if __name__ == "__main__":
    GOLDEN.write_text("\n\n".join(f"> {written}\n{shown(written)}" for written in WRONG) + "\n", "utf-8")
