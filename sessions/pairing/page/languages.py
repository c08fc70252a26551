"""The languages of the pairing page: one catalogue of sentences for each, and which of them a visitor reads."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson
from markupsafe import Markup, escape

FOLDER = Path(__file__).parent / "words"
NAMES: Mapping[str, str] = {
    "en": "English",
    "fr": "Français",
    "ar": "العربية",
    "es": "Español",
    "pt": "Português",
}
"""Each language by its code, in its own words, in the order in which they are offered."""
DEFAULT = "en"
_RIGHT_TO_LEFT = frozenset({"ar"})
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_QUALITY = re.compile(r"q=([01](?:\.[0-9]{0,3})?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Language:
    """A language and its sentences, which may have `{placeholders}` in them."""

    code: str
    words: Mapping[str, str]

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return "rtl" if self.code in _RIGHT_TO_LEFT else "ltr"

    def say(self, key: str, **values: object) -> Markup:
        """The sentence `key` as HTML; values that are no `Markup` are escaped.

        Raises:
            KeyError: there is no such sentence, or a value for its placeholder is missing.
        """
        text = str(escape(self.words[key]))
        return Markup(_PLACEHOLDER.sub(lambda found: str(escape(values[found[1]])), text))  # noqa: S704 - escaped above


@cache
def read_language(code: str) -> Language:
    """A language of `NAMES`."""
    return Language(code, orjson.loads((FOLDER / f"{code}.json").read_bytes()))


def placeholders(text: str) -> list[str]:
    """The names of the placeholders in a sentence, sorted."""
    return sorted(_PLACEHOLDER.findall(text))


def choose(asked: str, accepted: str) -> Language:
    """The language that a visitor `asked` for by its code, or else the best of what their browser accepts.

    `accepted` is the header `Accept-Language`.
    """
    if asked in NAMES:
        return read_language(asked)
    best, best_quality = DEFAULT, 0.0
    for entry in accepted.lower().split(","):
        tag, *parameters = (part.strip() for part in entry.split(";"))
        code = tag.partition("-")[0]
        quality = _quality(parameters)
        if code in NAMES and quality > best_quality:
            best, best_quality = code, quality
    return read_language(best)


def _quality(parameters: list[str]) -> float:
    """How much a language is wanted, 0 to 1; what cannot be read is not wanted."""
    if not parameters:
        return 1.0
    found = _QUALITY.fullmatch(parameters[0].replace(" ", ""))
    return min(1.0, float(found[1])) if found else 0.0
