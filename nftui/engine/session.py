"""One's own SSH session: its addresses and ports, by which its flows can be told from those of others.

sshd says them in `SSH_CONNECTION`. Within tmux the environment is that of whoever started the shell, perhaps from elsewhere; tmux
itself knows the one of who attached last. sudo takes the variable away; the processes above still have it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

NAME = "SSH_CONNECTION"
TMUX_S = 2.0
"""Seconds that tmux may take to answer."""
HIGHEST = 32
"""Processes above that are looked at."""


@dataclass(frozen=True, slots=True)
class Session:
    """The two ends of a connection."""

    client: str
    client_port: int
    server: str
    server_port: int

    @property
    def filter(self) -> str:
        """The filter that its flows match, in both directions."""
        ends = f"ip {self.client} and ip {self.server} and port {self.client_port} and port {self.server_port}"
        return f"proto tcp and {ends}"


def own(environ: Mapping[str, str] | None = None, proc: Path = Path("/proc"), process: int | None = None) -> Session | None:
    """Return the session that this process is looked at through; None where there is none, or none can be told.

    Args:
        environ: The environment; None for that of this process.
        proc: Where processes are listed.
        process: The process to start from; None for this one.
    """
    environ = os.environ if environ is None else environ
    if environ.get("TMUX") and (told := _of_tmux(environ)) is not None:
        return understood(told)
    return understood(environ.get(NAME, "") or _from_above(proc, os.getpid() if process is None else process))


def understood(text: str) -> Session | None:
    """Return the session that the words of `SSH_CONNECTION` name; None where they name none."""
    words = text.split()
    if len(words) != 4 or not (words[1].isdecimal() and words[3].isdecimal()):
        return None
    try:
        client, server = _plain(words[0]), _plain(words[2])
    except ValueError:
        return None
    return Session(client, int(words[1]), server, int(words[3]))


def _plain(text: str) -> str:
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _of_tmux(environ: Mapping[str, str]) -> str | None:
    """Return what tmux knows, empty where who attached did so without SSH; None where tmux says nothing."""
    try:
        done = subprocess.run(
            ["tmux", "show-environment", NAME], capture_output=True, text=True, timeout=TMUX_S, check=False, env=dict(environ)
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    line = done.stdout.strip()
    if done.returncode or not line:
        return None
    return line.partition("=")[2] if line.startswith(f"{NAME}=") else ""


def _from_above(proc: Path, process: int) -> str:
    for _ in range(HIGHEST):
        try:
            status = (proc / str(process) / "stat").read_text(errors="replace")
            # The name stands in brackets, and may have blanks and brackets of its own.
            process = int(status.rpartition(")")[2].split()[1])
            if process <= 1:
                return ""
            held = (proc / str(process) / "environ").read_bytes()
        except (OSError, ValueError, IndexError):
            return ""
        for entry in held.split(b"\0"):
            if entry.startswith(NAME.encode() + b"="):
                return entry.partition(b"=")[2].decode(errors="replace")
    return ""
