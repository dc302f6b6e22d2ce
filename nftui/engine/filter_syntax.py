"""The words of the filter language: text -> tokens, and a token -> a value. Knows nothing of trees and grammar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NoReturn

from nftui.engine.filter_fields import FIRST_TIME, LAST_TIME, Kind
from nftui.engine.filter_names import NAMED, RANGES
from nftui.engine.filter_tree import FLAG_LETTERS, LONGEST_TEXT, Network, unmapped
from nftui.engine.names import PROTOCOLS, SERVICES
from nftui.errors import FilterError

LONGEST_VALUE = 64
FEW_NAMES = 10
"""Up to so many names of values are listed in a hint."""
AGO = {"s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6, "w": 604800 * 10**6}
"""Microseconds of the units in which a relative time is written."""
MULTIPLIERS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}

_TOKEN = re.compile(
    r"""(?P<space> [\s]+ | \#[^\n]* )
      | (?P<word> [A-Za-z0-9_:./@-]+ )
      | (?P<quoted> '[^'\n]*' | "[^"\n]*" )
      | (?P<symbol> && | \|\| | == | <= | >= | != | [()\[\],<>=!~] )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"([0-9]+)(?:\.([0-9]+))?([kmgt]?)", re.IGNORECASE)
_WITH_UNIT = re.compile(r"(?:AS)?([0-9]+[kmgt]?)(?:i?b|bit|bps|pps)?(?:/s)?", re.IGNORECASE)
"""A number with what people write before or behind it: 10MB, AS64496."""
_HEX = re.compile(r"0x[0-9a-f]{1,32}", re.IGNORECASE)
_MAC = re.compile(r"[0-9a-f]{1,2}([:-])(?:[0-9a-f]{1,2}\1){4}[0-9a-f]{1,2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}", re.IGNORECASE)
_TIME = re.compile(
    r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2})(?:[T ]([0-9]{1,2})(?::([0-9]{1,2})(?::([0-9]{1,2})(?:\.([0-9]{1,6}))?)?)?)?)?)?Z?",
    re.IGNORECASE,
)
_AGO = re.compile(r"now|-([0-9]{1,9})([smhdw])", re.IGNORECASE)
_SHORT_NET = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}")


@dataclass(frozen=True, slots=True)
class Token:
    """One word, value or symbol.

    Attributes:
        kind: `word`, `quoted`, `symbol` or `end`.
        text: As written, without quotes.
        column: Where it starts, counted from 0.
    """

    kind: str
    text: str
    column: int

    @property
    def key(self) -> str:
        """The keyword or symbol that it may be, lower case; a quoted word is none, the end is the empty one."""
        return "" if self.kind == "quoted" else self.text.lower()

    @property
    def shown(self) -> str:
        """The token for a message: short, on one line, control characters escaped."""
        return "the end of the filter" if self.kind == "end" else shown(self.text)

    @property
    def bare(self) -> str:
        """The token for a hint that spells a filter: as shown, without quotes."""
        return shown(self.text)[1:-1]


class Refused(ValueError):
    """A token that is no value of the wanted kind.

    Attributes:
        hint: What to write instead, or empty.
    """

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


def shown(word: str) -> str:
    """Return a word for a message: quoted, capped, control characters escaped."""
    return ascii(word if len(word) <= LONGEST_VALUE else word[: LONGEST_VALUE - 1] + "~")


def tokens(text: str) -> list[Token]:
    """Cut a filter into tokens, the last of which is the end.

    Raises:
        FilterError: A character that has no place in a filter.
    """
    return [*_scan(text), Token("end", "", len(text))]


def _scan(text: str) -> Iterator[Token]:
    column = 0
    while column < len(text):
        match = _TOKEN.match(text, column)
        if match is None:
            character = text[column]
            if (offset := _OFFSET.search(text, 0, column)) is not None:
                refuse_offset(text, offset[1], offset.start())
            problem, hint = _STRAY.get(character, ("unexpected character {}", "quote it where it belongs to a text"))
            raise FilterError(text, column, character, problem.format(shown(character)), hint)
        kind, found = str(match.lastgroup), match.group()
        if kind != "space":
            yield Token(kind, found[1:-1] if kind == "quoted" else found, column)
        column = match.end()


_OFFSET = re.compile(r"\b(tcp|udp|icmp|icmp6|ip|ip6|ether|arp)\s*\[", re.IGNORECASE)
"""How pcap reads octets of a packet: `tcp[13] & 2 != 0`."""


def refuse_offset(text: str, word: str, column: int) -> NoReturn:
    """Report an offset into packets.

    Raises:
        FilterError: Always.
    """
    problem = f"offsets into packets, {word}[…], are not seen in flows"
    raise FilterError(text, column, word, problem, "write flags S for TCP flags; else use the probe's BPF filter")


