"""The terminal as the application has it: Textual's driver, which also knows how fast the line is."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any, Protocol, cast

from textual import events
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from nftui.screens.link import Link, Metered
from nftui.screens.shown import Shown

LAST_ANSWER_S = 0.5
"""Seconds that leaving waits for the terminal's last answer."""


class Linked(Protocol):
    """What the driver needs of the application."""

    link: Link
    shown: Shown

    def go_on(self) -> None:
        """Paint what was held back."""


class MeteredDriver(LinuxDriver):
    """Tells the link of the application what goes to the terminal, and what the terminal answers."""

    def __init__(self, app: Linked, **more: Any) -> None:
        super().__init__(cast(Any, app), **more)
        self._link, self._shown, self._go_on = app.link, app.shown, app.go_on
        self._file = cast(Any, Metered(cast(Any, self._file), app.link))

    def write(self, data: str) -> None:
        """Write to the terminal."""
        self._link.passed(len(data))
        super().write(data)

    def process_message(self, message: Message) -> None:
        """Take the terminal's answers; hand everything else on."""
        if isinstance(message, events.CursorPosition):
            self._link.heard()
            self._app.call_later(self._go_on)
        else:
            super().process_message(message)

    def start_application_mode(self) -> None:
        """Take the screen, at first and after each suspension: what it shows is not known."""
        self._shown.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        """Leave the screen; an answer that is on its way would be typed into the shell otherwise."""
        end = monotonic() + LAST_ANSWER_S
        while self._link.waits and monotonic() < end:
            sleep(0.005)
        super().stop_application_mode()


class Paced:
    """A screen that paints when the terminal has taken what it was sent before: what changes meanwhile is painted once."""

    app: Any

    def _compositor_refresh(self) -> None:
        if self.app.may_paint():
            super()._compositor_refresh()  # type: ignore[misc]
