"""The real nfacctd of pmacct for the length of a block, and what it makes of flows."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nftui.demo.queue import ReceiveQueue
from tests import peers
from tests.running import free_port, wait_for

KEYS = "src_host, dst_host, src_port, dst_port, proto, tos, tcpflags, in_iface, sampling_rate, timestamp_start, timestamp_end"
CONFIGURATION = """daemonize: false
nfacctd_ip: 127.0.0.1
nfacctd_port: {port}
nfacctd_time_new: true
nfacctd_pipe_size: 4000000
nfacctd_ext_sampling_rate: 1
plugins: print[flows]
aggregate[flows]: {keys}
print_output[flows]: json
print_output_file[flows]: {out}
print_output_file_append[flows]: true
print_refresh_time[flows]: 1
print_cache_entries[flows]: 4001
plugin_pipe_size[flows]: 4096000
"""


class Nfacctd:
    """What a running nfacctd wrote so far.

    Attributes:
        port: Of the loopback, on which it listens.
    """

    def __init__(self, port: int, out: Path, log: Path) -> None:
        """Look at these files."""
        self.port, self._out, self._log = port, out, log

    def flows(self) -> list[dict[str, Any]]:
        """Return its flows; those alike in all keys are one."""
        try:
            lines = self._out.read_text("ascii").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def complaints(self) -> list[str]:
        """Return what it warned of."""
        return [line for line in self._log.read_text("utf-8").splitlines() if line.startswith(("WARN", "ERROR"))]


@contextmanager
def nfacctd(folder: Path) -> Iterator[Nfacctd]:
    """A running nfacctd, with its files in a folder that is made."""
    folder.mkdir(parents=True)
    port, file, out, log = free_port(), folder / "nfacctd.conf", folder / "flows.json", folder / "log"
    file.write_text(CONFIGURATION.format(port=port, keys=KEYS, out=out), "ascii")
    with (
        log.open("wb") as logged,
        subprocess.Popen(
            [peers.require("nfacctd"), "-f", str(file)], stdout=logged, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        queue = ReceiveQueue(port)
        try:
            assert queue.wait_for_receiver(10), log.read_text("utf-8")
            wait_for(lambda: "JSON: setting object handlers" in log.read_text("utf-8"))
            yield Nfacctd(port, out, log)
        finally:
            queue.close()
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
