"""Sets: where the sets of many messages lie. NetFlow v9 and IPFIX share the form: id, length, content.

The walk goes by the length of each set, whatever the header counts, and takes the n-th set of all messages in one step.

Source: RFC 3954, section 5; RFC 7011, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SET_HEADER = 4
FIRST_DATA_SET = 256
MAX_SETS = 4096
"""Sets of one message; no message has room for more of 12 octets each."""
Octets = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sets:
    """Sets of many messages, those of one message in their order, messages in the order of the block.

    Attributes:
        row: Shape (sets,), the row of the block.
        start: Shape (sets,), the first octet of the content in the row.
        end: Shape (sets,), behind its last octet; never beyond the message.
        id: Shape (sets,), the set id.
        malformed: Reasons, each with the rows that it concerns.
    """

    row: Integers
    start: Integers
    end: Integers
    id: Integers
    malformed: list[tuple[str, Integers]]


def walk(payload: Octets, rows: Integers, start: int, end: Integers) -> Sets:
    """Find the sets of messages.

    Args:
        payload: The block, shape (datagrams, width), C-contiguous.
        rows: The rows that hold messages, ascending.
        start: The first octet after the header.
        end: Shape (rows,), behind the last octet of each message.
    """
    flat, width = payload.reshape(-1), payload.shape[1]
    at, row = np.full(len(rows), start, np.int64), rows
    padding: list[tuple[Integers, Integers, Integers]] = []
    found: list[tuple[Integers, Integers, Integers, Integers]] = []
    malformed: list[tuple[str, Integers]] = []
    for _ in range(MAX_SETS):
        here = at + SET_HEADER <= end
        if not here.all():
            left = ~here & (at < end)
            padding.append((row[left], at[left], end[left]))
            at, row, end = at[here], row[here], end[here]
        if not len(row):
            break
        place = row * width + at
        identity = (flat[place].astype(np.int64) << 8) | flat[place + 1]
        length = (flat[place + 2].astype(np.int64) << 8) | flat[place + 3]
        after = at + length
        fine = (length >= SET_HEADER) & (after <= end)
        if not fine.all():
            short = length < SET_HEADER
            left = short & ((length | identity) == 0)
            padding.append((row[left], at[left], end[left]))
            _note(malformed, "set shorter than its header", row[short & ~left])
            cut = after > end
            _note(malformed, "set cut short", row[cut])
            keep = ~short
            found.append((row[keep], at[keep] + SET_HEADER, np.minimum(after, end)[keep], identity[keep]))
            at, row, end = after[fine], row[fine], end[fine]
            continue
        found.append((row, at + SET_HEADER, after, identity))
        at = after
    else:
        _note(malformed, f"more than {MAX_SETS} sets", row[at + SET_HEADER <= end])
    _note(malformed, "octets after the sets", _not_zero(payload, padding))
    if not found:
        nothing = np.empty(0, np.int64)
        return Sets(nothing, nothing, nothing, nothing, malformed)
    joined = [np.concatenate(part) for part in zip(*found, strict=True)]
    order = np.argsort(joined[0], kind="stable")
    row, starts, ends, identities = (part[order] for part in joined)
    return Sets(row, starts, ends, identities, malformed)


def _not_zero(payload: Octets, padding: list[tuple[Integers, Integers, Integers]]) -> Integers:
    """Return the rows whose padding has octets other than zero; given as row, start and end within it."""
    return np.array(
        [
            row
            for part in padding
            for row, start, end in zip(*(numbers.tolist() for numbers in part), strict=True)
            if payload[row, start:end].any()
        ],
        np.int64,
    )


def _note(malformed: list[tuple[str, Integers]], reason: str, rows: Integers) -> None:
    if len(rows):
        malformed.append((reason, rows))
