"""A real browser without a window: Chromium, told what to do by its DevTools protocol."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from tests import peers

HOOK = """
Object.defineProperty(Object.prototype, "fitAddon", {configurable: true, set(addon) {
  Object.defineProperty(this, "fitAddon", {value: addon, writable: true});
  window.terminalOfTest = this;
}});
"""
"""The page keeps its terminal to itself: it is caught when it gets its first addon."""
TEXT = """(() => {
  const held = window.terminalOfTest;
  if (!held || !held.terminal.buffer) return "";
  const buffer = held.terminal.buffer.active;
  return Array.from({length: held.terminal.rows}, (_, n) => buffer.getLine(n)?.translateToString(true) ?? "").join("\\n");
})()"""


class Page:
    """A page of the browser.

    Attributes:
        requested: Addresses of all that was asked for.
        complaints: What the page wrote to its console as an error, and what its policy refused.
    """

    def __init__(self, line: ClientWebSocketResponse) -> None:
        self._line, self._numbers = line, itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._line:
            told = message.json()
            if "id" in told:
                self._waiting.pop(told["id"]).set_result(told)
            elif told["method"] == "Network.requestWillBeSent":
                self.requested.append(told["params"]["request"]["url"])
            elif told["method"] == "Network.webSocketCreated":
                self.requested.append(told["params"]["url"])
            elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.complaints.append(told["params"]["entry"]["text"])
            elif told["method"] == "Runtime.exceptionThrown":
                self.complaints.append(str(told["params"]["exceptionDetails"]))

    async def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol; return its result."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._line.send_json({"id": number, "method": method, "params": parameters})
        told = await asyncio.wait_for(self._waiting[number], 30)
        assert "error" not in told, told
        return told["result"]

    async def value(self, expression: str) -> Any:
        """Return the value of an expression."""
        return (await self.call("Runtime.evaluate", expression=expression, returnByValue=True))["result"].get("value")

    async def go(self, address: str) -> None:
        """Open an address."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=HOOK)
        await self.call("Page.navigate", url=address)

    async def press(self, key: str) -> None:
        """Press a key that is one character."""
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=key, key=key)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def shows(self, words: str, seconds: float = 60) -> str:
        """Wait until the terminal shows some words; return all it shows."""
        shown = ""
        for _ in range(int(seconds * 10)):
            shown = await self.value(TEXT) or ""
            if words in shown:
                return shown
            await asyncio.sleep(0.1)
        raise AssertionError(f"{words!r} is not on the screen:\n{shown}\n{self.complaints}\n{self.requested}")


@asynccontextmanager
async def page() -> AsyncIterator[Page]:
    """A browser with one empty page."""
    folder = tempfile.mkdtemp(prefix="nftui-chromium-")
    process = await asyncio.create_subprocess_exec(
        peers.require("chromium"), "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run",
        "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--remote-debugging-port=0", "--window-size=1000,700",
        "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
        f"--user-data-dir={folder}", "about:blank", stdout=DEVNULL, stderr=PIPE,
    )  # fmt: skip
    try:
        address = await asyncio.wait_for(_listening(process), 60)
        async with ClientSession() as client:
            async with client.get(address.replace("ws://", "http://").partition("/devtools")[0] + "/json") as answer:
                target = next(one for one in await answer.json() if one["type"] == "page")
            async with client.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as line:
                yield Page(line)
    finally:
        process.terminate()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


async def _listening(process: Process) -> str:
    assert process.stderr is not None
    async for line in process.stderr:
        if b"DevTools listening on " in line:
            asyncio.create_task(process.stderr.read())  # noqa: RUF006  it ends with the process
            return line.decode().split()[-1]
    raise AssertionError("the browser ended")
