"""Names by a real DNS server, in a network and a file system that nobody else sees."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import peers
from tests.running import ROOT, nftui

pytestmark = pytest.mark.peer("dnsmasq", "unshare", "mount", "ip")

FIXTURE = Path(__file__).parents[1] / "data" / "ten-flows.pcap"
SERVER = (
    "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--keep-in-foreground", "--listen-address=127.0.0.1", "--bind-interfaces",
    "--pid-file=", "--user=root", "--host-record=dns.example,8.8.8.8", "--host-record=web.example,192.168.0.1",
    "--host-record=web.example,192.168.0.22", "--ptr-record=2.0.0.10.in-addr.arpa,198.51.100.9", "--local=/example/",
    "--local=/in-addr.arpa/",
)  # fmt: skip
SILENT = "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 53)); time.sleep(60)"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    nftui("import", "--data", folder / "store", FIXTURE)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:5 attempts:2\n")
    (folder / "nsswitch.conf").write_text("hosts: dns\n")
    (folder / "nftui.toml").write_text("[names]\ntimeout = 0.4\n")
    return folder


def asked(folder: Path, server: list[str], *commands: list[str]) -> list[subprocess.CompletedProcess[str]]:
    """Run commands of nftui where a server is the only DNS there is, and nothing is kept of before; return what each said."""
    shutil.rmtree(folder / "cache", ignore_errors=True)
    results = [folder / f"result-{number}" for number in range(len(commands))]
    lines = [
        "set -e",
        "ip link set lo up",
        *(f"mount --bind {folder / name} /etc/{name}" for name in ("resolv.conf", "nsswitch.conf")),
        f"{shlex.join(server)} >/dev/null 2>&1 & server=$!",
        "trap 'kill $server' EXIT",
        "until grep -q ':0035 ' /proc/net/udp; do sleep 0.05; done",
        "set +e",
    ]
    for command, result in zip(commands, results, strict=True):
        words = [
            sys.executable,
            "-m",
            "nftui",
            command[0],
            "--data",
            folder / "store",
            "--config",
            folder / "nftui.toml",
            *command[1:],
        ]
        lines.append(f"{shlex.join(map(str, words))} >{result}.out 2>{result}.err; echo $? >{result}.status")
    environment = {
        "PATH": f"/usr/local/bin:/usr/bin:/bin:{peers.SYSTEM}",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HOME": str(folder),
    }
    done = subprocess.run(
        [peers.require("unshare"), "--net", "--mount", "sh", "-c", "\n".join(lines)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "Operation not permitted" in done.stderr:
        pytest.skip("making namespaces is for root")
    assert results[-1].with_suffix(".status").exists(), done.stderr
    return [
        subprocess.CompletedProcess(command, *(int(text) if suffix == "status" else text for suffix in ("status", "out", "err")
                                               for text in [Path(f"{result}.{suffix}").read_text()]))
        for command, result in zip(commands, results, strict=True)
    ]  # fmt: skip


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["rows"])


@pytest.mark.row("K10")
def test_names_from_a_server(store: Path) -> None:
    server = [peers.require("dnsmasq"), *SERVER]
    listed, filtered, unknown, forbidden, again = asked(
        store,
        server,
        ["top", "--names", "-s", "ip", "-n", "0", "-o", "json"],
        ["flows", "--names", "host web.example", "-o", "json"],
        ["flows", "--names", "host nobody.example"],
        ["flows", "host web.example"],
        ["top", "--names", "-s", "ip", "-n", "0"],
    )
    names = {row["address"]: row.get("address_name") for row in rows(listed)}
    assert names["8.8.8.8"] == "dns.example" and names["192.168.0.1"] == "web.example"
    assert names["10.0.0.2"] is None, "a name that reads as an address is none"
    assert names["10.0.0.1"] is None and "nobody told" not in listed.stderr, "that there is none was told"
    assert len(rows(filtered)) == 5 and "note: web.example is 192.168.0.1, 192.168.0.22" in filtered.stderr
    assert unknown.returncode == 2 and "'nobody.example' has no address" in unknown.stderr
    assert forbidden.returncode == 2 and "names.resolve = true allows that" in forbidden.stderr
    assert "8.8.8.8 (dns.example)" in again.stdout
    assert (store / "cache" / "nftui" / "names.json").stat().st_mode & 0o777 == 0o600


def test_a_server_that_says_nothing_holds_up_nobody_for_long(store: Path) -> None:
    began = time.monotonic()
    listed, filtered = asked(
        store,
        [sys.executable, "-c", SILENT],
        ["top", "--names", "-s", "srcport", "-s", "dstip", "-n", "0"],
        ["flows", "--names", "host slow.example"],
    )
    assert time.monotonic() - began < 20
    assert listed.returncode == 0 and "Summary:" in listed.stdout
    assert "nobody told the names of" in listed.stderr
    assert filtered.returncode == 2 and "was not answered for within 0.4 s" in filtered.stderr
