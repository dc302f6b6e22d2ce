"""Saved filters: one file each that a person may edit; a bad one is listed with the reason, and stops none of the others."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.engine.basic_filter import BasicFilter
from nftui.engine.filters import ANY, parse
from nftui.engine.saved_filter import LONGEST_NAME, SavedFilter, SavedFilters, checked_name, name_from_live_view
from nftui.errors import ConfigError, FilterError

WEB = SavedFilter(description="the web", expression="dst port 443", aggregate_by="srcip")
BASIC = SavedFilter(fields=BasicFilter(destination_port="80,443"))


@pytest.fixture
def filters(tmp_path: Path) -> SavedFilters:
    return SavedFilters(tmp_path / "filters")


@pytest.mark.row("F01")
def test_what_was_saved_is_found_again(filters: SavedFilters) -> None:
    assert list(filters.listed()) == [] == filters.names()
    for name, saved in (("web", WEB), ("basic one", BASIC), ("Äther", SavedFilter())):
        assert filters.save(name, saved) == filters.path(name)
        assert filters.load(name) == saved
    assert filters.names() == ["basic one", "web", "Äther"]
    assert [(one.name, one.saved) for one in filters.listed()] == [("basic one", BASIC), ("web", WEB), ("Äther", SavedFilter())]
    assert filters.tree("web") == parse("dst port 443")
    assert filters.tree("basic one") == parse("dst port 80 or dst port 443")
    assert filters.tree("Äther") == ANY
    filters.delete("web")
    assert filters.names() == ["basic one", "Äther"]
    assert sorted(path.name for path in filters.directory.iterdir()) == ["basic one.toml", "Äther.toml"]


@pytest.mark.row("F06")
@pytest.mark.row("F07")
def test_a_filter_is_of_one_kind(filters: SavedFilters) -> None:
    assert (WEB.kind, BASIC.kind, SavedFilter().kind, SavedFilter(expression=" \n").kind) == ("advanced", "basic", "basic", "basic")
    switched = BASIC.with_expression(" port 53\n")
    assert (switched.kind, switched.text, switched.fields) == ("advanced", "port 53", BasicFilter())
    back = switched.with_fields(BASIC.fields)
    assert (back.kind, back.text, back.expression) == ("basic", "(dst port 80 or dst port 443)", "")
    for saved in (BASIC, switched, back):
        filters.save("one", saved)
        assert filters.load("one") == saved
    assert "expression" not in filters.path("one").read_text()


@pytest.mark.row("F08")
@pytest.mark.parametrize("key", ["srcip", "dstip", "srcport", "dstport", "proto", "none"])
def test_what_to_break_down_by(filters: SavedFilters, key: str) -> None:
    assert SavedFilter().aggregate_by == "dstip"
    filters.save("one", SavedFilter(aggregate_by=key))
    assert filters.load("one").aggregate_by == key
    with pytest.raises(ConfigError, match="takes one of srcip, dstip"):
        filters.save("one", SavedFilter(aggregate_by="colour"))


def test_comments_and_order_of_a_file_stay(filters: SavedFilters) -> None:
    filters.directory.mkdir()
    path = filters.path("mine")
    path.write_text(
        "# Written by hand.\naggregate_by = 'none'   # totals\n\n[fields]\n# the servers\ndestination_ip = '10.0.0.1'\n"
    )
    path.chmod(0o600)
    found = filters.load("mine")
    assert found.fields == BasicFilter(destination_ip="10.0.0.1")
    filters.save("mine", found.with_fields(BasicFilter(destination_ip="10.0.0.2")))
    text = path.read_text()
    assert "# Written by hand.\naggregate_by = 'none'   # totals\n" in text
    assert '# the servers\ndestination_ip = "10.0.0.2"' in text
    filters.save("mine", filters.load("mine").with_expression("port 53\nor port 853"))
    assert filters.load("mine").expression == "port 53\nor port 853"
    assert path.read_text().startswith("# Written by hand.\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"expression = ", "not TOML"),
        (b"\xff", "not TOML"),
        (b"[" * 5000, "not TOML"),
        (b"expresion = 'tcp'", "unknown field `expresion`"),
        (b"expression = 5", "Expected `str`, got `int`"),
        (b"fields = 5", "got `int`"),
        (b"[fields]\nport = '5'", "unknown field `port`"),
        (b"kind = 'simple'", "it takes basic or advanced"),
        (b"kind = ['basic']", "it takes basic or advanced"),
        (b"kind = 'basic'\nexpression = 'tcp'", "kind is basic"),
        (b"kind = 'advanced'", "kind is advanced"),
        (b"expression = 'tcp'\n[fields]\nprotocol = '6'", "fields and an expression"),
        (b"aggregate_by = 'colour'", "aggregate_by is 'colour'"),
        (b"expression = 'prot 5'", "saved filter 'bad', column 1: unknown word 'prot'"),
        (b"expression = 'tcp and @include none'", "saved filter 'bad', column 18: there is no file"),
        (b"[fields]\nsource_port = '80,x'", "saved filter 'bad', source port, column 4: 'x' is not a port"),
        (b"#" * (1 << 20), "more than"),
    ],
)
def test_a_bad_file_is_listed_with_the_reason_and_stops_no_other(filters: SavedFilters, octets: bytes, reason: str) -> None:
    filters.save("good", WEB)
    filters.path("bad").write_bytes(octets)
    bad, good = filters.listed()
    assert (good.saved, good.reason) == (WEB, "")
    assert (bad.name, bad.saved) == ("bad", None)
    assert reason in bad.reason
    with pytest.raises((ConfigError, FilterError)):
        filters.tree("bad")


def test_files_that_are_none(filters: SavedFilters, tmp_path: Path) -> None:
    filters.save("good", WEB)
    (filters.directory / "folder.toml").mkdir()
    (filters.directory / "dangling.toml").symlink_to(tmp_path / "nowhere")
    (filters.directory / "-dash.toml").write_text("")
    (filters.directory / " space .toml").write_text("")
    (filters.directory / "fragment").write_text("port 80")
    (filters.directory / ".hidden.toml").write_text("nonsense")
    os.mkfifo(filters.directory / "pipe.toml")
    assert [one.name for one in filters.listed() if one.saved] == ["good"]
    assert all(one.reason for one in filters.listed() if not one.saved)
    assert len(list(filters.listed())) == 6


@pytest.mark.row("F02")
@pytest.mark.parametrize(
    "name", ["", "  ", "\t", "a/b", "../a", ".a", "-a", "a\\b", "a\x1b[1m", "a\u202e", "x" * (LONGEST_NAME + 1), "a\nb"]
)
def test_names_that_are_refused(filters: SavedFilters, name: str) -> None:
    for attempt in (filters.load, filters.delete, lambda name: filters.save(name, WEB)):
        with pytest.raises(ConfigError, match="name") as caught:
            attempt(name)
        assert str(caught.value).isprintable()
    assert not filters.directory.exists()


@pytest.mark.row("F02")
@pytest.mark.row("F09")
def test_a_name_from_the_live_view() -> None:
    assert name_from_live_view("", 1_700_000_000.9) == "Netflow_Filter_1700000000"
    assert name_from_live_view(" web ", 0) == "web"
    with pytest.raises(ConfigError):
        name_from_live_view("a/b", 0)
    assert checked_name("A\u0308ther") == "\u00c4ther"


def test_what_cannot_be_understood_is_not_saved(filters: SavedFilters) -> None:
    with pytest.raises(FilterError, match="filter, column 1: unknown word"):
        filters.save("web", SavedFilter(expression="prot 5"))
    with pytest.raises(FilterError, match="source port, column 1"):
        filters.save("web", SavedFilter(fields=BasicFilter(source_port="x")))
    assert not filters.directory.exists()


def test_a_file_that_is_not_toml_is_not_overwritten(filters: SavedFilters) -> None:
    filters.directory.mkdir()
    filters.path("web").write_text("expression = 'half\n# and much work")
    with pytest.raises(ConfigError, match="mend or delete the file first"):
        filters.save("web", WEB)
    assert "much work" in filters.path("web").read_text()


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    filters = SavedFilters(tmp_path / "file" / "filters")
    with pytest.raises(ConfigError, match="was not saved"):
        filters.save("web", WEB)
    with pytest.raises(ConfigError):
        filters.names()
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    with pytest.raises(ConfigError, match="was not saved"):
        SavedFilters(tmp_path).save("loop", WEB)


@settings(deadline=None, max_examples=60)
@given(
    description=st.text(max_size=30).filter(lambda text: not any(0xD800 <= ord(one) < 0xE000 for one in text)),
    expression=st.sampled_from(["", "port 53", "port 53\n# \"'''\\ done\n or udp", 'app name "it\'s"', '"""', "tcp # \x7f\t"]),
)
def test_any_text_survives_a_file(tmp_path_factory: pytest.TempPathFactory, description: str, expression: str) -> None:
    filters = SavedFilters(tmp_path_factory.mktemp("any"))
    saved = SavedFilter(description=description).with_expression(expression)
    try:
        filters.save("one", saved)
    except (FilterError, ConfigError):
        assert expression == '"""' or "\r" in description
        return
    assert filters.load("one") == saved
    filters.save("one", saved)
    assert filters.load("one") == saved


