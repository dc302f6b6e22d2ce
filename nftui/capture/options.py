"""Options: what options data records say of the exporter itself.

Read today: systemInitTimeMilliseconds, on which an IPFIX exporter's flowStartSysUpTime and flowEndSysUpTime stand. Sampling,
interface names and VRF names come the same way: a record's elements, looked up by the scope fields that precede them.

Source: RFC 3954, section 6.1; RFC 7011, section 3.4.2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nftui.capture.exporters import Domain
from nftui.capture.layouts import Layout
from nftui.capture.values import ABSURD


class Starts:
    """When one exporter started, as its options records of a block say: each holds for what comes from its datagram on.

    Exporters repeat the time, and some compute it anew each time, a millisecond off: what a flow is dated by must not depend on
    how datagrams happen to fall into blocks.
    """

    def __init__(self, before: int) -> None:
        """Begin with what was known before the block, milliseconds since 1970; 0 for not known."""
        self._before = before
        self._datagram: list[int] = []
        self._started: list[int] = []

    def learn(self, domain: Domain, layout: Layout, records: npt.NDArray[np.void], datagram: npt.NDArray[np.int64]) -> None:
        """Keep what options records say.

        Args:
            domain: Whose they are; it keeps the latest.
            layout: Of the records.
            records: Shape (records,), in the order of arrival; at least one.
            datagram: The datagram of each record, in the order of arrival.
        """
        if not layout.system_init:
            return
        for at, value in zip(datagram.tolist(), records[layout.system_init].tolist(), strict=True):
            if 0 < value < ABSURD:
                self._datagram.append(at)
                self._started.append(value)
        if self._started:
            domain.system_init = self._started[int(np.argsort(self._datagram, kind="stable")[-1])]

    def at(self, datagram: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the start that holds for each datagram, milliseconds; the first one told where nothing was known before."""
        if not self._started:
            return np.full(len(datagram), self._before, np.int64)
        order = np.argsort(self._datagram, kind="stable")
        told, started = np.array(self._datagram, np.int64)[order], np.array(self._started, np.int64)[order]
        place = np.searchsorted(told, datagram, side="right") - 1
        return np.where(place >= 0, started[place], self._before or started[0])