_STRAY: dict[str, tuple[str, str]] = {
    "'": ("the quote {} is not closed", "add the closing quote on the same line"),
    '"': ("the quote {} is not closed", "add the closing quote on the same line"),
    "&": ("unexpected {}", "write and"),
    "|": ("unexpected {}", "write or"),
    ";": ("unexpected {}", "separate values by commas or spaces, terms by and or or"),
}


# -- values ------------------------------------------------------------------------------------------------------------------


def number(word: str) -> int:
    """Read a number: decimal, hexadecimal `0x…`, or with one suffix k m g t; a fraction where the result is whole.

    Raises:
        Refused: No number, or not a whole one.
    """
    if _HEX.fullmatch(word):
        return int(word, 16)
    match = _NUMBER.fullmatch(word)
    if match is None or len(word) > LONGEST_VALUE:
        hint = "numbers are decimal or 0x…, with one suffix k m g t at most"
        if (unit := _WITH_UNIT.fullmatch(word[:LONGEST_VALUE])) is not None:
            hint = f"write {unit[1]}"
        raise Refused(f"expected a number, found {shown(word)}", hint)
    whole, fraction, suffix = match[1], (match[2] or "").rstrip("0"), match[3].lower()
    scale: int = 10 ** len(fraction)
    value, rest = divmod(int(whole + fraction) * MULTIPLIERS[suffix], scale)
    if rest:
        raise Refused(f"{shown(word)} is not a whole number", f"write {value}")
    return value


def _named(names: dict[str, int], what: str, more: Iterable[str] = ()) -> Callable[[str], int]:
    """Return a reader of numbers or names; `more` are further names, which somebody else reads."""
    known = [*names, *more]

    def read(word: str) -> int:
        if (value := names.get(word.lower())) is not None:
            return value
        if word[:1].isdigit():
            return number(word)
        raise Refused(f"{shown(word)} is not {what}", _suggestion(word, known))

    return read


def _suggestion(word: str, names: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word.lower()[:LONGEST_VALUE], names, 1)
    if close:
        return f"did you mean {close[0]}?"
    return "write its number" if len(names) > FEW_NAMES else f"write its number, or {', '.join(names)}"


def mac(word: str) -> int:
    """Read a MAC address, six octets in hexadecimal, or three pairs of them as `0011.2233.4455`.

    Raises:
        Refused: No MAC address.
    """
    if not _MAC.fullmatch(word):
        raise Refused(f"expected a MAC address, found {shown(word)}", "write it as 00:11:22:33:44:55")
    if "." in word:
        return int(word.replace(".", ""), 16)
    return int.from_bytes(bytes(int(octet, 16) for octet in re.split("[:-]", word)), "big")


def time(word: str, now: int) -> int:
    """Read a time as microseconds since 1970: ISO 8601 in UTC, from the year on truncatable; `now`; `-15m` before it.

    Args:
        word: The time as written.
        now: What `now` stands for, microseconds since 1970.
    Raises:
        Refused: No time, or none of the years 1970 to 9999.
    """
    hint = "write it as 2023-11-14T22:13:14, UTC, or as -15m"
    if (ago := _AGO.fullmatch(word)) is not None:
        value = now - int(ago[1] or 0) * AGO[(ago[2] or "s").lower()]
    else:
        value = _date(word, hint)
    if not FIRST_TIME <= value <= LAST_TIME:
        raise Refused(f"the time {shown(word)} is out of range", "the years 1970 to 9999 are accepted")
    return value


def _date(word: str, hint: str) -> int:
    match = _TIME.fullmatch(word)
    if match is None:
        raise Refused(f"expected a time, found {shown(word)}", hint)
    year, month, day, hour, minute, second = (int(part) if part else None for part in match.groups()[:6])
    micros = int((match[7] or "").ljust(6, "0"))
    try:
        moment = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0, tzinfo=UTC)
    except ValueError as error:
        raise Refused(f"{shown(word)} is not a time: {error}", hint) from None
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000 + micros


def flags(word: str) -> int:
    """Read TCP flags by their letters, X for the first six, as a mask.

    Raises:
        Refused: Another letter, or none.
    """
    letters = set(word.upper())
    if not letters or not letters <= {*FLAG_LETTERS, "X"}:
        raise Refused(f"expected TCP flags, found {shown(word)}", "letters of FSRPAUEC, or a number 0 to 255")
    return sum({bit for letter in letters for bit in ([1, 2, 4, 8, 16, 32] if letter == "X" else [FLAG_LETTERS[letter]])})


def address(word: str) -> Network:
    """Read an address as a network of full length, or a network `A/len`; bits beyond its length are cleared.

    Raises:
        Refused: No address.
    """
    base, slash, length = word.partition("/")
    return network(base, length) if slash else unmapped(ip_network(_address(word)))


