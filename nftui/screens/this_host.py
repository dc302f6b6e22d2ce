"""What the dashboard knows of the host that it runs on, and may do there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nftui.engine.one_sided import Sides
from nftui.engine.owners import Owners


@dataclass(frozen=True, slots=True)
class ThisHost:
    """Parts that are there where the dashboard is in use, and not where it is only looked at.

    Attributes:
        owners: Knows the processes of this host; None for nobody.
        sides: Looks whether only one direction of the traffic is seen; None for never.
        take_up: Has the collector that is ours read the configuration again; takes its time. None where none is ours.
        first: Whether this may be a first start, at which it is asked whose packets become flows.
    """

    owners: Owners | None = None
    sides: Sides | None = None
    take_up: Callable[[], None] | None = None
    first: bool = False
