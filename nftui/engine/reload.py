"""Reading the configuration again while a collector runs: what changed, what of it can follow, and what waits for the next start.

Settings follow unless they stand in `AT_START`; so a key that is new needs nothing here when the rules of decoding, or the command
line of the keeper, are made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from nftui.config import Config
from nftui.engine.listening import parsed

AT_START = ("collector.enabled", "collector.listen", "collector.receive_buffer", "collector.processes", "store.path", "elements")
"""Keys that hold from the collector's start to its end."""
OF_DASHBOARDS = ("display", "names", "network")
"""Sections that a collector doesn't read."""


class Reload:
    """The configuration that a collector follows."""

    def __init__(self, config: Config, read: Callable[[], Config]) -> None:
        """Begin with a configuration that holds.

        Args:
            config: The one that the collector was started with.
            read: Reads it again, and puts in what the command line said. It raises `ConfigError`.
        """
        self.config, self._read = config, read

    def take(self) -> tuple[Config, list[str]]:
        """Read the configuration again.

        Returns:
            What holds from now on, with keys of `AT_START` as they were; and a line for each thing worth telling.
        Raises:
            ConfigError: There is a mistake in it: what held before still holds.
        """
        read = self._read()
        parsed(read.collector.listen)
        following = list(_different(self.config, read))
        waiting = [key for key in following if key in AT_START]
        following = [key for key in following if key not in AT_START]
        for key in waiting:
            read = _with(read, key, _value(self.config, key))
        self.config = read
        lines = [f"{key} was changed, and waits for a restart of the collector" for key in waiting]
        if following or not waiting:
            lines.append(f"configuration read again: {_listed(following)}")
        return read, lines


def _different(before: Config, after: Config) -> Iterator[str]:
    """Yield the keys, `section.key` or a section of the user's own keys, that differ."""
    for section in msgspec.structs.fields(Config):
        old, new = getattr(before, section.name), getattr(after, section.name)
        if old == new or section.name in OF_DASHBOARDS:
            continue
        if isinstance(old, msgspec.Struct):
            names = [field.name for field in msgspec.structs.fields(type(old))]
            yield from (f"{section.name}.{name}" for name in names if getattr(old, name) != getattr(new, name))
        else:
            yield section.name


def _value(config: Config, key: str) -> object:
    section, _, name = key.partition(".")
    value: object = getattr(config, section)
    return getattr(value, name) if name else value


def _with(config: Config, key: str, value: object) -> Config:
    section, _, name = key.partition(".")
    if name:
        value = msgspec.structs.replace(getattr(config, section), **{name: value})
    return msgspec.structs.replace(config, **{section: value})


def _listed(keys: list[str]) -> str:
    return f"{', '.join(keys)} changed" if keys else "nothing changed"
