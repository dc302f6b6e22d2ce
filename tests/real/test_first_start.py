"""A first start as somebody has it: an interface is chosen, its packets become flows, and one of these is captured."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tomli

from tests import peers
from tests.real import namespace
from tests.real.processes import Mark
from tests.real.terminal import NFTUI, Terminal, marked, terminal

pytestmark = pytest.mark.peer("tmux", "ip", "tshark")


class Talking:
    """A connection over the loopback on which something is said all the while, each way; in the network of who makes it."""

    def __init__(self) -> None:
        """Begin to talk."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._near = socket.create_connection(("127.0.0.1", self.port))
        self._far = self._listening.accept()[0]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self) -> None:
        while not self._over.wait(0.05):
            self._near.sendall(b"said " * 100)
            self._far.recv(1 << 16)
            self._far.sendall(b"heard")
            self._near.recv(1 << 16)

    def stop(self) -> None:
        """Say no more."""
        self._over.set()
        self._thread.join()
        for one in (self._near, self._far, self._listening):
            one.close()


def chosen(console: Terminal, path: Path) -> None:
    """Choose the loopback, the only interface there."""
    console.shows("take packets of which interface?")
    console.shows(" pps")
    console.press("Enter")
    console.wait(lambda screen: path.exists() and "lo" in path.read_text(), "the choice in the file")
    assert tomli.loads(path.read_text())["probe"]["interfaces"] == ["lo"]


@pytest.mark.row("B01")
def test_from_the_first_start_to_a_file_of_packets(tmp_path: Path) -> None:
    def run() -> None:
        mark, talking = Mark(), Talking()
        config = tmp_path / "nftui.toml"
        config.write_text("[probe]\nactive = 1\ninactive = 1\n")
        words = ["-u", "NFTUI_CONFIG", "-C", str(tmp_path), *NFTUI]
        started = ["--data", tmp_path / "store", "--config", config]
        try:
            with terminal(marked(mark, *started, program=["env", *words]), 120, 36) as console:
                chosen(console, config)
                console.press("7")
                console.shows("probe lo")
                console.wait(lambda screen: any("probe lo" in line and "live" in line for line in screen), "packets", 20)
                console.press("2")
                owner = f"{Path('/proc/self/comm').read_text('ascii').strip()} "
                console.wait(
                    lambda screen: any(f" {talking.port} " in line and owner in line for line in screen), "its process", 20
                )
                console.press("/")
                console.type(str(talking.port))
                console.press("Enter", "w")
                console.wait(lambda screen: "REC lo" in screen[2] and " 0 packets" not in screen[2], "packets of the flow")
                assert f"port {talking.port}" in console.screen()[2]
                time.sleep(0.5)
                console.press("w")
                console.shows("packets in")
                console.press("q")
                assert console.ends() == 0
            mark.gone()
            with terminal(marked(mark, *started, program=["env", *words]), 80, 24) as console:
                console.shows("1Live")
                time.sleep(1.5)
                assert "which interface" not in "\n".join(console.screen()), "it is not asked again"
                console.press("q")
                assert console.ends() == 0
            mark.gone()
        finally:
            talking.stop()
        (file,) = tmp_path.glob("nftui-packets-*.pcap")
        shown = subprocess.run(
            [peers.require("tshark"), "-n", "-r", str(file), "-T", "fields", "-e", "tcp.port"],
            capture_output=True,
            text=True,
            check=True,
        )
        ports = [line.split(",") for line in shown.stdout.splitlines()]
        assert len(ports) >= 10 and all(str(talking.port) in both for both in ports)

    with ThreadPoolExecutor(1) as executor:
        executor.submit(namespace.inside, run).result()
