"""Names on the command line: of addresses in answers, of networks in filters, of places and interfaces."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui import cli, naming
from nftui.config import NameSettings
from nftui.engine import places
from tests import mmdb

FIXTURE = Path(__file__).parent / "data" / "ten-flows.pcap"
NETWORKS = {
    "8.8.8.0/24": {
        "country": {"iso_code": "US"},
        "autonomous_system_number": 15169,
        "autonomous_system_organization": "Google\x1b LLC",
    },
    "10.0.0.0/8": {"country": {"iso_code": "DE"}, "autonomous_system_number": 64500, "autonomous_system_organization": "Example"},
}


class Command:
    """`nftui` with a store of the ten flows and a configuration, in this process."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture
        (folder / "hosts").write_text("10.0.0.0/24 office\n10.0.0.3 dns.example\n192.168.0.1 evil\x1b]52;c;eA==\x07\nwrong\n")
        mmdb.write(folder / "places.mmdb", NETWORKS)
        self.configure(hosts=folder / "hosts", country=folder / "places.mmdb", asn=folder / "places.mmdb")
        assert self.run("import", FIXTURE)[0] == 0

    def configure(self, **values: object) -> None:
        (self.folder / "nftui.toml").write_text("[names]\n" + "".join(f'{name} = "{value}"\n' for name, value in values.items()))

    def run(self, command: str, *words: object) -> tuple[int, str, str]:
        status = cli.main(
            [command, "--data", str(self.folder / "store"), "--config", str(self.folder / "nftui.toml"), *map(str, words)]
        )
        said = self._capture.readouterr()
        return status, said.out, said.err

    def rows(self, *words: object) -> list[dict[str, Any]]:
        status, out, err = self.run(str(words[0]), *words[1:], "-o", "json")
        assert status == 0, err
        return list(json.loads(out)["rows"])


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    monkeypatch.setattr("nftui.config.default_cache", lambda: tmp_path / "cache")
    # Nobody's DNS is asked by a test; what the system says of its own addresses needs none.
    monkeypatch.setattr("nftui.engine.resolving.system_name", lambda address: "localhost" if address == "127.0.0.1" else None)
    yield Command(tmp_path, capsys)
    places.use(NameSettings())


def test_text_has_the_name_behind_the_address(command: Command) -> None:
    status, out, err = command.run("flows", "--names", "proto udp and port 40002")
    assert status == 0
    first, second = out.splitlines()[1:]
    assert "10.0.0.3:40002 (dns.example, DE) -> 8.8.8.8:53 (US) " in first
    assert "8.8.8.8:53 (US) -> 10.0.0.3:40002 (dns.example, DE) " in second
    assert "hosts: 2 lines are no" in err and "\x1b" not in out + err
    top = command.run("top", "--names", "-s", "srcip", "-n", "20")[1]
    assert "10.0.0.2 (office, DE)" in top and "10.0.0.3 (dns.example, DE)" in top
    assert "10.0.0.3:40002 (dns.example, DE)" in command.run("top", "--names")[1]


def test_without_the_option_nobody_is_named(command: Command) -> None:
    out = command.run("flows")[1] + command.run("top", "-s", "ip")[1]
    assert "(" not in out.replace("(%)", "").split("Top")[0] and "office" not in out
    assert not any("name" in field or "country" in field for row in command.rows("flows") for field in row)


def test_machines_get_further_fields(command: Command) -> None:
    (row,) = command.rows("flows", "--names", "src host 8.8.8.8")
    assert row["source_address"] == "8.8.8.8" and "source_address_name" not in row
    assert (row["source_country"], row["source_as_organization"]) == ("US", "Google\x1b LLC")
    assert (row["destination_address_name"], row["destination_country"]) == ("dns.example", "DE")
    assert row["exporter_address_name"] == "localhost"
    listed = list(csv.DictReader(io.StringIO(command.run("top", "--names", "-s", "ip", "-o", "csv")[1])))
    assert list(listed[0])[:4] == ["address", "address_name", "country", "as_organization"]
    assert {row["address"]: row["address_name"] for row in listed}["10.0.0.1"] == "office"
    assert {row["address"]: row["as_organization"] for row in listed}["8.8.8.8"] == "Google\\x1b LLC"


def test_names_in_filters_are_told(command: Command) -> None:
    status, out, err = command.run("flows", "host office and dst host dns.example")
    assert status == 0 and len(out.splitlines()) == 2
    assert "note: office is 10.0.0.0/24\n" in err and "note: dns.example is 10.0.0.3\n" in err
    assert json.loads(command.run("summary", "host office", "-o", "json")[1])["query"]["filter"] == "ip 'office'"
    status, _, err = command.run("flows", "port 53 and host nobody.example")
    assert status == 2 and err.splitlines()[-3:] == [
        ("nftui: filter, column 18: 'nobody.example' has to be looked up; names.resolve = true allows that, or --names"),
        "  port 53 and host nobody.example",
        " " * 19 + "^" * 14,
    ]


