"""Errands: what is done off the screen's thread, and comes back as a message. The one edge at which any error becomes words."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from textual.message import Message
from textual.message_pump import MessagePump

from nftui.errors import NftuiError


def send(name: str, to: MessagePump, do: Callable[[], Message], failed: Callable[[str], Message]) -> None:
    """Have something done on a thread of its own; returns at once.

    Args:
        name: Of the thread.
        to: Who gets the message.
        do: Returns the message, may take long.
        failed: Makes the message where that went wrong, of what went wrong in one line.
    """

    def run() -> None:
        try:
            message = do()
        except Exception as error:  # noqa: BLE001  the edge of a thread: whatever it was, the screen says so
            message = failed(words_of(error))
        post(to, message)

    # A daemon: leaving the program doesn't wait for it.
    threading.Thread(target=run, name=f"nftui-{name}", daemon=True).start()


def words_of(error: Exception) -> str:
    """Return what went wrong in one line; of an error that nobody foresaw its kind, too."""
    words = str(error) if isinstance(error, NftuiError) else f"{type(error).__name__}: {error}"
    return " ".join(words.split())


def post(to: MessagePump, message: Message) -> None:
    """Tell something from another thread."""
    with contextlib.suppress(RuntimeError):  # the program is being left, and with it the loop
        to.post_message(message)
