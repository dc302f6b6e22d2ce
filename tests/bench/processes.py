"""Processes under measurement: what they and their children use of CPU and memory, and what waits in their sockets."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import peers

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = Path(__file__).with_name("launcher.py")
SAMPLE_S = 0.25
STOP_S = 180.0
READY_S = 30.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TZ": "UTC"}


def nftui(*words: object) -> list[str]:
    """Return the command line of one nftui command: the installed program, or the module where there is none beside the Python."""
    script = Path(sys.executable).with_name("nftui")
    return [*([str(script)] if script.exists() else [sys.executable, "-m", "nftui"]), *map(str, words)]


def peer(program: str) -> str | None:
    """Return the path of a peer; None, and a line that names its Debian package, where it is missing."""
    try:
        return peers.require(program)
    except pytest.skip.Exception as missing:
        print(f"no {program}, so nothing to compare with: {missing.msg}")
        return None


def work_folder() -> Path:
    """Return where big files go: memory if there is some, since write-back of a disk makes any rate swing."""
    memory = Path("/dev/shm")
    return (
        memory
        if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30
        else Path(os.environ.get("TMPDIR", "/tmp"))
    )


def processors() -> tuple[int, int]:
    """Return the CPU of senders and of this program, and the CPU of what is measured beside them."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1 % len(usable)]


@contextmanager
def pinned(processor: int) -> Iterator[None]:
    """Have processes that are started in the block stay on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Usage:
    """What a process and the children it waited for used.

    Attributes:
        wall: Seconds of the whole life, or of the end, as told by whoever returns this.
        cpu: Seconds, user and system.
        memory: Octets in memory at the most: the sum over all processes where it was sampled.
        status: The exit status.
        output: Of a command, what it printed.
    """

    wall: float
    cpu: float
    memory: int
    status: int
    output: str = ""


def run(words: Sequence[str]) -> Usage:
    """Run a command to its end.

    A small process stands between: this one's own memory would count as the command's otherwise, up to its exec.
    """
    command = [sys.executable, "-I", "-S", str(LAUNCHER), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, check=False)
    *_, last = done.stderr.strip().splitlines() or ["{}"]
    try:
        told = json.loads(last)
        usage = Usage(told["wall"], told["cpu"], told["memory"], told["status"], done.stdout)
    except (ValueError, KeyError) as error:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}") from error
    if usage.status:
        raise RuntimeError(f"{' '.join(words)}: status {usage.status}: {done.stderr}")
    return usage


class Running:
    """A process that is watched while it runs.

    Attributes:
        process: The process.
        memory: Octets in memory at the most so far, summed over the process and its descendants.
    """

    def __init__(self, words: Sequence[str], log: Path) -> None:
        self.memory = 0
        with log.open("wb") as output:
            self.process = subprocess.Popen(words, stdout=output, stderr=output, env=ENVIRONMENT, cwd=ROOT, start_new_session=True)
        self._log = log
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.memory = max(self.memory, sum(map(resident, family(self.process.pid))))

    def wait_for_port(self, port: int) -> None:
        """Wait until it has bound a UDP port."""
        deadline = time.monotonic() + READY_S
        while udp(port) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"port {port} was not bound: {self._log.read_text(errors='replace')}")
            time.sleep(0.02)

    def stop(self, *, overrun: bool = False) -> Usage:
        """Ask it to end; return the seconds that took, and the CPU time of its whole life and of the children it waited for.

        Args:
            overrun: Whether it may say by its exit status that it could not store all.
        """
        began = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        while True:
            ended, status, used = os.wait4(self.process.pid, os.WNOHANG)
            if ended:
                break
            if time.perf_counter() - began > STOP_S:
                os.killpg(self.process.pid, signal.SIGKILL)
            time.sleep(0.02)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()
        self._sampler.join()
        if self.process.returncode not in ((0, 1) if overrun else (0,)):
            raise RuntimeError(f"{self.process.args!r}: status {self.process.returncode}: {self._log.read_text(errors='replace')}")
        return Usage(time.perf_counter() - began, used.ru_utime + used.ru_stime, self.memory, self.process.returncode)

    def kill(self) -> None:
        """End it at once, and its children; nothing happens where it has ended."""
        self._ended.set()
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def family(process: int) -> list[int]:
    """Return a process and its descendants."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return [process]
    return [process, *(one for child in children for one in family(int(child)))]


def command_of(process: int) -> list[str]:
    """Return the words that a process was started with; none where it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().split("\0")
    except OSError:
        return []


def first_thread(process: int) -> float:
    """Return CPU seconds of a process's first thread; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{process}/task/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> int:
    """Return octets in memory, pages shared with others included."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def most_resident(process: int, *, anew: bool = False) -> int:
    """Return the most octets that were ever in memory; 0 where the kernel doesn't tell.

    Args:
        process: Its id.
        anew: Whether the most counts from now on.
    """
    folder = Path(f"/proc/{process}")
    try:
        lines = (folder / "status").read_text().splitlines()
        if anew:
            (folder / "clear_refs").write_text("5")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def proportional(process: int) -> int:
    """Return octets in memory, pages shared with others in proportion; 0 where the kernel doesn't tell."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


@dataclass(frozen=True)
class Udp:
    """Sockets bound to a UDP port: octets that wait, and datagrams dropped."""

    waiting: int
    drops: int


def udp(port: int) -> Udp | None:
    """Return what the kernel tells of a port; None where it isn't bound."""
    found = []
    for name in ("udp", "udp6"):
        try:
            lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        rows = [line.split() for line in lines]
        found += [row for row in rows if int(row[1].rpartition(":")[2], 16) == port and row[2].endswith(":0000")]
    if not found:
        return None
    return Udp(sum(int(row[4].partition(":")[2], 16) for row in found), sum(int(row[-1]) for row in found))


def drain(port: int, seconds: float = 60.0) -> float:
    """Wait until nothing waits in a port's sockets; return how long that took."""
    began = time.monotonic()
    while (state := udp(port)) is not None and state.waiting and time.monotonic() - began < seconds:
        time.sleep(0.02)
    return time.monotonic() - began


def free_port() -> int:
    """Return a UDP port of the loopback that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def size(folder: Path) -> int:
    """Return octets of all files in a folder and below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
