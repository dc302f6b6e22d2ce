"""Row groups: Parquet files with the same columns become one file, without a look at their data.

The pages of a Parquet file know nothing of where they stand; the footer has all positions. So the data of the files is copied one
behind the other, and a footer is written that has the row groups of all, moved.

Source: Apache Parquet, parquet.thrift (FileMetaData, RowGroup, ColumnChunk, ColumnMetaData); Apache Thrift, compact protocol.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Self

MAGIC = b"PAR1"
_END = 8
"""Octets behind the footer: its length, and the magic once more."""
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12
_INTEGERS = (_I16, _I32, _I64)
_NUMBER_OF_ROWS, _ROW_GROUPS, _OF_THE_DATA = 3, 4, (3, 4)
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7
_CHUNK_OFFSET, _CHUNK_META, _PAGE_INDEXES = 2, 3, (4, 5, 6, 7)
_OFFSETS = (9, 10, 11, 14)
"""Of a column chunk: its data pages, index pages, dictionary page and Bloom filter."""

_Value = tuple[int, Any]
"""A type of the protocol, and the value: an int, octets, a list of values, or a struct."""
_Struct = dict[int, _Value]
"""Fields by their number."""


@dataclass(frozen=True, slots=True)
class _File:
    """A Parquet file: its footer, and where that begins."""

    path: Path
    footer: _Struct
    end: int


def join(paths: list[Path], out: Path) -> bool:
    """Join Parquet files into a new one; the row groups are in the order of the files.

    Args:
        paths: The files, one at least.
        out: The new file.
    Returns:
        False where they can't be joined: the columns differ, or a footer can't be understood. There is no new file then.
    Raises:
        OSError: A file can't be read or written; what was written of the new one is left.
    """
    with Joined(out) as joined:
        fit = all(joined.append(path) for path in paths)
        if fit:
            joined.finish()
    if not fit:
        out.unlink()
    return fit


class Joined:
    """A Parquet file that grows by the row groups of others. It is none until `finish`.

    Attributes:
        rows: Rows in it so far.
    """

    def __init__(self, path: Path) -> None:
        """Begin a file, over another one of this name.

        Raises:
            OSError: It can't be written.
        """
        self.rows = 0
        self._target = path.open("wb")
        self._groups: list[_Value] = []
        self._footer: _Struct | None = None
        try:
            self._target.write(MAGIC)
        except OSError:
            self._target.close()
            raise

    def append(self, path: Path) -> bool:
        """Copy the row groups of another file; return False, with nothing done, where its columns or footer don't fit.

        Raises:
            OSError: One of the files can't be read or written.
        """
        try:
            file = _read(path)
            shift = self._target.tell() - len(MAGIC)
            first = len(self._groups)
            moved = [(_STRUCT, _moved(group, shift, first + place)) for place, group in enumerate(_groups(file.footer))]
            rows = int(file.footer[_NUMBER_OF_ROWS][1])
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            return False
        if self._footer is None:
            self._footer = file.footer
        elif _about(file.footer) != _about(self._footer):
            return False
        _copy(file, self._target)
        self._groups += moved
        self.rows += rows
        return True

    def finish(self) -> None:
        """Write the footer; one file at least was appended.

        Raises:
            OSError: The file can't be written.
        """
        assert self._footer is not None
        footer = {**self._footer, _ROW_GROUPS: (_LIST, self._groups), _NUMBER_OF_ROWS: (_I64, self.rows)}
        written = BytesIO()
        _write_struct(written, footer)
        octets = written.getvalue()
        self._target.write(octets + len(octets).to_bytes(4, "little") + MAGIC)
        self._target.flush()

    def close(self) -> None:
        """Close the file."""
        self._target.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read(path: Path) -> _File:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _END, 0))
        end = file.read(_END)
        start = size - _END - int.from_bytes(end[:4], "little")
        if end[4:] != MAGIC or start < len(MAGIC):
            raise ValueError("no Parquet file")
        file.seek(start)
        footer = _Reader(file.read(size - _END - start)).struct()
    return _File(path, footer, start)


def _about(footer: _Struct) -> _Struct:
    """Return what must be the same in all files: all but the row groups and their sum."""
    return {number: value for number, value in footer.items() if number not in _OF_THE_DATA}


def _groups(footer: _Struct) -> list[_Struct]:
    return [group for _, group in footer[_ROW_GROUPS][1]]


def _moved(group: _Struct, shift: int, ordinal: int) -> _Struct:
    """Return a row group whose data stands `shift` octets further on. Page indexes, which are optional, are left out."""
    moved = _shifted(group, (_GROUP_OFFSET,), shift)
    if _ORDINAL in moved:
        moved[_ORDINAL] = (_I16, ordinal)
    chunks = []
    for _, chunk in group[_COLUMNS][1]:
        kept = {number: value for number, value in chunk.items() if number not in _PAGE_INDEXES}
        kept = _shifted(kept, (_CHUNK_OFFSET,), shift)
        kept[_CHUNK_META] = (_STRUCT, _shifted(chunk[_CHUNK_META][1], _OFFSETS, shift))
        chunks.append((_STRUCT, kept))
    moved[_COLUMNS] = (_LIST, chunks)
    return moved


def _shifted(struct: _Struct, numbers: tuple[int, ...], shift: int) -> _Struct:
    """Return a struct with some offsets moved; 0 stands for none."""
    moved = dict(struct)
    for number in numbers:
        kind, offset = moved.get(number, (_I64, 0))
        if offset:
            moved[number] = (kind, offset + shift)
    return moved


def _copy(file: _File, target: BinaryIO) -> None:
    """Append the data of a file, within the kernel."""
    target.flush()
    with file.path.open("rb") as source:
        at = len(MAGIC)
        while at < file.end:
            sent = os.sendfile(target.fileno(), source.fileno(), at, file.end - at)
            if not sent:
                raise OSError(f"{file.path} became shorter")
            at += sent
    target.seek(0, os.SEEK_END)


class _Reader:
    """Reads a struct of the compact protocol."""

    def __init__(self, octets: bytes) -> None:
        self._octets, self._at = octets, 0

    def struct(self) -> _Struct:
        """Read a struct.

        Raises:
            ValueError: There is a type in it that footers have no use for.
            IndexError: It ends too early.
        """
        fields: _Struct = {}
        number = 0
        while head := self._octet():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = (head & 15, self._value(head & 15))
        return fields

    def _value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._zigzag()
        if kind == _BINARY:
            return self._take(self._varint())
        if kind == _STRUCT:
            return self.struct()
        if kind == _LIST:
            return self._list()
        if kind in (_TRUE, _FALSE):
            return None
        if kind in (_BYTE, _DOUBLE):
            return self._take(1 if kind == _BYTE else 8)
        raise ValueError(f"type {kind}")

    def _list(self) -> list[_Value]:
        head = self._octet()
        kind, size = head & 15, head >> 4
        if size == 15:
            size = self._varint()
        if kind in (_TRUE, _FALSE):
            raise ValueError("a list of booleans")
        return [(kind, self._value(kind)) for _ in range(size)]

    def _octet(self) -> int:
        octet = self._octets[self._at]
        self._at += 1
        return octet

    def _take(self, size: int) -> bytes:
        taken = self._octets[self._at : self._at + size]
        if len(taken) < size:
            raise IndexError("the footer ends too early")
        self._at += size
        return taken

    def _varint(self) -> int:
        value = shift = 0
        while True:
            octet = self._octet()
            value |= (octet & 0x7F) << shift
            if octet < 0x80:
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)


def _write_struct(out: BytesIO, struct: _Struct) -> None:
    before = 0
    for number, (kind, value) in sorted(struct.items()):
        if 0 < number - before < 16:
            out.write(bytes([number - before << 4 | kind]))
        else:
            out.write(bytes([kind]) + _zigzag(number))
        before = number
        _write_value(out, kind, value)
    out.write(b"\0")


def _write_value(out: BytesIO, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        out.write(_zigzag(value))
    elif kind == _STRUCT:
        _write_struct(out, value)
    elif kind == _LIST:
        _write_list(out, value)
    elif kind == _BINARY:
        out.write(_varint(len(value)) + value)
    elif kind in (_BYTE, _DOUBLE):
        out.write(value)


def _write_list(out: BytesIO, values: list[_Value]) -> None:
    kind = values[0][0] if values else _STRUCT
    size = len(values)
    out.write(bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + _varint(size))
    for _, value in values:
        _write_value(out, kind, value)


def _zigzag(value: int) -> bytes:
    return _varint((value << 1) ^ (value >> 63))


def _varint(value: int) -> bytes:
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)
