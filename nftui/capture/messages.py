"""Messages: what the header of an export datagram says, the same for all protocols."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nftui.capture.sets import Integers


@dataclass(frozen=True)
class Headers:
    """The headers of many datagrams of one protocol.

    Attributes:
        domain: Shape (datagrams,), the observation domain.
        sequence: Shape (datagrams,), as sent, 32 bits.
        export_time: Shape (datagrams,), microseconds since 1970.
        uptime: Shape (datagrams,), milliseconds since the exporter started; `values.NO_UPTIME` when the header has none.
        end: Shape (datagrams,), behind the last octet of the message.
        malformed: Reasons, each with a mask of the datagrams that it concerns.
    """

    domain: Integers
    sequence: Integers
    export_time: Integers
    uptime: Integers
    end: Integers
    malformed: list[tuple[str, npt.NDArray[np.bool_]]]