def test_places_are_grouped_and_filtered(command: Command) -> None:
    assert [(row["country"], row["flows"]) for row in command.rows("top", "-s", "geo")] == [("DE", 10), ("US", 2)]
    assert {row["source_as_organization"] for row in command.rows("top", "-s", "srcasorg")} == {"Example", "Google\x1b LLC", None}
    assert "Google\\x1b LLC" in command.run("top", "-s", "srcasorg")[1]
    assert len(command.rows("flows", "geo US")) == 2 and len(command.rows("flows", "geo in [DE US]")) == 10
    assert len(command.rows("flows", "src asorg ~ goog")) == 1
    assert len(command.rows("top", "-A", "srcgeo,dstgeo")) == 5


def test_series_are_by_places_and_have_names(command: Command) -> None:
    heading = command.run("series", "--by", "srcgeo")[1].splitlines()[0]
    assert heading.split() == ["time", "DE", "-", "US", "other"] or heading.split() == ["time", "DE", "-", "US"]
    heading = command.run("series", "--by", "srcip", "--names")[1].splitlines()[0]
    assert "10.0.0.3 (dns.example, DE)" in heading
    groups = json.loads(command.run("series", "--by", "srcip", "--names", "-o", "json")[1])["groups"]
    assert {one["source_address_name"] for one in groups if one.get("source_address") == "10.0.0.1"} == {"office"}
    plain = command.run("series", "--by", "srcip")[1] + command.run("series", "--by", "srcip", "-o", "json")[1]
    assert "dns.example" not in plain and "source_country" not in plain


def test_an_as_that_flows_do_not_tell_is_looked_up(command: Command) -> None:
    """The fixture's flows tell theirs, so that the file changes nothing: 0 is what a v5 exporter without BGP says."""
    with_file = command.rows("top", "-s", "srcas")
    command.configure()
    assert command.rows("top", "-s", "srcas") == with_file
    assert {row["source_as"] for row in with_file} == {100, 200, 300, 15169}


def test_without_files_it_is_said_how_to_name_one(command: Command) -> None:
    command.configure()
    for words in (["top", "-s", "srcgeo"], ["flows", "geo US"]):
        status, _, err = command.run(words[0], *words[1:])
        assert status == 2 and "names.country of the configuration names no MaxMind file" in err
    command.configure(country=command.folder / "absent")
    status, _, err = command.run("top", "-s", "srcgeo")
    assert status != 0 and "absent: No such file" in err


def test_patience_ends(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str) -> str | None:
        raise OSError(address)

    monkeypatch.setattr("nftui.engine.resolving.system_name", refuse)
    command.configure()
    err = command.run("top", "--names", "-s", "ip", "-n", "20")[2]
    assert "note: nobody told the names of 11 of 11 addresses in time" in err
    monkeypatch.setattr("nftui.engine.resolving.system_name", lambda address: "late.example")
    monkeypatch.setattr(naming, "PATIENCE_S", 0.0)
    status, out, err = command.run("top", "--names", "-s", "ip", "-n", "20")
    assert status == 0 and "192.168.0.1 " in out


def test_interfaces_have_the_name_that_all_exporters_give_them(command: Command) -> None:
    known = {
        "127.0.0.1": {"1": {"name": "ge-0/0/1"}, "2": {"name": "up\x1blink"}, "3": {"name": "x"}},
        "10.9.9.9": {"3": {"name": "y"}},
    }
    (command.folder / "store" / "interfaces.json").write_text(json.dumps({"version": 1, "exporters": known}))
    out = command.run("top", "-s", "if")[1]
    assert "1 (ge-0/0/1)" in out and "2 (up\\x1blink)" in out and "3 (" not in out


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "markdown", "parquet"])
def test_records_have_the_same_fields_in_every_form(command: Command, form: str) -> None:
    file = command.folder / f"flows.{form}"
    status, _, err = command.run("flows", "--names", "host 10.0.0.3", "-o", form, "--out", file)
    assert status == 0, err
    if form == "parquet":
        listed = pl.read_parquet(file).to_dicts()
    elif form == "csv":
        listed = list(csv.DictReader(io.StringIO(file.read_text())))
    elif form == "markdown":
        heading, _, *lines = (line.strip("| \n").split(" | ") for line in file.read_text().splitlines())
        listed = [dict(zip(heading, line, strict=True)) for line in lines]
    else:
        listed = (
            json.loads(file.read_text())["rows"] if form == "json" else [json.loads(line) for line in file.read_text().splitlines()]
        )
    first, second = listed
    assert (first["source_address_name"], second["destination_address_name"]) == ("dns.example", "dns.example")
    assert (first["source_country"], first["destination_country"], second["source_country"]) == ("DE", "US", "US")
    shown = (
        "Google\x1b LLC" if form in ("json", "ndjson", "parquet") else "Google\\x1b LLC" if form == "csv" else "Google\\\\x1b LLC"
    )
    assert first["destination_as_organization"] == shown
    names = list(first)
    assert names.index("source_address_name") == names.index("source_address") + 1 or form in ("json", "ndjson")


def test_of_very_many_addresses_the_first_are_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "MOST_ASKED", 1)
    monkeypatch.setattr(naming, "AT_A_TIME", 1)
    found = [row for row in command.rows("flows", "--names") if "source_address_name" in row or "destination_address_name" in row]
    assert len(found) < 10
    assert all("source_country" in row for row in command.rows("flows", "--names", "src net 10.0.0.0/8")), "places cost nothing"
