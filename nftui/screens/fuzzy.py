"""Finding names by a few letters: every word that is typed has to be in the name, whole, begun, or letter by letter in order.

Linear in the length of a name for each word. *Not taken*: all ways in which letters may be found, as Textual's matcher does, which
takes exponential time where letters repeat.
"""

from __future__ import annotations

START, INSIDE, SCATTERED = 4.0, 2.0, 1.0
"""What a word is worth that begins a word of the name, stands in it somewhere, or is there letter by letter."""
WIDEST = 4
"""Letters may be spread over so many times their number."""


def match(typed: str, name: str) -> tuple[float, frozenset[int]] | None:
    """Return how well a name fits, more is better, and which of its characters were found; None where it doesn't.

    Args:
        typed: Words, in any order.
        name: What is searched; the case of neither matters.
    """
    lowered = name.lower()
    if len(lowered) != len(name):
        lowered = name  # places would not be those of the name's characters
    score = 0.0
    places: set[int] = set()
    for word in typed.lower().split():
        found = _word(word, lowered)
        if found is None:
            return None
        worth, taken = found
        score += worth * len(word)
        places.update(taken)
    # Of names that fit as well the shorter is meant.
    return score + 1 / (1 + len(name)), frozenset(places)


def _word(word: str, name: str) -> tuple[float, range | list[int]] | None:
    inside = -1
    place = name.find(word)
    while place >= 0:
        if place == 0 or not name[place - 1].isalnum():
            whole = place + len(word) == len(name) or not name[place + len(word)].isalnum()
            return START + (1 if whole else 0) + (0.5 if place == 0 else 0), range(place, place + len(word))
        inside = place if inside < 0 else inside
        place = name.find(word, place + 1)
    if inside >= 0:
        return INSIDE, range(inside, inside + len(word))
    return _scattered(word, name)


def _scattered(word: str, name: str) -> tuple[float, list[int]] | None:
    """Find letters in order: to the first place where all have been, then back, which makes them as close as they are there."""
    place = -1
    for letter in word:
        place = name.find(letter, place + 1)
        if place < 0:
            return None
    places = [place]
    for letter in reversed(word[:-1]):
        place = name.rfind(letter, 0, place)
        places.append(place)
    places.reverse()
    span = places[-1] - places[0] + 1
    begins = places[0] == 0 or not name[places[0] - 1].isalnum()
    if span > WIDEST * len(word) or not begins:
        return None
    return SCATTERED * len(word) / span, places
