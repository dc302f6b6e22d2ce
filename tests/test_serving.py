"""Who may see the pages of `nftui serve`, what they load, and how the command fails."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from aiohttp.test_utils import TestServer
from yarl import URL

from nftui import serving
from nftui.cli import main
from nftui.engine.writer import StoreWriter
from nftui.serving import HEADERS, PAGE, STATIC, Server
from tests.running import ROOT
from tests.screens.conftest import flows

PATHS = ("/", "/ws", "/page.css", "/page.js", "/static/js/textual.js", "/static/css/xterm.css", "/download/x", "/nothing")


DEEP = "[" * 5000


def at(listening: TestServer, path: str) -> URL:
    """Return an address as it is written, dots and all."""
    return URL(f"http://{listening.host}:{listening.port}{path}", encoded=True)


@pytest.fixture
async def served() -> AsyncIterator[tuple[Server, TestServer, ClientSession]]:
    """A server, where it listens, and a browser that has seen nothing yet."""
    server = Server([sys.executable, "-c", "pass"], "127.0.0.1", 1)
    async with TestServer(server.application(), host="127.0.0.1") as listening, ClientSession() as client:
        yield server, listening, client


async def test_every_path_wants_the_token(served: tuple[Server, TestServer, ClientSession]) -> None:
    server, listening, client = served
    for path in PATHS:
        for query in ("", "?token=", "?token=x", f"?token={server.token[:-1]}", f"?token={server.token}x", "?token=%ff"):
            async with client.get(at(listening, path + query)) as answer:
                assert answer.status == 403, (path, query)
                assert {name: answer.headers[name] for name in HEADERS} == HEADERS
                assert server.token not in await answer.text()


async def test_the_token_is_worth_a_cookie(served: tuple[Server, TestServer, ClientSession]) -> None:
    server, listening, client = served
    async with client.get(at(listening, f"/?token={server.token}"), allow_redirects=False) as answer:
        cookie = answer.headers["Set-Cookie"]
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and server.token not in cookie
    jar = {"Cookie": cookie.partition(";")[0]}
    for path, status in (
        ("/", 200), ("/page.css", 200), ("/page.js", 200), ("/static/js/textual.js", 200), ("/nothing", 404), ("/download/x", 404),
        ("/static/../server.py", 404), ("/static/%2e%2e/server.py", 404), ("/static/", 403), ("/page.py", 404),
    ):  # fmt: skip
        async with client.get(at(listening, path), headers=jar) as answer:
            assert answer.status == status, path
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS, path
    async with client.get(at(listening, "/"), headers={"Cookie": cookie.partition(";")[0] + "x"}) as answer:
        assert answer.status == 403


@pytest.mark.parametrize(
    ("bind", "host", "welcome"),
    [
        ("127.0.0.1", "127.0.0.1:80", True), ("127.0.0.1", "localhost:1", True), ("127.0.0.1", "[::1]:1", True),
        ("127.0.0.1", "evil.example", False), ("127.0.0.1", "127.0.0.1.evil.example", False), ("127.0.0.1", "", False),
        ("127.0.0.1", "192.0.2.1", False), ("192.0.2.7", "192.0.2.7:9980", True), ("192.0.2.7", "evil.example:9980", False),
        ("0.0.0.0", "192.0.2.9", True), ("0.0.0.0", "rebound.example", False), ("box.lan", "box.lan:9980", True),
        ("::", "[2001:db8::1]:1", True),
    ],
)  # fmt: skip
def test_names_that_somebody_made_point_here(bind: str, host: str, welcome: bool) -> None:
    assert Server([], bind, 1)._is_here(host) is welcome


async def test_other_pages_and_other_names(served: tuple[Server, TestServer, ClientSession]) -> None:
    server, listening, client = served
    jar = {"Cookie": f"nftui-1={server._pass}"}
    here = f"http://{listening.host}:{listening.port}"
    for headers, status in (
        ({}, 200), ({"Origin": here}, 200), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403), ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
    ):  # fmt: skip
        async with client.get(f"{here}/", headers=jar | headers) as answer:
            assert answer.status == status, headers
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "https://127.0.0.1"}):
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect(f"{here}/ws", headers=jar | headers)
        assert refused.value.status == 403
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.ws_connect(f"{here}/ws", headers={"Origin": here})
    assert refused.value.status == 403, "without the cookie"


async def test_nothing_is_loaded_from_elsewhere(served: tuple[Server, TestServer, ClientSession]) -> None:
    server, listening, client = served
    jar = {"Cookie": f"nftui-1={server._pass}"}
    async with client.get(at(listening, "/"), headers=jar) as answer:
        page = await answer.text()
    named = re.findall(r"(?:https?:|wss?:)?//[^\s\"']+", page)
    assert [urlsplit(one).hostname for one in named] == ["127.0.0.1"], "the socket alone has a whole address"
    loaded = re.findall(r"(?:src|href)=\"([^\"]*)\"", page)
    for path in [one for one in loaded if not one.startswith("data:")]:
        async with client.get(at(listening, path), headers=jar) as answer:
            assert answer.status == 200, path
            text = re.sub(r"/\*.*?\*/", "", await answer.text(), flags=re.DOTALL)
            assert path.endswith(".js") or "http" not in text
            if path.endswith(".css"):
                for font in re.findall(r"url\(\"?([^\")]+)", text):
                    assert (STATIC / font.removeprefix("/static/")).is_file()
    assert "<script>" not in page and " on" not in re.sub(r">[^<]*<", "><", page).replace("nftui", ""), "no script within the page"
    assert all("http" not in file.read_text("utf-8") for file in PAGE.iterdir())
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"] and "*" not in HEADERS["Content-Security-Policy"]


async def test_sizes_and_nonsense_from_the_page(tmp_path: Path) -> None:
    server = Server([sys.executable, "-m", "nftui", "--no-collect", "--data", str(tmp_path)], "127.0.0.1", 1)
    async with TestServer(server.application(), host="127.0.0.1") as listening, ClientSession() as client:
        here = f"http://{listening.host}:{listening.port}"
        headers = {"Cookie": f"nftui-1={server._pass}", "Origin": here}
        async with client.ws_connect(f"{here}/ws?width=300&height=-3", headers=headers) as opened:
            for nonsense in ("", "7", "[]", "{}", '["resize"]', '["resize", {"width": "x"}]', '["stdin"]', '[["a"], 1]', DEEP):
                await opened.send_str(nonsense)
            await opened.send_json(["ping", "1"])
            answers = []
            async for message in opened:
                answers.append(message.data)
                if message.data == '["pong", "1"]':
                    break
            assert '["pong", "1"]' in answers
            for size, words in ((300, b"1 Live"), (70, b"80x24 shows more"), (100, b"[1Live]")):
                if size < 300:
                    await opened.send_json(["resize", {"width": size, "height": 24}])
                shown = b""
                async for message in opened:
                    shown += message.data if isinstance(message.data, bytes) else b""
                    if words in shown:
                        break
            (session,) = server._sessions
            await opened.send_json(["stdin", "q"])
            async for _ in opened:
                pass
        assert session._process is not None and await asyncio.wait_for(session._process.wait(), 10) == 0


async def test_an_export_goes_to_the_browser(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "store")
    writer.append([flows()])
    writer.write_tail()
    (tmp_path / "nftui.toml").write_text('[display]\nrange = "all"\n')
    words = [
        sys.executable,
        "-m",
        "nftui",
        "--no-collect",
        "--data",
        str(tmp_path / "store"),
        "--config",
        str(tmp_path / "nftui.toml"),
    ]
    server = Server(words, "127.0.0.1", 1)
    async with TestServer(server.application(), host="127.0.0.1") as listening, ClientSession() as client:
        here = f"http://{listening.host}:{listening.port}"
        headers = {"Cookie": f"nftui-1={server._pass}", "Origin": here}
        async with client.ws_connect(f"{here}/ws", headers=headers) as opened:
            shown, pressed = b"", 0
            async for message in opened:
                if isinstance(message.data, str):
                    break
                shown += message.data
                for place, (words_shown, keys) in enumerate(((b"93.184.216.34", "e"), (b"for spreadsheets", "\r"))):
                    if place == pressed and words_shown in shown:
                        await opened.send_json(["stdin", keys])
                        pressed += 1
            kind, key = json.loads(message.data)
            assert kind == "deliver_file_start"
            async with client.get(f"{here}/download/{key}") as refused:
                assert refused.status == 403
            async with client.get(f"{here}/download/{key}", headers=headers) as answer:
                assert (answer.status, answer.content_type) == (200, "application/octet-stream")
                assert re.fullmatch(
                    r"attachment; filename\*=UTF-8''nftui-live-top-[0-9-]+\.csv", answer.headers["Content-Disposition"]
                )
                assert {name: answer.headers[name] for name in HEADERS} == HEADERS
                assert (await answer.text()).startswith("destination_address,octets,packets,flows")
    assert not list(ROOT.glob("nftui-live-top-*")), "nothing is written where it is served"


def test_without_the_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "nftui.serving", raising=False)
    monkeypatch.delattr("nftui.serving", raising=False)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    assert main(["serve"]) == 2
    assert capsys.readouterr().err == "nftui: `nftui serve` wants a web server: pip install 'nftui[web]'\n"


def test_a_port_that_is_taken_and_one_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with serving._bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "nftui", "serve", "--no-collect", "--data", str(tmp_path), "--port", str(port)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"nftui: 127.0.0.1:{port}: Address already in use; --port takes another, 0 any that is free\n"
    assert main(["serve", "--port", "70000"]) == 2
    assert "a port is a number" in capsys.readouterr().err


@pytest.mark.parametrize(("bind", "host"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_the_link(bind: str, host: str) -> None:
    server = Server([], bind, 9980)
    assert server.link == f"http://{host}:9980/?token={server.token}" and len(server.token) > 40
    assert Server([], bind, 9980).token != server.token