def test_a_key_has_one_filter(tmp_path: Path) -> None:
    files = SavedFilters(tmp_path)
    files.save("a", SavedFilter(expression="port 1", quick=1))
    files.save("b", SavedFilter(expression="port 2"))
    files.assign("b", 1)
    assert (files.load("a").quick, files.load("b").quick) == (0, 1)
    files.assign("b", 0)
    assert files.load("b").quick == 0 and "quick" not in files.path("b").read_text()
    (tmp_path / "c.toml").write_text("quick = 10\n")
    with pytest.raises(ConfigError, match="quick is 10"):
        files.load("c")


def test_a_key_keeps_what_a_hand_wrote(tmp_path: Path) -> None:
    files = SavedFilters(tmp_path)
    files.path("a").write_text("# mine\n[fields]\nsource_port = '1'  # one\n")
    files.assign("a", 3)
    assert files.load("a") == SavedFilter(fields=BasicFilter(source_port="1"), quick=3)
    assert "# mine" in files.path("a").read_text() and "# one" in files.path("a").read_text()


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("port 1 # one\n\n  and port 2", "port 1 and port 2"), ("app name '#1' # x", "app name '#1'"),
        ('app name "it\'s # 1"', 'app name "it\'s # 1"'), ("# nothing", ""), ("", ""),
    ],
)  # fmt: skip
def test_line(written: str, line: str) -> None:
    assert SavedFilter(expression=written).line == line
    assert parse(line) == parse(written)