def _address(word: str) -> IPv4Address | IPv6Address:
    try:
        if "%" not in word:
            return ip_address(word)
    except ValueError:
        pass
    if _SHORT_NET.fullmatch(word):
        raise Refused(f"{shown(word)} is not a whole address", f"write net {word}")
    if word.lower() == "tor":
        raise Refused("the list of Tor's exit nodes is not held", "write the addresses in a list, ip in [192.0.2.1 198.51.100.1]")
    if re.fullmatch(r"[0-9.]+|.*[:%].*", word) or not word:
        raise Refused(f"{shown(word)} is not an address", "write it as 192.0.2.1 or 2001:db8::1")
    raise Refused(f"{shown(word)} is not an address", "write the address")


def network(base: str, length: str = "") -> Network:
    """Read a network from its address and its length or IPv4 mask; `10`, `192.168` and `10.0.1` are short for /8, /16 and /24.

    Raises:
        Refused: No address, or a length or mask that does not fit it.
    """
    full = base
    if _SHORT_NET.fullmatch(base):
        octets = base.count(".") + 1
        full, length = base + ".0" * (4 - octets), length or str(8 * octets)
    start = _address(full)
    length = length or str(start.max_prefixlen)
    if not re.fullmatch(r"[0-9]{1,3}|[0-9]{1,3}(\.[0-9]{1,3}){3}", length):
        raise Refused(f"expected the length of a network, found {shown(length)}", "write net 10.0.0.0/8")
    if "." in length and not _is_mask(length, start.version):
        raise Refused(f"{shown(length)} is not a mask of {start}", "write net 10.0.1.0 255.255.255.0, or net 10.0.1.0/24")
    if "." not in length and int(length) > start.max_prefixlen:
        raise Refused(f"the length {length} of {shown(base)} is out of range", f"0 to {start.max_prefixlen}")
    return unmapped(ip_network(f"{start}/{length}", strict=False))


def _is_mask(text: str, version: int) -> bool:
    octets = [int(octet) for octet in text.split(".")]
    if version != 4 or max(octets) > 255:
        return False
    inverse = int.from_bytes(bytes(octets), "big") ^ 0xFFFFFFFF
    return inverse & (inverse + 1) == 0


def host(word: str) -> str | None:
    """Return the name of a host or network, lower case; None where the word is meant as an address."""
    is_name = re.fullmatch(r"[^\s/%:,\[\]()'\"]{1,253}", word) is not None and re.search(r"[^0-9.]", word) is not None
    return word.lower() if is_name else None


def country(word: str) -> str:
    """Read a country in two letters.

    Raises:
        Refused: Anything else.
    """
    if not re.fullmatch("[A-Za-z]{2}", word):
        raise Refused(f"expected a country, found {shown(word)}", "write its two letters, as geo DE")
    return word.upper()


def words(word: str) -> str:
    """Read a text, in lower case.

    Raises:
        Refused: Empty, too long, or with quotes of both kinds.
    """
    value = word.lower()
    if not value or len(value) > LONGEST_TEXT or {"'", '"'} <= set(value):
        raise Refused(f"expected a text of 1 to {LONGEST_TEXT} characters, found {shown(word)}", "quote it, as 'web browsing'")
    return value


_MEANT = {Kind.PORT: "a port or service that is known", Kind.FLOW_DIRECTION: Kind.FLOW_DIRECTION.value}
_NAMES: dict[Kind, dict[str, int]] = {Kind.PORT: SERVICES, Kind.PROTOCOL: PROTOCOLS, **NAMED}

READERS: dict[Kind, Callable[[str], int]] = {
    Kind.NUMBER: number,
    Kind.FLAGS: number,
    Kind.MAC: mac,
    **{
        kind: _named(names, _MEANT.get(kind, f"{kind.value} that is known"), RANGES.get(kind, ())) for kind, names in _NAMES.items()
    },
}
"""How a number of each kind is read; `address`, `time` and `words` read the other kinds."""


_LIKENESS: dict[Kind, Callable[[str], bool]] = {
    Kind.NUMBER: lambda word: word[:1].isdigit(),
    Kind.FLAGS: lambda word: word[:1].isdigit() or set(word) <= {*FLAG_LETTERS, "X"},
    Kind.MAC: lambda word: _MAC.fullmatch(word) is not None,
    Kind.TIME: lambda word: word[:1].isdigit() or _AGO.fullmatch(word) is not None,
    Kind.ADDRESS: lambda word: word[:1].isdigit() or ":" in word,
    Kind.TEXT: lambda word: False,
    Kind.COUNTRY: lambda word: re.fullmatch("[A-Z]{2}", word) is not None,
    Kind.ORGANISATION: lambda word: False,
}


def looks_like(kind: Kind, word: str) -> bool:
    """Return whether a word is meant as a value of a kind rather than as a keyword."""
    if kind in _NAMES:
        return word[:1].isdigit() or word.lower() in _NAMES[kind] or word.lower() in RANGES.get(kind, ())
    return bool(word) and _LIKENESS[kind](word)
