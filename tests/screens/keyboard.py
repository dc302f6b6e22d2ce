"""Keys as a terminal sends them: one by one, or many at once."""

from __future__ import annotations

from textual import events
from textual.app import App
from textual.pilot import Pilot

NAMES = {" ": "space", "\r": "enter", "\t": "tab", "\x15": "ctrl+u", "\x7f": "backspace", "\x1b": "escape"}


def burst(app: App[None], characters: str) -> None:
    """Send keys as a slow line delivers them: all at once."""
    for character in characters:
        app.post_message(events.Key(NAMES.get(character, character), character))


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys by their names one by one; of what begins with `=` the characters behind it all at once."""
    for key in keys:
        if key[:1] == "=" and len(key) > 1:
            burst(pilot.app, key[1:])
            await pilot.pause()
        else:
            await pilot.press(key)
