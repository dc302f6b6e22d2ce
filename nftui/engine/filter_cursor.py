"""The place in a filter's text up to which it is read: tokens one after the other, and errors that name the column."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from nftui.engine.filter_syntax import Refused, Token, tokens
from nftui.errors import FilterError

T = TypeVar("T")


class Cursor:
    """The tokens of one text, and which comes next; the last is the end, behind which nothing comes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    @property
    def _before(self) -> Token:
        return self._tokens[max(self._at - 1, 0)]

    def _peek(self, ahead: int = 1) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _next(self, count: int = 1) -> Token:
        """Step over tokens, and return the first of them."""
        token = self._token
        self._at = min(self._at + count, len(self._tokens) - 1)
        return token

    def _keys(self, count: int) -> tuple[str, ...]:
        """Return the keywords that the next tokens may be."""
        return tuple(self._peek(ahead).key for ahead in range(count))

    def _accept(self, *keys: str) -> bool:
        if self._token.key in keys and self._token.kind != "end":
            self._next()
            return True
        return False

    def _fail(self, token: Token, problem: str, hint: str = "") -> NoReturn:
        raise FilterError(self._text, token.column, token.text, problem, hint)

    def _read(self, token: Token, reader: Callable[[str], T], word: str, hint: str = "") -> T:
        """Read a word of a token as a value; an error is the token's, with a hint that is better than the reader's if there is."""
        try:
            return reader(word)
        except Refused as refused:
            self._fail(token, str(refused), hint or refused.hint)
