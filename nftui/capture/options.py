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


def learn(domain: Domain, layout: Layout, records: npt.NDArray[np.void]) -> None:
    """Keep what options records say.

    Args:
        domain: Whose they are.
        layout: Of the records.
        records: Shape (records,), in the order of arrival; at least one.
    """
    if layout.system_init:
        started = int(records[layout.system_init][-1])
        if 0 < started < ABSURD:
            domain.system_init = started
