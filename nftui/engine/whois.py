"""Asks the system's `whois` about an address. Who registered a network is told by servers, that may be slow, silent, or lie."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_address

from nftui.errors import UsageError
from nftui.printable import printable

COMMAND = "whois"
WITHIN_S = 10.0
MOST_OCTETS = 64 << 10
MOST_LINES = 400
LONGEST_LINE = 200


def told(address: str, command: str = COMMAND, within: float = WITHIN_S) -> tuple[str, ...]:
    """Return what the command tells of an address, as printable lines without the remarks of registries. Blocks meanwhile.

    Args:
        address: An IPv4 or IPv6 address; nothing else reaches a command line.
        command: Its name.
        within: Seconds after which it is ended.
    Returns:
        The lines; one line that says so where the command isn't there, failed or took too long.
    Raises:
        UsageError: The text is no address.
    """
    try:
        asked = ip_address(address)
    except ValueError:
        raise UsageError(f"{printable(address, 60)!r} is no address") from None
    if asked.is_private or asked.is_loopback or asked.is_link_local or asked.is_multicast:
        return (f"{asked} is an address of no public registry: nobody was asked",)
    path = shutil.which(command)
    if path is None:
        return (f"{command} isn't installed; on Debian and Ubuntu: apt install whois",)
    try:
        done = subprocess.run(
            [path, str(asked)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=within,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return (f"{command} {asked} had no answer within {within:g} s",)
    except OSError as error:
        return (f"{command} can't be started: {error.strerror}",)
    return _lines(done.stdout) or _lines(done.stderr) or (f"{command} {asked} told nothing (exit status {done.returncode})",)


def _lines(octets: bytes) -> tuple[str, ...]:
    """Return the lines that say something, each printable."""
    text = octets[:MOST_OCTETS].decode("utf-8", "replace")
    kept = [line.strip("\r ") for line in text.split("\n")]
    kept = [line for line in kept if line and line[0] not in "%#"]
    cut = [f"… {len(kept) - MOST_LINES:,} more lines"] if len(kept) > MOST_LINES else []
    return tuple(printable(line.expandtabs(8), LONGEST_LINE) for line in kept[:MOST_LINES] + cut)
