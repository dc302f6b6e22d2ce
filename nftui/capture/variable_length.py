"""Variable length: records whose fields state their own length, rewritten as records of fixed length.

All data sets are walked together, one record of each in a step, so that nothing loops over flows as long as they come in many
messages. Of the fields of variable length texts and octets are kept, padded with zero octets to the longest of the batch, and
numbers, padded in front; the others are dropped. Thereafter the records are read like any others.

Source: RFC 7011, section 7.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nftui.capture.layouts import LENGTHS, SECTIONS, VARIABLE, Field, Layout, compile_layout
from nftui.capture.sets import Integers, Octets
from nftui.elements import ELEMENTS

LONGEST = 256
"""Octets kept of a text; longer ones are cut."""
MAX_RECORDS = 16_384
"""Records of one set; no message has room for more of 4 octets each."""
SHORTEST, BUDGET = 16, 16 << 20
"""With very many records texts are cut shorter, so that each text column takes about so many octets at most."""
FEW = 4
"""Sets below which the rest is walked set by set."""
_LONG_FORM = 255
_LONGEST_NUMBER = 8


def to_fixed(
    flat: Octets, start: Integers, end: Integers, fields: tuple[Field, ...]
) -> tuple[Layout, Octets, Integers, npt.NDArray[np.bool_]]:
    """Rewrite the records of data sets of one template.

    Args:
        flat: The block, shape (octets,).
        start: Shape (sets,), the first octet of each set's content in the block.
        end: Shape (sets,), behind the last.
        fields: Of the template; at least one is variable.
    Returns:
        The layout of the new records; their octets, shape (records, layout.size), ordered by set; the set of each, shape
        (records,); and, shape (sets,), whether a set ends within a record (padding of zero octets is none).
    """
    least = sum(1 if field.length == VARIABLE else field.length for field in fields)
    at, lane = start.copy(), np.arange(len(start))
    places: list[tuple[Integers, Integers]] = []
    owners: list[Integers] = []
    broken = (end > start) & (end - start < least)
    broken[broken] = _not_zero(flat, start[broken], end[broken])
    for _ in range(MAX_RECORDS):
        lane = lane[at[lane] + least <= end[lane]]
        if len(lane) < FEW:
            break
        where, length, after = _one_record(flat, at[lane], end[lane], fields)
        fits = after <= end[lane]
        broken[lane[~fits]] = _not_zero(flat, at[lane[~fits]], end[lane[~fits]])
        lane = lane[fits]
        at[lane] = after[fits]
        places.append((where[fits], length[fits]))
        owners.append(lane)
    for one in lane.tolist():
        where, length, broken[one] = _of_one_set(flat, int(at[one]), int(end[one]), fields)
        places.append((where, length))
        owners.append(np.full(len(where), one))
    if not any(map(len, owners)):
        kept = tuple(field if field.length != VARIABLE else field._replace(length=0) for field in fields)
        return compile_layout(kept), np.empty((0, 0), np.uint8), np.empty(0, np.int64), broken
    order = np.argsort(owner := np.concatenate(owners), kind="stable")
    where, length = (np.concatenate([part[side] for part in places])[order] for side in (0, 1))
    layout, octets = _gather(flat, where, length, fields)
    return layout, octets, owner[order], broken


def _of_one_set(flat: Octets, at: int, end: int, fields: tuple[Field, ...]) -> tuple[Integers, Integers, bool]:
    """Find the fields of all records of one set, as `_one_record` does; and whether the set ends within a record.

    A step a field in Python: of few sets it costs less than the same steps in arrays of so few, and an exporter that describes each
    set by a template of its own can't make it cost more.
    """
    octets, sizes = flat[at:end].tobytes(), [field.length for field in fields]
    least = sum(1 if size == VARIABLE else size for size in sizes)
    where: list[list[int]] = []
    length: list[list[int]] = []
    here, stop, cut = 0, end - at, False
    while here + least <= stop and not cut and len(where) < MAX_RECORDS:
        place, record, lengths = here, list[int](), list[int]()
        for stated in sizes:
            size = stated
            if stated == VARIABLE:
                if place >= stop:
                    break
                size, place = octets[place], place + 1
                if size == _LONG_FORM:
                    size, place = int.from_bytes(octets[place : place + 2], "big"), place + 2
            record.append(at + place)
            lengths.append(size)
            place += size
        cut = place > stop or len(record) < len(sizes)
        if not cut:
            where.append(record)
            length.append(lengths)
            here = place
    shape = len(where), len(fields)
    broken = any(octets[here:]) if cut else here + least <= stop
    return np.array(where, np.int64).reshape(shape), np.array(length, np.int64).reshape(shape), broken


def _one_record(flat: Octets, at: Integers, end: Integers, fields: tuple[Field, ...]) -> tuple[Integers, Integers, Integers]:
    """Find the fields of one record of each set: their places and lengths, shape (sets, fields), and what follows them."""
    where = np.empty((len(at), len(fields)), np.int64)
    length = np.empty_like(where)
    last = len(flat) - 3
    for place, field in enumerate(fields):
        if field.length == VARIABLE:
            short = flat[np.minimum(at, last)].astype(np.int64)
            long = (flat[np.minimum(at + 1, last)].astype(np.int64) << 8) | flat[np.minimum(at + 2, last)]
            is_long = short == _LONG_FORM
            size = np.where(is_long, long, short)
            at = at + np.where(is_long, 3, 1)
        else:
            size = np.full(len(at), field.length, np.int64)
        where[:, place], length[:, place] = at, size
        at = np.minimum(at + size, end + 1)
    return where, length, at


def _gather(flat: Octets, where: Integers, length: Integers, fields: tuple[Field, ...]) -> tuple[Layout, Octets]:
    """Copy the fields to places of fixed length."""
    sizes = _sizes(length, fields)
    kept = tuple(
        field if field.length != VARIABLE else field._replace(length=size) for field, size in zip(fields, sizes, strict=True)
    )
    dropped = tuple(field[:2] for field in fields if field.length == VARIABLE and not _kept(field))
    offsets = np.cumsum([0, *(field.length for field in kept)]).tolist()
    measured = [place for place, field in enumerate(fields) if field.length == VARIABLE and sizes[place] and _needs_length(field)]
    lengths = tuple(Field(LENGTHS, offsets[place], 2) for place in measured)
    layout = compile_layout(kept + lengths, dropped)
    octets = np.zeros((len(where), layout.size), np.uint8)
    to, place = 0, 0
    while place < len(kept):
        field = kept[place]
        width, following = field.length, place + 1
        if fields[place].length == VARIABLE:
            if width:
                column = np.broadcast_to(np.arange(width), (len(where), width))
                if not _textual(field):
                    column = column - (width - length[:, place, None])
                inside = (column >= 0) & (column < length[:, place, None])
                taken = np.clip(where[:, place, None] + column, 0, len(flat) - 1)
                octets[:, to : to + width] = np.where(inside, flat[taken], 0)
        else:
            while following < len(kept) and fields[following].length != VARIABLE:
                width += kept[following].length
                following += 1
            octets[:, to : to + width] = flat[where[:, place, None] + np.arange(width)]
        to += width
        place = following
    for place in measured:
        size = np.minimum(length[:, place], sizes[place])
        if fields[place][:2] not in SECTIONS:
            # A number of more octets is none.
            size[length[:, place] > _LONGEST_NUMBER] = 0
        octets[:, to : to + 2] = size.astype(">u2")[:, None].view(np.uint8)
        to += 2
    return layout, octets


def _sizes(length: Integers, fields: tuple[Field, ...]) -> list[int]:
    """Return how many octets of each field of variable length are kept; of a repeated one only the last is."""
    last = {field[:2]: place for place, field in enumerate(fields)}
    most = min(LONGEST, max(SHORTEST, BUDGET // len(length)))
    sizes = []
    for place, field in enumerate(fields):
        if field.length != VARIABLE or last[field[:2]] != place or not _kept(field):
            sizes.append(0)
        elif _textual(field):
            longest = max(min(int(length[:, place].max()), most), 1)
            sizes.append(min(1 << (longest - 1).bit_length(), LONGEST))
        else:
            sizes.append(_LONGEST_NUMBER)
    return sizes


def _kept(field: Field) -> bool:
    return field[:2] in ELEMENTS or field[:2] in SECTIONS


def _needs_length(field: Field) -> bool:
    """Return whether what a field of variable length holds can't be told from padding without its length."""
    return field[:2] in SECTIONS or not _textual(field)


def _textual(field: Field) -> bool:
    return field[:2] in SECTIONS or any(mapping.reading in ("text", "octets") for mapping in ELEMENTS[field[:2]].mappings)


def _not_zero(flat: Octets, start: Integers, end: Integers) -> npt.NDArray[np.bool_]:
    return np.array([flat[a:b].any() for a, b in zip(start.tolist(), end.tolist(), strict=True)], np.bool_)
