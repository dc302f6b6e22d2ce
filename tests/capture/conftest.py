"""What several tests of capture need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.capture.stream_peer import Peer


@pytest.fixture
def peers() -> Iterator[Callable[..., Peer]]:
    """A function that makes a receiver of streams; all are closed at the end."""
    with ExitStack() as stack:
        yield lambda *words, **limits: Peer(stack, *words, **limits)
