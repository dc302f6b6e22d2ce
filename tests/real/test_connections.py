"""Connections from end to end: what a router forwards is what its probe tells, long before a connection ends, and once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui.units import address_octets
from tests.real import far_end
from tests.real.namespace import ip
from tests.real.probing import Running, counted, elsewhere, flows_of, pair
from tests.real.processes import Mark
from tests.real.terminal import NFTUI, marked, terminal
from tests.real.test_conntrack import forget, tracked
from tests.real.test_first_start import Talking
from tests.running import ROOT, wait_for

ETHERNET = 14
"""Octets of a frame's header."""
NEAR, FAR = "10.8.0.2", "10.8.1.2"


class Near:
    """A host whose connections are forwarded."""

    def __init__(self, words: list[str]) -> None:
        """Start it in a network."""
        command = [*words, sys.executable, "-m", "tests.real.near_end", FAR, str(far_end.PORT)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, line: str) -> None:
        """Have it do something."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def close(self) -> None:
        """End it."""
        self.process.communicate(timeout=20)


@contextmanager
def routed() -> Iterator[Near]:
    """Be a router between two hosts, for the length of a block; yields the near one. Nothing but their packets is on its links."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    with ExitStack() as stack:
        there = []
        for number in range(2):
            near, far = f"near{number}", f"far{number}"
            pair(near, far, 1500)
            for end in (near, far):
                # Nobody asks for a hardware address where both ends have the same.
                ip("link", "set", end, "address", "02:00:00:00:00:01", "arp", "off")
            there.append(stack.enter_context(elsewhere(far)))
            for words, end, address in (([], near, f"10.8.{number}.1"), (there[-1], far, f"10.8.{number}.2")):
                script = (
                    f"echo 1 >/proc/sys/net/ipv6/conf/{end}/disable_ipv6; ip addr add {address}/24 dev {end}; ip link set {end} up"
                    + (f"; ip route add default via 10.8.{number}.1" if words else "")
                )
                subprocess.run([*words, "sh", "-ec", script], check=True)
        command = [*there[1], sys.executable, "-m", "tests.real.far_end", "far1"]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout and other.stdout.readline() == b"ready\n"
            near_end = Near(there[0])
            try:
                yield near_end
            finally:
                near_end.close()


def sums(data: Path, header: int = ETHERNET) -> tuple[int, int]:
    """Return packets and octets of all flows of a store, as an interface counts them that has a header before each packet."""
    flows = flows_of(data)
    if "packets" not in flows.columns:
        return 0, 0
    packets = int(flows["packets"].sum())
    return packets, int(flows["octets"].sum()) + header * packets


def listens(probe: Running) -> bool:
    """Return whether connections are told of."""
    entry = probe.sources().get("conntrack", {})
    return probe.status().get("pid") == probe.process.pid and bool(entry.get("entries")) and entry["problem"] == ""


@pytest.mark.row("B01")
@pytest.mark.peer("ip", "nft", "conntrack")
def test_what_is_forwarded_is_told_while_it_lasts_and_once(tmp_path: Path) -> None:
    """All flows add up to what the interface counted: while connections last, after their end, and over a restart of the probe."""
    kept: dict[str, Any] = {}
    command = ("probe", "--conntrack", "--active", "1")

    def run() -> None:
        for name in ("tcp_timeout_time_wait", "tcp_timeout_last_ack", "tcp_timeout_close"):
            Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").write_text("1")
        with routed() as near:
            near("datagrams 3 100")
            kept["before"] = counted("near0")
            with Running(tmp_path, *command) as probe:
                probe.wait_for(lambda: listens(probe))

                def is_told() -> bool:
                    time.sleep(0.2)  # asking the store all the while would be most of what this test takes
                    return sums(tmp_path) == passed()

                def passed() -> tuple[int, int]:
                    return tuple(now - then for now, then in zip(counted("near0"), kept["before"], strict=True))  # type: ignore[return-value]

                near("connect")
                near("say 300000")
                probe.wait_for(lambda: passed()[0] > 200 and is_told())
                kept["running"], kept["entry"] = flows_of(tmp_path), probe.sources()["conntrack"]
                near("say 5000")
                probe.wait_for(is_told)
                near("say 70000")
                near("close")
                near("datagrams 20 1000")
                probe.wait_for(is_told)
                near("datagrams 4 10")
                probe.stop()
                assert is_told()
            with Running(tmp_path, *command, "--active", "3600") as probe:
                probe.wait_for(lambda: listens(probe))
                near("datagrams 5 500")
                for line in ("connect", "say 10000", "close"):
                    near(line)
                forget()
                probe.wait_for(is_told)
                near("datagrams 4 10")  # told of by its end alone
                probe.stop()
                assert is_told()

    tracked(run, events=1)
    running, flows = kept["running"], flows_of(tmp_path).sort("flow_start", "flow_end")
    assert set(running["flow_end_reason"]) == {2} and running.filter(pl.col("destination_port") == far_end.PORT).height >= 1
    assert kept["entry"]["used"] >= 2 and kept["entry"]["active"] == 1 and kept["entry"]["drops"] == 0
    assert set(flows.filter(pl.col("protocol") == 6)["flow_end_reason"]) == {2, 3}
    assert set(flows.filter(pl.col("protocol") == 17)["flow_end_reason"]) == {1, 2, 4}
    for (_, reverse), own in flows.group_by("connection_id", "reverse"):
        times = own.select(before=pl.col("flow_end").shift(), after="flow_start").drop_nulls()
        assert (times["after"] >= times["before"]).all(), "they follow each other"
        source = FAR if reverse else NEAR
        assert own["source_address"].unique().to_list() == [address_octets(source)]
    said = flows.filter((pl.col("protocol") == 6) & pl.col("reverse").is_null())
    assert 385_000 < said["octets"].sum() < 385_000 * 1.1


@pytest.mark.row("B01")
@pytest.mark.peer("tmux", "ip", "nft", "conntrack")
def test_the_dashboard_shows_a_connection_that_goes_on(tmp_path: Path) -> None:
    """With its own collector, which asks for connections; what is stored at the end is what passed through the interface."""
    kept: dict[str, Any] = {}
    config, store = tmp_path / "nftui.toml", tmp_path / "store"
    config.write_text("[probe]\nconntrack = true\nactive = 1\n")

    def run() -> None:
        mark, began = Mark(), counted("lo")
        words = ["-u", "NFTUI_CONFIG", "-C", str(tmp_path), *NFTUI, "--data", store, "--config", config]
        with terminal(marked(mark, *words, program=["env"]), 120, 36) as console:
            console.press("7")
            console.wait(lambda screen: any("conntrack" in line and "kernel" in line for line in screen), "its row", 20)
            wait_for(lambda: '"entries"' in (store / "status.json").read_text())
            talking = Talking()
            try:
                console.wait(lambda screen: any("conntrack" in line and "live" in line for line in screen), "a flow of it", 20)
                console.shows("connections")
                console.press("2")
                console.wait(lambda screen: any(f" {talking.port} " in line for line in screen), "the connection", 20)
            finally:
                talking.stop()
            time.sleep(0.1)
            kept["counted"] = tuple((now - then) // 2 for now, then in zip(counted("lo"), began, strict=True))
            console.press("q")
            assert console.ends() == 0
        mark.gone()
        forget()

    tracked(run)
    assert kept["counted"][0] > 20 and sums(store, header=0) == kept["counted"]
