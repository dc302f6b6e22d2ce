"""Random filters over random flows: the real nfdump finds the same flows, but for exceptions that are listed."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests import peers
from tests.real.filters import EXCEPTIONS, Oracle, RandomFilters, differing, oracle

TIMES = int(os.environ.get("NFTUI_FILTERS", "150"))
SEED = int(os.environ.get("NFTUI_FILTERS_SEED", "1"))


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """Return the flows, which nfcapd has received."""
    version = subprocess.run([peers.require("nfdump"), "-V"], capture_output=True, text=True, check=False).stdout
    if not version.strip().endswith("1.7.1"):
        pytest.skip(f"another dialect of nfdump: {version.strip()}")
    return oracle(tmp_path_factory.mktemp("nfcapd"), SEED)


def test_nfcapd_stored_what_was_decoded(flows: Oracle) -> None:
    assert flows.there("any") == flows.here("any")
    assert len(flows.here("any")) == flows.flows.height == 400


def test_random_filters_find_the_same_flows(flows: Oracle) -> None:
    filters = RandomFilters(SEED)
    assert differing(flows, [filters.filter() for _ in range(TIMES)]) == []


def test_every_kind_of_term_finds_the_same_flows(flows: Oracle) -> None:
    assert differing(flows, RandomFilters(SEED).terms()) == []


@pytest.mark.parametrize("written", EXCEPTIONS)
def test_exceptions_are_exceptions(flows: Oracle, written: str) -> None:
    assert flows.here(written) != flows.there(written)
