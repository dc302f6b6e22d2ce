"""Perspectives narrow a question to the flows that count from there."""

from ipaddress import ip_address

import polars as pl
import pytest

from nftui.config import Config
from nftui.engine.expressions import expression
from nftui.engine.filters import parse, text
from nftui.engine.perspective import Perspective, seen_from
from nftui.schema import POLARS

HOME = ("10.0.0.0/8", "2001:db8::/32")
FLOWS = (
    ("10.0.0.1", "192.0.2.1", 0),
    ("192.0.2.1", "10.0.0.1", 1),
    ("10.0.0.1", "10.0.0.2", None),
    ("192.0.2.1", "192.0.2.2", 1),
    ("2001:db8::1", "2001:db9::1", None),
    (None, None, None),
)


def _octets(address: str | None) -> bytes | None:
    if address is None:
        return None
    parsed = ip_address(address)
    return parsed.packed if parsed.version == 6 else bytes(10) + b"\xff\xff" + parsed.packed


def _frame() -> pl.DataFrame:
    columns = {
        "source_address": [_octets(source) for source, _, _ in FLOWS],
        "destination_address": [_octets(destination) for _, destination, _ in FLOWS],
        "flow_direction": [direction for _, _, direction in FLOWS],
    }
    return pl.DataFrame(columns, schema={name: POLARS[name] for name in columns})


@pytest.mark.parametrize(
    ("perspective", "counted"),
    [("all", {0, 1, 2, 3, 4, 5}), ("ingress", {0, 2, 4, 5}), ("egress", {1, 3}), ("boundary", {0, 1, 4})],
)
def test_it_takes(perspective: str, counted: set[int]) -> None:
    narrowed = seen_from(Perspective(perspective), parse(""), HOME)
    taken = _frame().with_row_index().filter(expression(narrowed))
    assert set(taken["index"]) == counted
    assert parse(text(narrowed)) == narrowed


def test_it_stands_beside_the_filter() -> None:
    narrowed = seen_from(Perspective.BOUNDARY, parse("src net 10.0.0.0/8 or dst net 192.0.2.0/30"), HOME)
    assert set(_frame().with_row_index().filter(expression(narrowed))["index"]) == {0}


def test_the_default_home_is_a_network() -> None:
    assert text(seen_from(Perspective.BOUNDARY, parse(""), Config().network.home)).count("fc00::/7") == 4
