"""What somebody means who writes one of the words that stop messages, or start them again. Pure.

Only a whole message counts: "stop" does, "don't stop" does not. Case, accents, width, invisible characters and signs
around it do not matter, by Unicode's own rules, so that "¡Stop!" and "ＳＴＯＰ" are the same word.
"""

import unicodedata
from collections.abc import Iterable
from enum import StrEnum

LONGEST = 200
"""Characters of a message that may be a keyword, with all the signs around it; what is longer is none."""


class Wish(StrEnum):
    """What a whole message asks for."""

    STOP = "stop"
    START = "start"


class Keywords:
    """The words of the settings, folded once."""

    def __init__(self, stop: Iterable[str], start: Iterable[str]) -> None:
        self._wishes = {folded: Wish.START for word in start if (folded := fold_word(word))}
        # whoever is asked to do both does what is safe
        self._wishes |= {folded: Wish.STOP for word in stop if (folded := fold_word(word))}

    def wish_in(self, text: str) -> Wish | None:
        """What a message asks for; None if it is not one of the words."""
        return None if len(text) > LONGEST else self._wishes.get(fold_word(text))


def fold_word(text: str) -> str:
    """The form in which keywords are compared; empty where nothing but signs and space is in the text.

    Compatibility decomposition (width, ligatures, styled letters), full case folding, no marks (accents, vowel signs),
    nothing invisible, no Arabic lengthening; nothing but letters and digits at both ends, single spaces between.
    """
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(char for char in decomposed if not _is_dropped(char))
    words = " ".join(kept.translate(_TURKISH).split())
    start, end = 0, len(words)
    while start < end and not words[start].isalnum():
        start += 1
    while end > start and not words[end - 1].isalnum():
        end -= 1
    return words[start:end]


_TURKISH = str.maketrans({"\N{LATIN SMALL LETTER DOTLESS I}": "i"})
"""Its capital is that of the dotted one, so no fold can tell them apart."""
_LENGTHENING = "\N{ARABIC TATWEEL}"


def _is_dropped(char: str) -> bool:
    """Marks on letters, and what cannot be seen; spaces and line ends stay."""
    if char == _LENGTHENING:
        return True
    category = unicodedata.category(char)
    return category in ("Mn", "Me", "Cf") or (category in ("Cc", "Cn", "Co", "Cs") and not char.isspace())
