"""Sections: elements that hold the first octets of a sampled packet. What they say fills what the record does not say itself.

Source: RFC 5477, sections 8.5.2 to 8.5.4 (ipHeaderPacketSection, dataLinkFrameSection).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nftui.capture.batch import Columns
from nftui.capture.layouts import LENGTHS, SECTIONS, Layout
from nftui.capture.packets import dissect


def fill(columns: Columns, layout: Layout, records: npt.NDArray[np.void]) -> None:
    """Dissect the sections of records, where they have one.

    Args:
        columns: Of the records; they are completed.
        layout: Of the records.
        records: Shape (records,).
    """
    for key in SECTIONS.keys() & layout.places.keys():
        offset, size = layout.places[key]
        flat = np.frombuffer(records.tobytes(), np.uint8)
        start = np.arange(len(records), dtype=np.int64) * layout.size + offset
        end = start + size
        if said := layout.places.get((LENGTHS, offset)):
            end = start + np.minimum(records[f"at{said[0]}"].astype(np.int64), size)
        for name, (values, valid) in dissect(flat, start, end, SECTIONS[key]).columns().items():
            known = columns.get(name)
            if known is None:
                columns[name] = values, valid
                continue
            mine, stands = known if isinstance(known, tuple) else (None, None)
            if mine is not None and stands is not None:
                new = ~stands if valid is None else ~stands & valid
                shaped = new[:, None] if mine.ndim == 2 else new
                columns[name] = np.where(shaped, values, mine), stands | new
