"""^C: whatever it strikes, a command ends at once, with one line and the status that shells expect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nftui.engine.writer import StoreWriter
from nftui.interrupts import Interrupts
from tests.capture import corpus
from tests.engine.conftest import flows_frame

ROOT = Path(__file__).parents[1]
BASE = 1_700_002_800_000_000
STRUCK = """
import os, signal, sys
import polars as pl
from nftui.cli import main

begin = {of}.{method}

def struck(*words, **named):
    os.kill(os.getpid(), signal.SIGINT)
    return begin(*words, **named)

setattr({of}, "{method}", {wrapped})
sys.exit(main())
"""
"""A command in which an interrupt comes within something that Polars calls back."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("interrupted") / "store"
    writer = StoreWriter(root)
    writer.append([flows_frame([{"flow_start": BASE + n, "octets": n, "source_address": 1} for n in range(1000)])])
    writer.write_tail()
    return root


def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "RUST_BACKTRACE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_within_what_polars_calls_nothing_is_said_but_that_it_was(store: Path) -> None:
    out = store.parent / "out.ndjson"
    code = STRUCK.format(of="pl.ScanCastOptions", method="_default", wrapped="staticmethod(struck)")
    done = run(code, "flows", "--data", str(store), "-o", "ndjson", "--out", str(out))
    assert (done.returncode, done.stderr) == (130, f"nftui: interrupted; {out} was not written\n")
    assert not out.exists()


def test_an_import_says_how_it_goes_on(tmp_path: Path) -> None:
    capture = corpus.capture_of(corpus.golden_files()[0])
    code = STRUCK.format(of="pl.Datetime", method="__init__", wrapped="struck")
    done = run(code, "import", "--data", str(tmp_path / "store"), str(capture))
    assert (done.returncode, done.stderr) == (130, "nftui: interrupted; the same command goes on where it stopped\n")
    again = run("from nftui.cli import main; raise SystemExit(main())", "import", "--data", str(tmp_path / "store"), str(capture))
    assert again.returncode == 0, again.stderr


def test_without_a_stderr_the_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    code = f"""
import os, signal
from nftui.interrupts import Interrupts
file = open({str(path)!r}, "wb", buffering=0)
assert file.fileno() == 2
try:
    with Interrupts():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            file.write(b"whole")
except KeyboardInterrupt:
    os._exit(130)
"""
    words = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", code]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=60, check=False)
    assert (done.returncode, path.read_bytes()) == (130, b"whole")


def test_an_error_that_an_interrupt_led_to_is_the_interrupt() -> None:
    before, hook = sys.stderr, sys.unraisablehook
    try:
        with pytest.raises(KeyboardInterrupt) as caught, Interrupts() as interrupts:  # noqa: PT012  what follows the interrupt is tested
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(10)
            except KeyboardInterrupt:
                assert interrupts.struck
                raise TypeError("not a data type") from None
    finally:
        sys.unraisablehook = hook
    assert isinstance(caught.value.__cause__, TypeError)
    assert sys.stderr is before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_without_an_interrupt_stays_what_it_is() -> None:
    with pytest.raises(TypeError), Interrupts():
        raise TypeError("not a data type")


def test_where_interrupts_are_ignored_they_stay_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert not interrupts.struck
    finally:
        signal.signal(signal.SIGINT, before)
