"""Text from outside, made safe to show.

A string from the wire, a file, DNS or a status file can carry terminal escapes (an OSC 52 sets the clipboard), bidirectional
overrides, zero-width characters or console markup. `printable()` is the one place through which such text becomes a cell, a line
or a field. The result holds no control character, so whoever shows it has only to switch markup off.
"""

from __future__ import annotations

import unicodedata

MAX_WIDTH = 256
NAME_WIDTH = 60
"""Cells that the name of an address or an interface takes, at most."""
STACKED = 3
"""Combining marks that one character may carry; more would paint over the lines above and below."""
_SHOWN_ESCAPED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKS = {"Mn", "Me"}
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\u2800")
"""Letters, marks and symbols that are drawn as nothing at all."""
_FORMULA_STARTS = "=+-@＝＋－＠"


def printable(text: object, width: int = MAX_WIDTH) -> str:
    r"""Return text that is safe in a terminal, on one line.

    Args:
        text: Anything; `str()` of it is shown.
        width: The most terminal cells it may take; a longer text ends in an ellipsis.
    Returns:
        The text with C0, C1, bidirectional, zero-width, unassigned and line-separating characters, and combining marks stacked
        more than three deep, as visible escapes (`\x1b`, `\u202e`). Applied once more it changes nothing.
    """
    if width < 1:
        return ""
    raw = str(text)
    if raw.isascii() and raw.isprintable():
        return raw if len(raw) <= width else raw[: width - 1] + "…"
    out: list[str] = []
    used = marks = 0
    for character in raw[: (STACKED + 1) * (width + 1)]:
        marks = marks + 1 if unicodedata.category(character) in _MARKS else 0
        piece = _escape(character, stacked=marks > STACKED)
        cells = cell_width(piece)
        if used + cells > width:
            while out and used > width - 1:
                used -= cell_width(out.pop())
            return "".join(out) + "…"
        out.append(piece)
        used += cells
    return "".join(out)


def csv_field(text: object) -> str:
    """Return text for a CSV field: printable, and never a formula to a spreadsheet."""
    shown = printable(text, 32_767)
    return "'" + shown if shown[:1] and shown[0] in _FORMULA_STARTS and not _is_number(shown) else shown


def cell_width(text: str) -> int:
    """Return how many terminal cells a text takes (East Asian wide characters take two, combining ones none)."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in _MARKS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" or _is_wide_symbol(ord(character)) else 1


def _is_wide_symbol(code: int) -> bool:
    """Return whether a symbol became wide with Unicode 16, which Python 3.11 doesn't know yet."""
    return (
        0x2630 <= code <= 0x2637
        or 0x268A <= code <= 0x268F
        or 0x4DC0 <= code <= 0x4DFF
        or 0x1D300 <= code <= 0x1D356
        or 0x1D360 <= code <= 0x1D376
    )


def _escape(character: str, *, stacked: bool) -> str:
    if character.isascii() and character.isprintable():
        return character
    code = ord(character)
    unseen = character in _UNSEEN or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
    if stacked or unseen or unicodedata.category(character) in _SHOWN_ESCAPED:
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
