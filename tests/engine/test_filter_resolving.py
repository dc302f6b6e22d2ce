"""Filters that leave something open: names, places, and AS numbers that flows don't have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import polars as pl
import pytest

from nftui.config import NameSettings
from nftui.engine import expressions, places
from nftui.engine.expressions import columns, expression
from nftui.engine.filter_resolving import names_in, resolved
from nftui.engine.filters import Filter, Not, parse, text
from nftui.engine.places import Places
from nftui.engine.resolving import Resolver
from nftui.errors import FilterError, ResolveError
from nftui.schema import POLARS
from tests import mmdb

NETWORKS = {
    "10.0.0.0/8": {"country": {"iso_code": "DE"}, "autonomous_system_number": 100, "autonomous_system_organization": "Ten Net"},
    "10.1.0.0/16": {"country": {"iso_code": "FR"}, "autonomous_system_number": 200, "autonomous_system_organization": "One Net"},
    "2001:db8::/32": {"country": {"iso_code": "FR"}, "autonomous_system_number": 300, "autonomous_system_organization": "Six"},
}
HOSTS = "10.0.0.1 here\n10.1.0.0/16 office\n2001:db8::1 here\n"
FLOWS: list[tuple[str | None, str | None, int | None, int | None]] = [
    ("10.0.0.1", "10.1.0.7", None, 0),
    ("10.1.0.7", "2001:db8::1", 65000, None),
    ("9.9.9.9", "10.0.0.2", 0, 7),
    ("9.9.9.9", None, None, None),
]
"""Source, destination, and the AS numbers that the flow has."""


@pytest.fixture
def here(tmp_path: Path) -> tuple[Resolver, Places]:
    (tmp_path / "hosts").write_text(HOSTS)
    file = mmdb.write(tmp_path / "places.mmdb", NETWORKS)
    settings = NameSettings(hosts=str(tmp_path / "hosts"), country=str(file), asn=str(file))
    return Resolver(settings), places.use(settings)


@pytest.fixture(autouse=True)
def no_files_afterwards() -> Iterator[None]:
    yield
    places.use(NameSettings())


def frame() -> pl.LazyFrame:
    def octets(one: str | None) -> bytes | None:
        if one is None:
            return None
        address = ip_address(one)
        return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed

    columns_of = zip(*FLOWS, strict=True)
    source, destination, source_as, destination_as = map(list, columns_of)
    return pl.DataFrame(
        {
            "source_address": [octets(one) for one in source],
            "destination_address": [octets(one) for one in destination],
            "source_as": source_as,
            "destination_as": destination_as,
        },
        schema={name: POLARS[name] for name in ("source_address", "destination_address", "source_as", "destination_as")},
    ).lazy()


def matching(tree: Filter) -> list[int]:
    found = frame().with_row_index().filter(expression(tree)).collect(engine="streaming")
    assert columns(tree) <= set(frame().collect_schema())
    return found["index"].to_list()


@pytest.mark.parametrize(
    ("written", "flows"),
    [
        ("host here", [0, 1]),
        ("src host here", [0]),
        ("dst host HERE", [1]),
        ("host office", [0, 1]),
        ("src and dst host here", []),
        ("ip in [here 9.9.9.9]", [0, 1, 2, 3]),
        ("not host here", [2, 3]),
        ("geo FR", [0, 1]),
        ("src geo FR", [1]),
        ("geo in [DE FR]", [0, 1, 2]),
        ("dst geo fr", [0, 1]),
        ("not geo DE", [1, 3]),
        ("geo XX", []),
        ("not geo XX", [0, 1, 2, 3]),
        ("asorg ~ net", [0, 1, 2]),
        ("asorg 'ten net'", [0, 2]),
        ("src asorg ~ 'ONE'", [1]),
        ("asorg ten", []),
        # What a flow says of its AS holds; 0 and nothing said are looked up; what nobody knows stays what it was.
        ("as 65000", [1]),
        ("src as 100", [0]),
        ("dst as 200", [0]),
        ("src as 200", []),
        ("as 300", [1]),
        ("as 7", [2]),
        ("src as 0", [2]),
        ("as in [100 300]", [0, 1]),
        ("as > 60000", [1]),
        ("not as > 0", [3]),
        ("host here and geo FR or as 7", [0, 1, 2]),
    ],
)
@pytest.mark.parametrize("few", [True, False], ids=["compared", "searched"])
def test_matches(here: tuple[Resolver, Places], written: str, flows: list[int], few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not few:
        monkeypatch.setattr(expressions, "MOST_RANGES", 0)
    tree = resolved(parse(written), *here, written)
    assert matching(tree) == flows
    assert sorted([*flows, *matching(Not(tree))]) == [0, 1, 2, 3]
    assert text(tree) == text(parse(written)), "what was found is not part of the text"
    assert resolved(tree, *here) == tree and hash(tree) != hash(parse(written))


def test_other_files_are_another_question(tmp_path: Path) -> None:
    one = mmdb.write(tmp_path / "one.mmdb", NETWORKS)
    other = mmdb.write(tmp_path / "other.mmdb", {"10.0.0.0/8": {"country": {"iso_code": "FR"}}})
    trees = [
        resolved(parse("src geo FR"), Resolver(NameSettings()), places.use(NameSettings(country=str(file))))
        for file in (one, other)
    ]
    assert trees[0] != trees[1]
    assert [matching(tree) for tree in trees] == [[1], [0, 1]]


def test_without_a_file_as_is_what_flows_say() -> None:
    tree = resolved(parse("as 100 or prev as 5"), Resolver(NameSettings()), places.use(NameSettings()))
    assert tree == parse("as 100 or prev as 5")


def test_names_and_what_they_stand_for(here: tuple[Resolver, Places]) -> None:
    tree = parse("host here and not (src host office or geo DE)")
    assert names_in(tree) == {"here": (), "office": ()}
    found = names_in(resolved(tree, *here))
    assert {name: [str(one) for one in networks] for name, networks in found.items()} == {
        "here": ["10.0.0.1/32", "2001:db8::1/128"],
        "office": ["10.1.0.0/16"],
    }


def test_dns_is_asked_where_that_is_allowed() -> None:
    tree = resolved(parse("host localhost"), Resolver(NameSettings(resolve=True)), places.use(NameSettings()))
    assert "127.0.0.1/32" in map(str, names_in(tree)["localhost"])


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "port 80 and host example.org",
            ("filter, column 18: 'example.org' has to be looked up; names.resolve = true allows that, or --names"),
        ),
        ("src geo DE", "filter, column 5: geo: names.country of the configuration names no MaxMind file"),
        ("asorg ~ x", "filter, column 1: asorg: names.asn of the configuration names no MaxMind file"),
    ],
)
def test_what_is_missing_is_said(written: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        resolved(parse(written), Resolver(NameSettings()), places.use(NameSettings()), written)
    assert str(caught.value) == message and caught.value.text == written


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    settings = NameSettings(country=str(tmp_path / "gone"), asn=str(tmp_path / "gone"))
    for written in ("geo DE", "as 5"):
        with pytest.raises(FilterError, match=r"column 1: .*gone: No such file"):
            resolved(parse(written), Resolver(settings), places.use(settings), written)


def test_an_open_tree_is_not_compiled() -> None:
    with pytest.raises(ResolveError, match="nobody looked up"):
        expression(parse("host example.org"))


@pytest.mark.parametrize("compile_it", [expression, columns])
def test_an_open_place_is_not_compiled(compile_it: Callable[[Filter], object]) -> None:
    with pytest.raises(ResolveError, match="no file was asked"):
        compile_it(parse("geo DE"))
