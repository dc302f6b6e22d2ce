"""One comparison of a filter: `term` of the grammar in `filters`, directions, field and value together."""

from __future__ import annotations

from difflib import get_close_matches
from typing import NoReturn

from nftui.engine.filter_fields import FIELDS, Direction, Kind
from nftui.engine.filter_names import FIREWALL_REASONS
from nftui.engine.filter_syntax import MULTIPLIERS, Token, looks_like, refuse_offset, shown
from nftui.engine.filter_tree import ANY, Filter
from nftui.engine.filter_values import Phrase, Values
from nftui.engine.filter_words import (
    BINDING,
    COMPARING,
    CONSTANTS,
    DIRECTION_WORDS,
    DIRECTIONS,
    HEADS,
    IMPLIED,
    LONGEST_PHRASE,
    NOT_HELD,
    NOT_HERE,
    OPERATORS,
    PACKET_LEVEL,
    PHRASES,
    QUALIFIED,
    QUALIFIERS,
    UNLISTED,
    WORDS,
)

ENDS = {Direction.NONE, Direction.SRC, Direction.DST}


class Terms(Values):
    """Reads terms, and remembers the last phrase, which a lone value takes again."""

    def __init__(self, text: str, now: int) -> None:
        super().__init__(text, now)
        self._last: Phrase | None = None

    def _term(self) -> Filter:
        token = self._token
        if self._last is not None and self._is_lone_name(self._last):
            return self._value(self._last)
        if self._keys(2) == ("ident", "none"):
            # nfdump's name for flows of a collector without a name, which is what all of a store are
            self._next(2)
            return ANY
        if self._field(0)[0] or (token.key in DIRECTION_WORDS and not self._is_not_held()):
            return self._phrase_term(ANY)
        if token.key in QUALIFIERS and self._peek().key == "[":
            refuse_offset(self._text, token.text, token.column)
        if token.key in CONSTANTS:
            self._next()
            found = CONSTANTS[token.key]
            if token.key in QUALIFIERS and self._token.key in QUALIFIED:
                return self._phrase_term(found)
            return found
        if self._last is not None and (token.key in OPERATORS or looks_like(self._last.field.kind, token.text)):
            return self._value(self._last)
        return self._unknown(token)

    def _is_lone_name(self, last: Phrase) -> bool:
        """Return whether a keyword is a name among the values of the last phrase: `flowdir ingress or egress`."""
        after = self._peek()
        ends = after.kind == "end" or after.key in BINDING or after.key == ")"
        return ends and self._token.key in DIRECTION_WORDS and looks_like(last.field.kind, self._token.text)

    # -- phrases

    def _phrase_term(self, qualifier: Filter) -> Filter:
        self._last = self._phrase(qualifier)
        return self._value(self._last)

    def _phrase(self, qualifier: Filter) -> Phrase:
        """Read `[direction] field`."""
        start = self._token
        words, every = ([], False) if self._field(0)[0] else self._direction_words()
        name, length = self._field(0)
        token = self._token
        if not name:
            if {*words} <= {"src", "dst", "or"} and looks_like(Kind.ADDRESS, token.text):
                name, length = "ip", 0
            else:
                self._no_field(words)
        word = " ".join(self._keys(length)) or name
        self._next(length)
        directions = self._known(start, name, self._directions(token, words, IMPLIED.get(word, "")), every)
        return Phrase(name, word, directions, every, qualifier, COMPARING.get(word))

    def _field(self, ahead: int) -> tuple[str, int]:
        """Return the field that a phrase here stands for, and the number of its words; the longest counts, ('', 0) is none."""
        keys = tuple(self._peek(ahead + at).key for at in range(LONGEST_PHRASE + 1))
        for length in range(LONGEST_PHRASE, 0, -1):
            phrase = keys[:length]
            if phrase == ("asa", "event", "denied") and keys[length] not in FIREWALL_REASONS:
                continue
            if phrase in PHRASES:
                return PHRASES[phrase], length
        return "", 0

    def _direction_words(self) -> tuple[list[str], bool]:
        """Read what stands before a field: `src`, `in dst`, `src or dst nat`; whether all must match."""
        words: list[str] = []
        every = False
        while self._token.key in DIRECTION_WORDS and not self._field(0)[0]:
            words.append(DIRECTION_WORDS[self._next().key])
            if len(words) == 1 and self._token.key in BINDING and {words[0], self._peek().key} == {"src", "dst"}:
                every = BINDING[self._next().key] == BINDING["and"]
                self._next()
                words.append("or")
        return words, every

    def _directions(self, token: Token, words: list[str], implied: str) -> tuple[Direction, ...]:
        """Return the directions that words mean, `or` standing for both ends."""
        both = "or" in words
        rest = [word for word in words[both:] if word != "or"] + [implied] * (implied not in words)
        spellings = [f"{end} {' '.join(rest)}".strip() for end in ("src", "dst")] if both else [" ".join(rest).strip()]
        for spelling in spellings:
            if spelling and spelling not in DIRECTIONS:
                said = " ".join(word for word in [*words[:1], *rest[not both :]] if word)
                self._fail(token, f"expected a field after {shown(said)}, found {token.shown}", "such as src port 80")
        return tuple(DIRECTIONS.get(spelling, Direction.NONE) for spelling in spellings)

    def _known(self, start: Token, name: str, directions: tuple[Direction, ...], every: bool) -> tuple[Direction, ...]:
        """Check that a field has the directions, and return their canonical form."""
        field = FIELDS[name]
        found = []
        for direction in directions:
            canonical = Direction.NONE if direction is field.same else direction
            if canonical not in field.columns:
                accepted = ", ".join(f"{d.value} {name}".strip() for d in field.columns)
                problem = f"{name} has no direction {direction.value}" if direction.value else f"{name} needs a direction"
                self._fail(start, problem, f"accepted: {accepted}")
            found.append(canonical)
        if not every:
            for either, ends in field.ends.items():
                if set(found) == set(ends):
                    return (either,)
        return tuple(found)

    # -- what is no term

    def _is_not_held(self) -> bool:
        return any(self._keys(length) in NOT_HELD for length in range(1, LONGEST_PHRASE + 1))

    def _unknown(self, token: Token) -> NoReturn:
        """Report a token that begins no term."""
        word = token.key
        if token.kind != "word" or word in BINDING:
            hint = "remove the quotes" if token.kind == "quoted" else "such as port 80, ip 10.0.0.1 or proto tcp"
            self._fail(token, f"expected a term, found {token.shown}", hint)
        if (at := word.find(":")) > 0 and word[:at] in QUALIFIERS:
            self._fail(token, f"unexpected ':' in {token.shown}", f"write {word[:at]} port {token.bare[at + 1 :]}")
        self._refused(token)
        if looks_like(Kind.ADDRESS, word) and ("." in word or ":" in word):
            self._fail(token, f"the address {token.shown} stands alone", f"write {'net' if '/' in word else 'ip'} {token.bare}")
        if word.isdigit():
            self._fail(token, f"the number {token.shown} stands alone", f"write port {word}, or what else is {word}")
        close = get_close_matches(word[:64], WORDS, 1) if len(word) > 1 else []
        self._fail(token, f"unknown word {token.shown}", f"did you mean {close[0]}?" if close else "such as port 80 or ip 10.0.0.1")

    def _refused(self, token: Token) -> None:
        """Report a token that is a word of the language, but no term of this one."""
        for length in range(LONGEST_PHRASE, 0, -1):
            if (reason := NOT_HELD.get(self._keys(length))) is not None:
                problem, hint = reason
                self._fail(token, f"{shown(' '.join(self._keys(length)))}: {problem}", hint)
        if token.key in PACKET_LEVEL:
            self._fail(token, f"{token.shown} looks into packets, which flows do not hold", "use the probe's BPF filter")
        if token.key in NOT_HERE:
            self._fail(token, f"{token.shown} is not taken here", "saved filters, files and FILTER of a command may have it")
        if token.key in HEADS:
            after = self._peek()
            self._fail(after, f"expected more after {token.shown}, found {after.shown}", f"accepted: {HEADS[token.key]}")

    def _no_field(self, words: list[str]) -> NoReturn:
        """Report that no field follows a direction."""
        token = self._token
        self._refused(token)
        spelling = " ".join(word for word in words if word)
        directions = {DIRECTIONS[spelling]} if spelling in DIRECTIONS else ENDS
        phrases = {phrase[0]: name for phrase, name in PHRASES.items() if len(phrase) == 1}
        fitting = [word for word, name in phrases.items() if directions <= {*FIELDS[name].columns, FIELDS[name].same}]
        close = get_close_matches(token.key[:64], fitting, 1) if token.kind == "word" else []
        hint = "such as src port 80 or dst ip 10.0.0.1"
        if "ip" in fitting and looks_like(Kind.ADDRESS, token.text):
            hint = f"write {spelling} ip {token.bare}"
        elif token.key == "[" and words[-1] == "in":
            hint = f"write {words[0].replace('in', 'src')} ip in [192.0.2.1 198.51.100.0/24]"
        elif close:
            hint = f"did you mean {close[0]}?"
        elif fitting and directions != ENDS:
            hint = f"{spelling} goes with {', '.join(dict.fromkeys(phrases[word] for word in fitting))}"
        self._fail(token, f"expected a field after {shown(self._before.text)}, found {token.shown}", hint)

    def _side_by_side(self, token: Token) -> NoReturn:
        """Report a token that no connective joins to what stands before it."""
        if token.key == ")":
            self._fail(token, "')' closes no bracket", "remove it")
        before = self._before
        if self._last and before.kind != "symbol" and (token.key == "," or looks_like(self._last.field.kind, token.text)):
            more = self._peek() if token.key == "," else token
            listed = f"write {self._last.word} in [{before.bare} {more.bare}] for several"
            hint = "join the two with 'or'" if self._last.field.kind in UNLISTED else listed
            if self._last.field.kind is Kind.TIME and ":" in token.text:
                hint = f"write {before.bare}T{token.bare}"
            self._fail(token, f"unexpected {token.shown} after {before.shown}", hint)
        if before.key in QUALIFIERS and looks_like(Kind.PORT, token.text):
            self._fail(token, f"unexpected {token.shown} after {before.shown}", f"write {before.bare} port {token.bare}")
        hint = "join the two terms with one of them"
        if token.key in MULTIPLIERS and before.text.isdigit():
            hint = f"write {before.text}{token.text}, without a space"
        elif token.key not in WORDS and (close := get_close_matches(token.key[:64], ("and", "or"), 1, 0.5)):
            hint = f"did you mean {close[0]}?"
        self._fail(token, f"expected 'and' or 'or' before {token.shown}", hint)
