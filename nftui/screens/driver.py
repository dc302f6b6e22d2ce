"""The terminal as the application has it: Textual's driver, which also knows how fast the line is."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread
from time import monotonic, sleep
from typing import Any, Protocol, cast

from textual import events
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from nftui.screens.link import ASK, Link, Metered
from nftui.screens.shown import Shown

LAST_ANSWER_S = 0.5
"""Seconds that leaving waits for the terminal's last answer."""
SHOW = f"\x1b[2;1H\N{LATIN SMALL LETTER E WITH ACUTE}{ASK}"
"""A letter of two octets at the begin of the second line, and the question where the cursor is then: the frame goes over it."""
TAKEN = (1, 1)
"""Where it is if the two are one letter."""
SHOWN_S = 2.0
"""For so long leaving minds that this answer may still come."""
GIVE_BACK_S = 1.0
"""For so long a terminal that takes nothing is waited for."""


class Linked(Protocol):
    """What the driver needs of the application."""

    link: Link
    shown: Shown

    def go_on(self) -> None:
        """Paint what was held back."""

    def asks_encoding(self) -> bool:
        """Return whether the terminal is to show that it takes UTF-8."""

    def takes_utf8(self) -> None:
        """Hear that it does."""


class MeteredDriver(LinuxDriver):
    """Tells the link of the application what goes to the terminal, and what the terminal answers."""

    def __init__(self, app: Linked, **more: Any) -> None:
        super().__init__(cast(Any, app), **more)
        self._link, self._shown, self._go_on, self._linked = app.link, app.shown, app.go_on, app
        self._held = False  # whether something was done to the terminal that is not undone yet
        self._encoding: float | None = None  # when the terminal was asked to show its encoding, until it did
        self._file = cast(Any, Metered(cast(Any, self._file), app.link))

    def write(self, data: str) -> None:
        """Write to the terminal."""
        self._link.passed(len(data))
        super().write(data)

    def process_message(self, message: Message) -> None:
        """Take the terminal's answers; hand everything else on."""
        if isinstance(message, events.CursorPosition) and self._encoding is not None:
            self._encoding = None
            if (message.x, message.y) == TAKEN:
                self._app.call_later(self._linked.takes_utf8)
        elif isinstance(message, events.CursorPosition):
            self._link.heard()
            self._app.call_later(self._go_on)
        else:
            super().process_message(message)

    def start_application_mode(self) -> None:
        """Take the screen, at first and after each suspension: what it shows is not known."""
        self._shown.forget()
        self._held = True
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._linked.asks_encoding():
            self._encoding = monotonic()
            self.write(SHOW)

    def stop_application_mode(self) -> None:
        """Leave the screen; an answer that is on its way would be typed into the shell otherwise."""
        end = monotonic() + LAST_ANSWER_S
        while (self._link.waits or self._shows()) and monotonic() < end:
            sleep(0.005)
        super().stop_application_mode()
        self._held = False

    def give_back(self) -> None:
        """Leave the screen where the application has not: a signal amid its start ends it before it knows that there is one.

        The terminal would stay as it is, and the thread that reads from it would keep the process for ever.
        """
        if not self._held or self._writer_thread is None:
            return
        self.exit_event.set()
        if self._key_thread is not None:
            self._key_thread.join(GIVE_BACK_S)
        leaving = Thread(target=self._leave, name="nftui-leaving", daemon=True)
        leaving.start()
        leaving.join(GIVE_BACK_S)

    def _leave(self) -> None:
        with suppress(Exception):
            if self._writer_thread is not None and not self._writer_thread.is_alive():
                self._writer_thread = WriterThread(cast(Any, self._file))
                self._writer_thread.start()
            self._disable_mouse_support()
            self.stop_application_mode()
            self.close()

    def _shows(self) -> bool:
        return self._encoding is not None and monotonic() - self._encoding < SHOWN_S


class Paced:
    """A screen that paints when the terminal has taken what it was sent before: what changes meanwhile is painted once."""

    app: Any

    def _compositor_refresh(self) -> None:
        if self.app.may_paint():
            super()._compositor_refresh()  # type: ignore[misc]
