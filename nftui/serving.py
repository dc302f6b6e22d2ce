"""The command `serve`: the dashboard in a browser, for whoever has the link.

A page with a terminal (of textual-serve), and a process of nftui for each one that is open. Who comes has to know a secret, and
has to ask from where it is served: a page of somebody else can neither read it nor open the socket, whatever name it made point
here. Nothing is loaded from elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import os
import secrets
import shlex
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from string import Template
from urllib.parse import quote, urlsplit

from aiohttp import WSMsgType, web
from textual_serve import app_service
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from nftui import dashboard
from nftui.config import Config
from nftui.engine.local_interfaces import own_address
from nftui.errors import ListenError
from nftui.printable import printable

PAGE = Path(__file__).with_name("page")
STATIC = Path(app_service.__file__).with_name("static")
MOST_SESSIONS = 16
"""Terminals that may be open at a time: each is a process of some 150 MB."""
LARGEST_MESSAGE = 1 << 20
STOP_S = 5.0
WIDTHS, HEIGHTS, SIZES = (20, 1000), (5, 500), (6, 60)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The terminal makes style elements of its own; everything else comes from here, and from files."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Session(AppService):
    """One terminal: a process of nftui that speaks with a browser."""

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        # Of textual-serve's own the words go through a shell.
        environment = self._build_environment(width=width, height=height)
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        self._process = process = await asyncio.create_subprocess_exec(
            *shlex.split(self.command), stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
        )
        assert process.stdin is not None
        self._stdin = process.stdin
        return process

    async def stop(self) -> None:
        """End the process: it is asked first, given time to end, and killed when it doesn't listen."""
        try:
            async with asyncio.timeout(STOP_S):
                await super().stop()
                if self._process is not None:
                    await self._process.wait()
        except TimeoutError:
            pass
        finally:
            if self._process is not None:
                if self._process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        self._process.kill()
                await self._process.wait()


