"""Filters on the command line: saved, from a file, included, all of them together; and the configuration, key by key."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nftui import cli
from tests.running import ROOT, nftui

FIXTURE = Path(__file__).parent / "data" / "ten-flows.pcap"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("store")
    nftui("import", "--data", data, FIXTURE)
    return data


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The directory of a configuration."""
    return tmp_path / "home"


@dataclass(frozen=True)
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one command with that configuration, in this process: a fresh one takes most of a second."""
    monkeypatch.setenv("NFTUI_CONFIG", str(home / "nftui.toml"))

    def run(*words: object, check: bool = True) -> Done:
        status = cli.main([str(word) for word in words])
        done = Done(status, *capsys.readouterr())
        assert status == 0 or not check, done.stderr
        return done

    return run


@pytest.mark.row("F01")
def test_saving_showing_listing_deleting(run: Run, home: Path) -> None:
    assert json.loads(run("filters", "list", "-o", "json").stdout) == {"rows": [], "unread": []}
    web = home / "filters" / "web.toml"
    assert run("filters", "save", "web", "dst port 443", "--description", "the web").stdout == f"saved {web}\n"
    run("filters", "save", "lan", "--source-ip", "10.0.0.1,10.0.1.0/24", "--protocol", "tcp", "--aggregate-by", "proto")
    assert json.loads(run("filters", "show", "web", "-o", "json").stdout) == {
        "name": "web", "kind": "advanced", "expression": "dst port 443", "aggregate_by": "dstip", "description": "the web",
        "path": str(web),
    }  # fmt: skip
    lan = json.loads(run("filters", "show", "lan", "-o", "json").stdout)
    assert (lan["kind"], lan["expression"]) == ("basic", "(src ip 10.0.0.1 or src net 10.0.1.0/24) and (proto tcp)")
    assert (lan["fields"]["source_ip"], lan["fields"]["exporter"], lan["aggregate_by"]) == ("10.0.0.1,10.0.1.0/24", "", "proto")
    (home / "filters" / "bad.toml").write_text("x = \x1b")
    listed = run("filters", "list")
    assert [line.split()[:3] for line in listed.stdout.splitlines()] == [
        ["name", "kind", "aggregate_by"],
        ["lan", "basic", "proto"],
        ["web", "advanced", "dstip"],
    ]
    assert listed.stderr.startswith("nftui: bad: not usable: ") and "\x1b" not in listed.stderr
    assert run("filters", "save", "web", "--aggregate-by", "srcip").stdout == f"changed {web}\n"
    assert "the web" in run("filters", "show", "web").stdout
    assert run("filters", "delete", "web", "none", check=False).returncode == 1
    assert web.exists()
    run("filters", "delete", "web", "bad", "web")
    assert [one["name"] for one in json.loads(run("filters", "list", "-o", "json").stdout)["rows"]] == ["lan"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("save", " ", "tcp"), 1, "a filter needs a name that is not blank"),
        (("save", "../x", "tcp"), 1, "can't be that of a filter"),
        (("save", "x", "prot 5"), 2, "filter, column 1: unknown word 'prot'"),
        (("save", "x", "--source-port", "80,y"), 2, "--source-port, column 4: 'y' is not a port"),
        (("save", "x", "tcp", "--protocol", "tcp"), 2, "--protocol: a filter has fields or an expression"),
        (("save", "x", "--aggregate-by", "colour"), 2, "--aggregate-by 'colour': it takes one of srcip"),
        (("show", "none"), 1, "no saved filter 'none'"),
        (("delete", "none"), 1, "no saved filter 'none'"),
        (("explode",), 2, "invalid choice"),
        ((), 2, "required"),
    ],
)
def test_mistakes_are_one_line(run: Run, words: tuple[str, ...], status: int, message: str) -> None:
    done = run("filters", *words, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    first, *picture = done.stderr.splitlines()
    assert message in first
    assert len(picture) in (0, 2)


def test_what_is_given_together_must_all_match(run: Run, home: Path, store: Path, tmp_path: Path) -> None:
    run("filters", "save", "tcp", "proto tcp")
    (home / "filters" / "web").write_text("port 80 or port 443")
    file = tmp_path / "lan.filter"
    file.write_text("# the lan\nsrc net 10.0.0.0/16\nand (@include web)\n")

    def flows(*words: object) -> int:
        return int(json.loads(run("summary", "--data", store, *words, "-o", "json").stdout)["rows"][0]["flows"])

    assert flows("--filter", "tcp") == 5
    assert flows("-f", file) == 2
    assert flows("@include web") == 3
    assert flows("--filter", "tcp", "-f", file, "dst", "port", "443") == 1
    for command in ("flows", "top", "series"):
        assert json.loads(run(command, "--data", store, "--filter", "tcp", "-o", "json").stdout)["query"]["filter"] == "proto tcp"


@pytest.mark.row("F08")
@pytest.mark.row("F10")
@pytest.mark.parametrize(
    ("key", "column"),
    [
        ("srcip", "source_address"), ("dstip", "destination_address"), ("srcport", "source_port"),
        ("dstport", "destination_port"), ("proto", "protocol"), ("none", ""),
    ],
)  # fmt: skip
def test_a_saved_filter_says_what_to_break_down_by(run: Run, store: Path, key: str, column: str) -> None:
    run("filters", "save", "tcp", "proto tcp", "--aggregate-by", key)

    def keys(*words: str) -> list[str]:
        found = json.loads(run(*words, "--data", store, "-o", "json", "--filter", "tcp").stdout)
        assert found["query"]["filter"] == "proto tcp"
        keys: list[str] = found["query"]["keys"]
        return keys

    records = ["source_address", "destination_address", "source_port", "destination_port", "protocol"]
    assert keys("series") == [column] * (column != "")
    assert keys("top") == ([column] if column else records)
    assert keys("top", "-O", "packets") == keys("top")
    # What is said on the command line wins.
    assert keys("series", "--by", "router") == keys("top", "-s", "router") == keys("top", "-A", "router") == ["exporter_address"]
    assert keys("top", "-a") == keys("top", "-b") == keys("top", "-s", "record") == records


@pytest.mark.row("E08")
def test_the_basic_web_filter(run: Run, store: Path) -> None:
    run("filters", "save", "web", "--destination-port", "80,443")
    (row,) = json.loads(run("top", "--data", store, "--filter", "web", "-o", "json").stdout)["rows"]
    assert (row["destination_address"], row["flows"], row["octets"]) == ("192.168.0.1", 2, 1_501_000)


@pytest.mark.row("F12")
def test_a_filter_is_a_file_and_nothing_else(run: Run, home: Path, store: Path) -> None:
    before = sorted(store.rglob("*"))
    run("filters", "save", "early", "dst port 443")
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["early.toml"]
    assert sorted(store.rglob("*")) == before
    # It finds what was received before it was made.
    assert json.loads(run("summary", "--data", store, "--filter", "early", "-o", "json").stdout)["rows"][0]["flows"] == 1


def test_a_saved_filter_includes_what_its_file_holds_when_it_is_asked(run: Run, home: Path, store: Path) -> None:
    (home / "filters").mkdir(parents=True)
    (home / "filters" / "servers").write_text("192.168.0.1")
    run("filters", "save", "to servers", "dst ip in [@include servers]")
    assert json.loads(run("summary", "--data", store, "--filter", "to servers", "-o", "json").stdout)["rows"][0]["flows"] == 2
    (home / "filters" / "servers").write_text("192.168.0.1 192.168.0.22")
    assert json.loads(run("summary", "--data", store, "--filter", "to servers", "-o", "json").stdout)["rows"][0]["flows"] == 4


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--filter", "none"), 1, "no saved filter 'none'"),
        (("-f", "nowhere"), 2, "-f nowhere: No such file"),
        (("-f", "."), 2, "-f ."),
        (("@include ../nftui.toml",), 2, "is not in"),
        (("tcp and prot 5",), 2, "filter, column 9"),
    ],
)
def test_filters_that_are_none(run: Run, store: Path, words: tuple[str, ...], status: int, message: str) -> None:
    done = run("summary", "--data", store, *words, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr.splitlines()[0]


def test_a_mistake_in_a_file_is_found_there(run: Run, home: Path, store: Path, tmp_path: Path) -> None:
    (home / "filters").mkdir(parents=True)
    (home / "filters" / "web").write_text("port 80\nor prot 5")
    file = tmp_path / "lan.filter"
    file.write_text("tcp and (\n@include web)")
    done = run("summary", "--data", store, "-f", file, check=False)
    assert done.stderr.splitlines() == [
        "nftui: filters/web, line 2, column 4: unknown word 'prot'; did you mean proto?",
        "  or prot 5",
        "     ^^^^",
    ]


# -- notes -------------------------------------------------------------------------------------------------------------------


def test_notes_where_they_are_asked_for(run: Run, store: Path) -> None:
    def notes(*words: str) -> list[str]:
        return run("top", "--data", store, *words).stderr.splitlines()

    assert notes("port 53") == []
    (icmp,) = notes("port 53", "--notes")
    assert icmp.startswith(
        "note: filter, column 1: 'port 53' looks at ICMP, too, of which type and code stand where ports do; write "
    )
    assert notes("proto tcp and dst port 53", "--notes") == [
        "note: no flow in this range matches proto tcp and dst port 53 together, but without one of them some do"
    ]
    assert notes("port 53 and not proto icmp and not proto icmp6", "-t", "2023-11-14T22:13:17Z", "--notes", "--no-notes") == []
    assert notes("port 53", "-t", "2001", "--notes") == ["note: there are no flows in this range at all"]


def test_notes_name_the_filter_they_are_about(run: Run, home: Path, store: Path, tmp_path: Path) -> None:
    run("filters", "save", "lan", "net 10.0.1.7/24")
    (home / "filters" / "part").write_text("any\nand net 10.0.1.8/24")
    file = tmp_path / "lan.filter"
    file.write_text("any\nand @include part")
    done = run("summary", "--data", store, "--filter", "lan", "-f", file, "net 10.0.1.9/24", "--notes")
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == [
        " saved filter 'lan', column 5",
        " filters/part, line 2, column 9",
        " filter, column 5",
    ]


def test_answers_stay_what_they_are(run: Run, store: Path) -> None:
    words = ("top", "--data", store, "not port 53", "-o", "json")
    plain, noted = (json.loads(run(*words, *more).stdout) for more in ((), ("--notes",)))
    assert plain["rows"] == noted["rows"] and set(plain) == set(noted)


def test_notes_on_a_terminal(store: Path) -> None:
    shown, answer = on_terminal("summary", "--data", store, "not src net 10.0.1.7/24")
    assert shown.startswith("note: filter, column 13: '10.0.1.7' has bits beyond the length 24")
    assert "note" not in answer


def test_files_are_not_decoded_again_for_notes_nobody_asked_for(store: Path) -> None:
    asked = ("port 53 and net 10.0.1.7/8",)
    of_store, _ = on_terminal("summary", "--data", store, *asked)
    of_file, _ = on_terminal("summary", "-r", FIXTURE, *asked)
    explicit, _ = on_terminal("summary", "-r", FIXTURE, "--notes", *asked)
    assert of_store == explicit
    assert "looks at ICMP" in explicit
    assert of_file.splitlines() == [line for line in explicit.splitlines() if "looks at ICMP" not in line]
    assert "has bits beyond the length 8" in of_file


def on_terminal(*words: object) -> tuple[str, str]:
    """Run a command with standard error on a terminal; return what stands there, and what it answered."""
    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "nftui", *map(str, words)],
            stdout=subprocess.PIPE, stderr=follower, text=True, cwd=ROOT, timeout=60, check=True,
        )  # fmt: skip
        return os.read(leader, 65536).decode(), done.stdout
    finally:
        os.close(leader)
        os.close(follower)


# -- configuration -----------------------------------------------------------------------------------------------------------


def test_the_configuration_key_by_key(run: Run, home: Path) -> None:
    path = home / "nftui.toml"
    found = run("config", "path")
    assert (found.stdout, found.stderr) == (f"{path}\n", "there is no such file: the defaults hold\n")
    assert json.loads(run("config", "path", "-o", "json").stdout) == {
        "path": str(path), "origin": "environment, NFTUI_CONFIG", "exists": False,
    }  # fmt: skip
    assert run("config", "show", "--config", path).stderr == f"{path}: there is no such file: the defaults hold\n"
    run("config", "set", "collector.interval", "60")
    run("config", "set", "snmp.community", "secret")
    assert path.read_text() == '[collector]\ninterval = 60\n\n[snmp]\ncommunity = "secret"\n'
    assert run("config", "get", "collector.interval").stdout == "60\n"
    assert run("config", "get", "collector.listen", "-o", "json").stdout == '["9995/udp", "6343/udp"]\n'
    assert run("config", "get", "snmp.community").stdout == "secret\n"
    assert run("config", "get", "snmp").stdout.splitlines()[-1] == "snmp.port = 161"
    shown = run("config", "show").stdout
    assert "secret" not in shown
    assert [line.split("#")[1].strip() for line in shown.splitlines() if line.startswith("collector.interval ")] == [str(path)]
    rows = json.loads(run("config", "show", "-o", "json").stdout)["rows"]
    assert {"key": "collector.interval", "value": 60, "origin": str(path)} in rows
    assert {"key": "collector.processes", "value": 1, "origin": "default"} in rows
    assert json.loads(run("config", "path", "--config", path, "-o", "json").stdout)["origin"] == "--config"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("get", "colector.interval"), 2, "did you mean collector.interval?"),
        (("set", "foo.bar", "1"), 2, "`nftui config show` lists all of them"),
        (("set", "collector.interval", "1"), 1, "collector.interval is 1; it takes 2 to 86400 seconds; nothing was changed"),
        (("set", "collector.interval", "x"), 1, "collector.interval: Expected `int`, got `str`"),
    ],
)
def test_mistakes_in_keys_and_values(run: Run, home: Path, words: tuple[str, ...], status: int, message: str) -> None:
    done = run("config", *words, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert not home.exists()


def test_commands_that_keep_load_no_engine() -> None:
    code = "import sys; from nftui.cli import main; main(['config', 'path']); sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=False).returncode == 0