def test_saving_a_line(tmp_path: Path) -> None:
    files = SavedFilters(tmp_path)
    files.save_line("a", "port 1", "srcip", new=True)
    with pytest.raises(ConfigError, match="already"):
        files.save_line("a", "port 2", "srcip", new=True)
    with pytest.raises(ConfigError, match="no saved filter"):
        files.save_line("b", "port 2", "srcip", new=False)
    files.save("c", SavedFilter("about", "dstip", 2, "", BasicFilter(source_port="1")))
    files.save_line("c", "(src port 1)", "proto", new=False)
    assert files.load("c") == SavedFilter("about", "proto", 2, "", BasicFilter(source_port="1"))
    files.save_line("c", "src port 2", "proto", new=False)
    assert files.load("c") == SavedFilter("about", "proto", 2, "src port 2")


def test_duplicates_get_numbers(tmp_path: Path) -> None:
    files = SavedFilters(tmp_path)
    files.save("a", SavedFilter(expression="port 1", quick=1))
    assert [files.duplicate(name) for name in ("a", "a 2", "a")] == ["a 2", "a 3", "a 4"]
    assert files.load("a 4") == SavedFilter(expression="port 1")


def test_what_may_be_included_is_no_saved_filter(tmp_path: Path) -> None:
    files = SavedFilters(tmp_path)
    files.save("a", SavedFilter())
    (tmp_path / "servers").write_text("port 1")
    (tmp_path / ".hidden").write_text("")
    assert files.includable() == ["servers"]