class Server:
    """The pages, and who may see them.

    Attributes:
        token: What the link has; a cookie stands for it afterwards.
    """

    def __init__(self, words: list[str], address: str, port: int) -> None:
        """Prepare to serve.

        Args:
            words: The command of a session.
            address: What is listened on.
            port: The port, as it is bound.
        """
        self.token = secrets.token_urlsafe(32)
        self._words, self._address, self._port = words, address, port
        self._cookie, self._pass = f"nftui-{port}", secrets.token_urlsafe(32)
        self._downloads = DownloadManager()
        self._sessions: set[Session] = set()

    @property
    def link(self) -> str:
        """The address with the token."""
        anywhere = self._address in ("0.0.0.0", "::", "")  # noqa: S104  told, not bound
        host = own_address() if anywhere else self._address
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}/?token={self.token}"

    def application(self) -> web.Application:
        """Return the application: every path wants the token or the cookie."""
        made = web.Application(middlewares=[self._guard], client_max_size=1024)
        made.add_routes(
            [
                web.get("/", self._index),
                web.get("/ws", self._socket),
                web.get("/download/{key}", self._download),
                web.get("/{name:page\\.(?:css|js)}", self._file),
                web.static("/static", STATIC),
            ]
        )
        made.on_shutdown.append(self._close)
        return made

    # Who may come

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await self._guarded(request, handler)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=f"{error.status}: {error.reason}\n")
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_here(request.host):
            raise web.HTTPForbidden(reason="not served under this name")
        if "Origin" in request.headers and request.headers["Origin"] != f"http://{request.host}":
            raise web.HTTPForbidden(reason="asked by another page")
        given = request.query.get("token")
        if given is not None:
            if not _same(given, self.token):
                raise web.HTTPForbidden(reason="not the token")
            # The token doesn't stay in the address bar, the history, or a picture of the screen.
            redirect = web.Response(status=303, headers={"Location": "/"})
            redirect.set_cookie(self._cookie, self._pass, httponly=True, samesite="Lax", path="/")
            return redirect
        if not _same(request.cookies.get(self._cookie, ""), self._pass):
            raise web.HTTPForbidden(reason="open the link that nftui serve printed")
        return await handler(request)

    def _is_here(self, host: str) -> bool:
        """Return whether a Host header names this server by an address, which no other name server can make point elsewhere."""
        name = urlsplit(f"//{host}").hostname or ""
        if name in ("localhost", self._address):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        bound = ipaddress.ip_address(self._address) if _is_address(self._address) else None
        return address.is_loopback or bound is None or bound.is_unspecified or address == bound

    # What there is

    async def _index(self, request: web.Request) -> web.Response:
        socket_ = f"ws://{request.host}/ws"
        size = _within(request.query.get("size", ""), 16, SIZES)
        page = Template((PAGE / "index.html").read_text("utf-8")).substitute(socket=socket_, size=size)
        return web.Response(text=page, content_type="text/html")

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        return web.Response(text=(PAGE / name).read_text("utf-8"), content_type=kind)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        try:
            download = await self._downloads.get_download_metadata(key)
        except KeyError:
            raise web.HTTPNotFound from None
        name = quote(download.file_name, safe="")
        headers = {**HEADERS, "Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
        response = web.StreamResponse(headers=headers)
        response.content_type = "application/octet-stream"
        await response.prepare(request)
        async for chunk in self._downloads.download(key):
            await response.write(chunk)
        await response.write_eof()
        return response

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if "Origin" not in request.headers:
            raise web.HTTPForbidden(reason="asked by no page")
        if len(self._sessions) >= MOST_SESSIONS:
            raise web.HTTPServiceUnavailable(reason=f"{MOST_SESSIONS} sessions are open already")
        opened = web.WebSocketResponse(heartbeat=15, max_msg_size=LARGEST_MESSAGE)
        session = Session(
            shlex.join(self._words),
            write_bytes=opened.send_bytes,
            write_str=opened.send_str,
            close=_closing(opened),
            download_manager=self._downloads,
        )
        self._sessions.add(session)
        try:
            await opened.prepare(request)
            await session.start(
                _within(request.query.get("width", ""), 80, WIDTHS), _within(request.query.get("height", ""), 24, HEIGHTS)
            )
            async for message in opened:
                if message.type == WSMsgType.TEXT:
                    await _told(session, opened, message.data)
        finally:
            self._sessions.discard(session)
            await asyncio.shield(session.stop())
        return opened

    async def _close(self, _: web.Application) -> None:
        await asyncio.gather(*(session.stop() for session in list(self._sessions)), return_exceptions=True)


def run(
    data: Path, config: Config, *, collect: bool, bind: str, port: int, listen: list[str] | None, config_path: Path | None
) -> int:
    """Serve the dashboard until told to end; with no collector at work on the store, and `collect`, with one of our own.

    Raises:
        ListenError: The address can't be bound.
    """
    dashboard.end_with_terminal()
    with ExitStack() as stack:
        bound = stack.enter_context(_bound(bind, port))
        child = dashboard.collector_for(data, config, collect=collect, listen=listen, config_path=config_path)
        if child is not None:
            stack.callback(child.stop)
        words = [sys.executable, "-m", "nftui", "--no-collect", "--data", str(data), "--with-parent", str(os.getpid())]
        if config_path is not None:
            words += ["--config", str(config_path)]
        server = Server(words, bind, bound.getsockname()[1])
        if not (_is_address(bind) and ipaddress.ip_address(bind).is_loopback) and bind != "localhost":
            print(f"nftui: {bind} is reachable from elsewhere, and what is sent is not encrypted: better ssh -L", file=sys.stderr)
        print(server.link, flush=True)
        asyncio.run(_serve(server, bound, child))
    return 0


async def _serve(server: Server, bound: socket.socket, collector: dashboard.Child | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    try:
        await web.SockSite(runner, bound).start()
        told = ""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1)
            if collector is not None and (problem := collector.problem()) != told:
                told = problem
                print(f"nftui: the collector ended: {printable(problem, 2000)}", file=sys.stderr)
    finally:
        await runner.cleanup()


def _bound(address: str, port: int) -> socket.socket:
    try:
        family, kind, number, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, kind, number)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
        bound.listen()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ListenError(address, port, f"{address}:{port}: {reason}; --port takes another, 0 any that is free") from error
    return bound


async def _told(session: Session, opened: web.WebSocketResponse, text: str) -> None:
    """Do what the page says; what it doesn't say so is passed over."""
    try:
        message = json.loads(text)
        kind, told = message[0], message[1] if len(message) > 1 else None
        if kind == "stdin" and isinstance(told, str):
            await session.send_bytes(told.encode("utf-8", "replace"))
        elif kind == "resize":
            size = dict(told or {})
            await session.set_terminal_size(_within(str(size["width"]), 80, WIDTHS), _within(str(size["height"]), 24, HEIGHTS))
        elif kind == "ping":
            await opened.send_json(["pong", str(told)[:32]])
        elif kind == "blur":
            await session.blur()
        elif kind == "focus":
            await session.focus()
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return


def _closing(opened: web.WebSocketResponse) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        await opened.close()

    return close


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _within(text: str, otherwise: int, bounds: tuple[int, int]) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else otherwise
    return min(max(number, bounds[0]), bounds[1])
