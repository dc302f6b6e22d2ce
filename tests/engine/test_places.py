"""Countries and AS numbers: the ranges say of each address what the library says of it, and a file that is none is told of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any

import maxminddb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nftui.config import NameSettings
from nftui.engine import keys, places
from nftui.engine.filters import Place
from nftui.engine.places import AS, ASORG, GEO, Places, is_within
from nftui.errors import PlacesError, UsageError
from tests import mmdb

BOTH = {
    "10.0.0.0/8": {"country": {"iso_code": "DE"}, "autonomous_system_number": 100, "autonomous_system_organization": "Ten"},
    "10.1.0.0/16": {"country": {"iso_code": "FR"}, "autonomous_system_number": 200, "autonomous_system_organization": "One"},
    "192.0.2.0/24": {"registered_country": {"iso_code": "US"}, "autonomous_system_number": 4_200_000_000},
    "2001:db8::/32": {"country": {"iso_code": "FR"}, "autonomous_system_number": 100, "autonomous_system_organization": "Ten"},
}


def octets(text: str) -> bytes:
    address = ip_address(text)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def opened(path: Path, cache: Path | None = None) -> Places:
    return Places(NameSettings(country=str(path), asn=str(path)), cache)


def words(found: Places, what: str, *texts: str | None) -> list[Any]:
    ranges = found.ranges(what)
    numbers = ranges.look_up(pl.Series([None if text is None else octets(text) for text in texts], dtype=pl.Binary))
    return [ranges.words[number] if ranges.words and number is not None else number for number in numbers.to_list()]


@pytest.fixture
def both(tmp_path: Path) -> Path:
    return mmdb.write(tmp_path / "both.mmdb", BOTH)


@pytest.fixture(autouse=True)
def no_files_afterwards() -> Iterator[None]:
    yield
    places.use(NameSettings())


ADDRESSES = ("10.0.0.0", "10.1.255.255", "10.2.0.0", "9.255.255.255", "192.0.2.7", "2001:db8::1", "2001:db9::", "::", None)


def test_country_organisation_and_number(both: Path) -> None:
    found = opened(both)
    assert words(found, GEO, *ADDRESSES) == ["DE", "FR", "DE", None, "US", "FR", None, None, None]
    assert words(found, ASORG, *ADDRESSES) == ["Ten", "One", "Ten", None, None, "Ten", None, None, None]
    assert words(found, AS, *ADDRESSES) == [100, 200, 100, None, 4_200_000_000, 100, None, None, None]


def test_what_lies_within(both: Path) -> None:
    found = opened(both)
    addresses = pl.Series([None if text is None else octets(text) for text in ADDRESSES], dtype=pl.Binary)
    french = found.edges(Place("geo", ("FR",)))
    assert is_within(french, addresses).to_list() == [False, True, False, False, False, True, False, False, False]
    assert not is_within(found.edges(Place("geo", ("XX",))), addresses).any()
    ten = [True, False, True, False, False, True, False, False, False]
    assert is_within(found.edges(Place("asorg", ("TEN",))), addresses).to_list() == ten
    assert is_within(found.edges(Place("asorg", ("e",), contains=True)), addresses).to_list() == [*ten[:1], True, *ten[2:]]
    assert not is_within(found.edges(Place("asorg", ("te",))), addresses).any()


@pytest.mark.parametrize("record_size", [24, 28, 32])
@pytest.mark.parametrize("version", [4, 6])
def test_every_kind_of_tree(tmp_path: Path, record_size: int, version: int) -> None:
    networks = {network: record for network, record in BOTH.items() if version == 6 or ":" not in network}
    found = opened(mmdb.write(tmp_path / "file.mmdb", networks, version=version, record_size=record_size))
    assert words(found, GEO, "10.0.0.0", "10.1.0.0", "192.0.2.7", "1.1.1.1") == ["DE", "FR", "US", None]


@pytest.mark.parametrize(
    "record",
    [
        {"country": "de", "asn": "AS64500", "as_name": "One level"},
        {"country_code": "DE", "asn": 64500, "as_organization": "One level"},
    ],
)
def test_files_of_one_level(tmp_path: Path, record: dict[str, Any]) -> None:
    found = opened(mmdb.write(tmp_path / "file.mmdb", {"10.0.0.0/8": record}))
    assert [words(found, what, "10.0.0.1") for what in (GEO, AS, ASORG)] == [["DE"], [64500], ["One level"]]


@pytest.mark.parametrize(
    "record",
    [
        "text",
        [1],
        {"country": {"iso_code": "D\x1b"}},
        {"country": {"iso_code": 7}},
        {"autonomous_system_number": "x"},
        {"asn": (mmdb.UINT64, 2**40)},
    ],
)
def test_records_that_say_nothing(tmp_path: Path, record: Any) -> None:
    found = opened(mmdb.write(tmp_path / "file.mmdb", {"10.0.0.0/8": record, "11.0.0.0/8": BOTH["10.0.0.0/8"]}))
    assert words(found, GEO, "10.0.0.1", "11.0.0.1") == [None, "DE"]
    assert words(found, AS, "10.0.0.1", "11.0.0.1") == [None, 100]


@pytest.mark.parametrize("version", [4, 6])
def test_one_record_for_everybody(tmp_path: Path, version: int) -> None:
    """A tree may end long before the IPv4 addresses begin."""
    networks = {"0.0.0.0/1": BOTH["10.0.0.0/8"], "128.0.0.0/1": BOTH["10.0.0.0/8"]} if version == 4 else {}
    networks |= {"::/1": BOTH["10.1.0.0/16"], "8000::/1": BOTH["10.1.0.0/16"]} if version == 6 else {}
    found = opened(mmdb.write(tmp_path / "file.mmdb", networks, version=version, aliases=()))
    texts = ["1.2.3.4", "255.255.255.255"] + ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:0:0:0"] * (version == 6)
    assert words(found, GEO, *texts) == ["DE" if version == 4 else "FR"] * len(texts)


networks_of = st.lists(
    st.one_of(
        st.builds(
            lambda n, length: IPv4Network((n >> (32 - length) << (32 - length), length)),
            st.integers(0, 2**32 - 1),
            st.integers(1, 32),
        ),
        st.builds(
            lambda n, length: IPv6Network(((0x2001 << 112 | n >> 16) >> (128 - length) << (128 - length), length)),
            st.integers(0, 2**128 - 1),
            st.integers(1, 128),
        ),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(networks=networks_of, chance=st.randoms(use_true_random=False))
def test_agrees_with_the_library(tmp_path: Path, networks: list[IPv4Network | IPv6Network], chance: random.Random) -> None:
    # Of IPv6 nothing before 2000::, where files have the IPv4 addresses.
    networks = [network for network in networks if network.version == 4 or int(network.network_address) >> 125 == 1]
    ordered = sorted(set(networks), key=lambda network: network.prefixlen)
    known = {str(network): {"country": {"iso_code": chance.choice(["DE", "FR", "US"])}} for network in ordered}
    path = mmdb.write(tmp_path / "any.mmdb", {"172.16.0.0/12": {"country": {"iso_code": "ZZ"}}, **known})
    asked: list[IPv4Address | IPv6Address] = []
    for network in [*networks, IPv4Network("172.16.0.0/12")]:
        first, last = network.network_address, network.broadcast_address
        asked += [first, last, first + chance.randrange(network.num_addresses)]
        asked += [first - 1] if int(first) else []
        asked += [last + 1] if int(last) + 1 < 2**network.max_prefixlen else []
    # Addresses of 6to4 are IPv6 here, and lie nowhere; the library leads them to the IPv4 address in them.
    asked = [address for address in asked if not (address.version == 6 and int(address) >> 112 == 0x2002)]
    with maxminddb.open_database(path) as reader:
        expected = [((reader.get(address) or {}).get("country") or {}).get("iso_code") for address in asked]  # type: ignore[union-attr]
    assert words(opened(path), GEO, *map(str, asked)) == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=False))
def test_a_damaged_file_is_told_of(both: Path, chance: random.Random) -> None:
    whole = bytearray(both.read_bytes())
    for _ in range(chance.randrange(1, 8)):
        whole[chance.randrange(len(whole))] = chance.randrange(256)
    cut = chance.choice([len(whole), chance.randrange(len(whole))])
    damaged = both.with_name("damaged.mmdb")
    damaged.write_bytes(whole[:cut])
    try:
        words(opened(damaged), GEO, *ADDRESSES)
    except PlacesError as error:
        assert str(damaged) in str(error) and str(error).isprintable()


def test_a_tree_that_goes_in_circles(tmp_path: Path) -> None:
    path = mmdb.write(tmp_path / "file.mmdb", BOTH, record_size=32)
    octets_of = bytearray(path.read_bytes())
    octets_of[:8] = bytes(8)
    path.write_bytes(octets_of)
    with pytest.raises(PlacesError, match="search tree is none"):
        opened(path).ranges(GEO)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(PlacesError, match=r"geo: names\.country of the configuration names no MaxMind file"):
        Places(NameSettings()).ranges(GEO)
    with pytest.raises(PlacesError, match=r"absent: No such file or directory; names\.country and names\.asn"):
        opened(tmp_path / "absent").ranges(GEO)
    only = mmdb.write(tmp_path / "asn.mmdb", {"10.0.0.0/8": {"autonomous_system_number": 1}})
    with pytest.raises(PlacesError, match="holds no countries"):
        opened(only).ranges(GEO)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(PlacesError, match="no MaxMind file that can be read"):
        opened(tmp_path / "empty").ranges(GEO)


def test_what_took_long_is_kept(both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "KEEP_S", 0.0)
    cache = tmp_path / "cache"
    expected = words(opened(both, cache), GEO, *ADDRESSES)
    (kept,) = cache.iterdir()

    def refused(path: Path) -> Any:
        raise AssertionError(f"{path} was read again")

    with monkeypatch.context() as patched:
        patched.setattr(places.mmdb, "read", refused)
        again = opened(both, cache)
        assert words(again, GEO, *ADDRESSES) == expected
        assert words(again, AS, "10.1.0.1") == [200] and words(again, ASORG, "10.1.0.1") == ["One"]
    kept.write_bytes(kept.read_bytes()[:100])
    assert words(opened(both, cache), GEO, *ADDRESSES) == expected
    mmdb.write(both, {"10.0.0.0/8": {"country": {"iso_code": "SE"}}})
    assert words(opened(both, cache), GEO, "10.0.0.1") == ["SE"]
    for number in range(12):
        mmdb.write(both, {"10.0.0.0/8": {"country": {"iso_code": "SE"}}, f"11.{number}.0.0/16": {"country": {"iso_code": "NO"}}})
        opened(both, cache).ranges(GEO)
    assert len(list(cache.iterdir())) == places.MOST_FILES


def test_keys_are_there_once_files_are(both: Path) -> None:
    places.use(NameSettings())
    with pytest.raises(UsageError, match=r"names\.country of the configuration names no MaxMind file"):
        keys.parse("srcgeo")
    places.use(NameSettings(country=str(both), asn=str(both)))
    flows = pl.DataFrame(
        {
            "source_address": [octets("10.0.0.1"), octets("10.1.0.1"), octets("9.9.9.9"), None],
            "destination_address": [octets("10.1.0.1")] * 4,
            "source_as": pl.Series([7, 0, 0, None], dtype=pl.Int64),
            "destination_as": pl.Series([7, 7, None, None], dtype=pl.Int64),
        }
    ).lazy()

    def column(word: str, side: int = 0) -> list[Any]:
        (name,) = keys.parse(word)
        found = flows.select(keys.key(name).sides[side]().alias("found")).collect(engine="streaming")["found"]
        return [keys.value(name, raw) for raw in found.to_list()]

    assert column("srcgeo") == ["DE", "FR", None, None]
    assert column("geo", 1) == ["FR"] * 4
    assert column("srcasorg") == ["Ten", "One", None, None]
    assert column("srcas") == [7, 200, 0, None], "what the flow says holds; what nobody knows stays as it was"
    assert column("dstas") == [7, 7, 200, 200]
    assert keys.key(keys.parse("srcas")[0]).field == "source_as"
    places.use(NameSettings(country=str(both)))
    assert keys.parse("srcas,as") == ("source_as", "as"), "without a file they are what flows say"
    assert keys.key(keys.parse("as")[0]).field == "as" and keys.key(keys.parse("geo")[0]).either
