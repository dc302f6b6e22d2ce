"""The dashboard by way of a real ssh, on a server that the test starts: it shows, answers keys, and leaves nothing behind."""

from __future__ import annotations

import os
import pwd
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import peers
from tests.real.processes import Mark
from tests.real.terminal import Screen, Terminal, marked, terminal
from tests.running import ROOT, nftui, wait_for

pytestmark = pytest.mark.peer("sshd", "ssh", "tmux")

FIXTURE = Path(__file__).parents[1] / "data" / "ten-flows.pcap"
USER = pwd.getpwuid(os.getuid()).pw_name
SEPARATED = Path("/run/sshd")
"""Where a server of root wants an empty folder; Debian makes it when the service starts."""


@dataclass
class Server:
    """A running sshd, and how to reach it."""

    folder: Path
    port: int

    def command(self, remote: str) -> list[str]:
        """Return the words that run a command there, on a terminal."""
        options = {
            "IdentityFile": self.folder / "key", "IdentitiesOnly": "yes", "UserKnownHostsFile": self.folder / "known",
            "GlobalKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "yes", "BatchMode": "yes", "LogLevel": "ERROR",
        }  # fmt: skip
        chosen = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return [peers.require("ssh"), "-F", "/dev/null", *chosen, "-p", str(self.port), "-tt", f"{USER}@127.0.0.1", remote]


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """An sshd with keys and a configuration of its own."""
    folder.mkdir(mode=0o700)
    keygen = Path(peers.require("ssh")).with_name("ssh-keygen")
    for name in ("host", "key"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)
    (folder / "allowed").write_bytes((folder / "key.pub").read_bytes())
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    settings = {
        "ListenAddress": f"127.0.0.1:{port}", "HostKey": folder / "host", "PidFile": "none", "UsePAM": "no", "StrictModes": "no",
        "AuthorizedKeysFile": folder / "allowed", "PermitRootLogin": "prohibit-password", "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no", "PrintMotd": "no", "PrintLastLog": "no",
    }  # fmt: skip
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:
        SEPARATED.mkdir(mode=0o755, exist_ok=True)
    command = [peers.require("sshd"), "-D", "-e", "-f", str(folder / "config")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
        try:
            wait_for(lambda: b"Server listening" in (folder / "log").read_bytes(), lambda: process.poll() is None)
            yield Server(folder, port)
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that holds the ten flows of the fixture."""
    nftui("import", "--data", tmp_path / "store", FIXTURE)
    return tmp_path / "store"


@contextmanager
def dashboard(tmp_path: Path, store: Path, columns: int = 80, lines: int = 24) -> Iterator[tuple[Terminal, Mark]]:
    """The dashboard on a store, in a terminal, by way of ssh."""
    config = tmp_path / "nftui.toml"
    config.write_text('[display]\nrange = "all"\n')
    mark = Mark()
    there = marked(mark, "--no-collect", "--data", store, "--config", config, temporary=tmp_path)
    before = files(store)
    with server(tmp_path / "ssh") as sshd:
        command = sshd.command(f"cd {shlex.quote(str(ROOT))} && LANG=C.UTF-8 exec {shlex.join(there)}")
        with terminal(command, columns, lines) as console:
            console.wait(shown, "the ten flows", 30)
            print(f"\n{columns}x{lines}: shown {time.monotonic() - console.started:.1f} s after ssh was started")
            yield console, mark
        mark.gone()
    assert files(store) == before, "who only reads writes nothing"


def files(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_size) for path in folder.rglob("*") if path.is_file()}


def shown(screen: Screen) -> bool:
    """Return whether the Live screen shows the flows of the fixture."""
    return (
        len(screen) > 3
        and screen[0].startswith(("[1Live]", "[1 Live]"))
        and " 10 flows " in screen[2]
        and any("192.168.0.1" in line for line in screen)
    )


def test_the_dashboard_over_ssh(tmp_path: Path, store: Path) -> None:
    with dashboard(tmp_path, store) as (console, mark):
        console.check_width()
        console.press("2")
        console.wait(lambda screen: "Flows]" in screen[0] and "10 flows" in screen[2], "the Flows screen")
        console.press("f")
        console.shows("Apply esc Cancel")
        console.type("dst port 443")
        console.press("Enter")
        console.wait(lambda screen: screen[1].startswith(" filter: dst port 443 ") and "10 flows" not in screen[2], "fewer flows")
        console.press("F")
        console.wait(lambda screen: "10 flows" in screen[2], "all flows")
        console.press("1")
        console.wait(shown, "the Live screen")
        assert mark.named("nftui --no-collect")
        console.press("q")
        assert console.ends() == 0, console.screen()
        mark.gone()


def test_the_connection_breaks(tmp_path: Path, store: Path) -> None:
    with dashboard(tmp_path, store, 120, 36) as (console, mark):
        console.check_width()
        console.tmux("kill-server")
        print(f"gone {mark.gone():.1f} s after the terminal")


def test_a_terminal_that_changes_its_size(tmp_path: Path, store: Path) -> None:
    with dashboard(tmp_path, store) as (console, _):
        for columns, lines in ((132, 43), (80, 24)):
            console.resize(columns, lines)
            console.wait(
                lambda screen, lines=lines: len(screen) == lines and shown(screen) and "? Help" in screen[-1], "the new size"
            )
            console.wait(lambda screen, columns=columns: len(screen[0]) > columns - 5, "the whole width")
            console.check_width()
