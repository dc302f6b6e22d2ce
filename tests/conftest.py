"""What all tests share: real peers, where things are, and hypothesis without a clock."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from nftui.engine import keys
from tests import peers

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT.parent / "shared" / "corpus"

# A deadline measures the machine, not the code. Each thing is still drawn anew at each run: a failure prints what repeats it.
hypothesis.settings.register_profile("nftui", deadline=None, print_blob=True)
hypothesis.settings.load_profile("nftui")


def pytest_collection_finish() -> None:
    """Keep thousands of tests, which stay to the end, out of each search for cycles: it would take a tenth of the time."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Hold a test marked `peer(program, …)` back when one of the programs is missing."""
    for mark in item.iter_markers("peer"):
        for program in mark.args:
            peers.require(program)


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """A command that a test runs in its own process may narrow the umask, which the next test's folders would inherit."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def own_keys() -> Iterator[None]:
    """What a test has files of countries answer for is not known to the next one."""
    families, words = dict(keys._families), dict(keys.WORDS)
    yield
    for known, before in ((keys._families, families), (keys.WORDS, words)):
        known.clear()
        known.update(before)  # type: ignore[arg-type]
    keys.key.cache_clear()


@pytest.fixture
def require_peer() -> Callable[[str], str]:
    """A function that returns the path of a peer program, or skips (fails, when peers are required) the test."""
    return peers.require


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The whole conformance corpus, which is optional and stands beside the repository."""
    if not CORPUS.is_dir():
        pytest.skip("the whole corpus is not at hand: ../shared/corpus")
    return CORPUS
