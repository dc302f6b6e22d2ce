"""`nftui serve` in a real browser: the link opens the dashboard, keys reach it, and nothing is asked of anybody else."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nftui.engine.writer import StoreWriter
from tests.real.browser import page
from tests.real.processes import Mark
from tests.running import ROOT
from tests.screens.conftest import flows

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.timeout(240)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    writer = StoreWriter(tmp_path / "store")
    writer.append([flows()])
    writer.write_tail()
    (tmp_path / "nftui.toml").write_text('[display]\nrange = "all"\n')
    return tmp_path


async def test_the_dashboard_in_a_browser(data: Path) -> None:
    mark = Mark()
    served = await asyncio.create_subprocess_exec(
        "env", mark.word, sys.executable, "-m", "nftui", "serve", "--no-collect", "--port", "0",
        "--data", data / "store", "--config", data / "nftui.toml", stdout=PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        assert served.stdout is not None
        link = (await asyncio.wait_for(served.stdout.readline(), 60)).decode().strip()
        async with page() as browser:
            await browser.go(link)
            await browser.shows("[1Live]")
            await browser.shows("93.184.216.34")
            assert await browser.value("location.href") == link.partition("?")[0], "the token doesn't stay in the address bar"
            await browser.press("2")
            await browser.shows("[2Flows]")
            assert browser.complaints == []
            await browser.press("q")
            for _ in range(200):
                if await browser.value("getComputedStyle(document.getElementById('ended')).display") == "flex":
                    break
                await asyncio.sleep(0.1)
            assert "The session has ended" in await browser.value("document.body.innerText")
            assert {urlsplit(one).netloc for one in browser.requested if not one.startswith(("data:", "about:"))} == {
                urlsplit(link).netloc
            }
        served.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(served.wait(), 20) == 0
        mark.gone()
    finally:
        if served.returncode is None:
            served.kill()
            await served.wait()
