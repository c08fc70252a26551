"""Templates: `{{name}}` and `{{ name | fallback }}` in a text, filled in for one recipient.

One pass: a text is cut into literals and slots once, and values are put into the slots as they are. What a value
contains is never looked at again, so a recipient called "{{phone}}" gets exactly that name.

Names are letters of any script, digits, `_`, `-`, `.` and inner spaces; they are compared without regard to case and
to the number of spaces, because they come from the headers of contact files. A value that is absent, None, not
finite, or nothing but spaces is *missing*: the next source of values is asked, then the fallback is used, and with
neither it is an error. Pure: no clock, no network, no database.
"""

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

MAX_TEXT = 5_000

Value = str | int | float | bool | None

_OPEN, _CLOSE = "{{", "}}"
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")  # NUL and lone surrogates: no database or JSON takes them
_NAME_SIGNS = frozenset("_-. \N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")


class TemplateSyntaxError(ValueError):
    """A template that cannot be understood; `position` counts characters from 0."""

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(f"{problem} (at character {position + 1})")
        self.problem = problem
        self.position = position


class MissingVariables(ValueError):
    """Variables without a fallback that have no value; `names` as the template writes them."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"no value for {', '.join(names)}")
        self.names = names


class TextTooLong(ValueError):
    """A text of `length` characters, where at most `limit` are sent."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"the text has {length} characters, at most {limit} are possible")
        self.length = length
        self.limit = limit


@dataclass(frozen=True, slots=True)
class _Slot:
    key: str
    fallback: str | None


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text; made by `parse_template`, used for any number of recipients."""

    variables: tuple[str, ...]
    """All names, as first written, in the order in which they appear."""
    required: tuple[str, ...]
    """Those that stand without a fallback at least once."""
    _names: Mapping[str, str]  # by the form in which names are compared
    _parts: tuple[str | _Slot, ...]

    def render(self, *sources: Mapping[str, Value]) -> str:
        """The text for one recipient; the first source that has a value for a name wins.

        Usually two: the recipient's own values, then those of the whole campaign. Raises `MissingVariables`, and
        `TypeError` for a value that is not a `Value`.
        """
        values = {key: _find(key, name, sources) for key, name in self._names.items()}
        if missing := tuple([name for name in self.required if values[fold_name(name)] is None]):
            raise MissingVariables(missing)
        return "".join([part if isinstance(part, str) else _fill(part, values) for part in self._parts])


def parse_template(text: str) -> Template:
    """Cut a text into literals and slots. Raises `TemplateSyntaxError`, which says where."""
    text = sendable(text)
    parts: list[str | _Slot] = []
    names: dict[str, str] = {}
    required: dict[str, str] = {}
    end = 0
    while (start := text.find(_OPEN, end)) >= 0:
        parts.append(_literal(text, end, start))
        name, slot, end = _slot(text, start)
        names.setdefault(slot.key, name)
        if slot.fallback is None:
            required.setdefault(slot.key, names[slot.key])
        parts.append(slot)
    parts.append(_literal(text, end, len(text)))
    return Template(tuple(names.values()), tuple(required.values()), names, tuple(part for part in parts if part))


def check_length(text: str, limit: int = MAX_TEXT) -> str:
    """The text itself, or `TextTooLong`."""
    if len(text) > limit:
        raise TextTooLong(len(text), limit)
    return text


def sendable(text: str) -> str:
    """The text without NUL and lone surrogates."""
    return _UNSENDABLE.sub("", text)


@lru_cache(maxsize=4096)
def fold_name(name: str) -> str:
    """The form in which two names are compared: "First  Name" and "first name" are one."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def _literal(text: str, start: int, end: int) -> str:
    stray = text.find(_CLOSE, start, end)
    if stray >= 0:
        raise TemplateSyntaxError("}} without {{ before it", stray)
    return text[start:end]


def _slot(text: str, start: int) -> tuple[str, _Slot, int]:
    """The name, the slot and the end of the marker that begins at `start`."""
    close = text.find(_CLOSE, start)
    inner = text[start + len(_OPEN) : close]
    if close < 0 or _OPEN in inner:
        raise TemplateSyntaxError("{{ without }} after it", start)
    name, bar, fallback = inner.partition("|")
    name = name.strip()
    if not name:
        raise TemplateSyntaxError("there is no name between {{ and }}", start)
    if not all(map(_may_be_in_a_name, name)):
        raise TemplateSyntaxError(f"{name!r} is not a name: letters, digits, spaces, _ - and . may be in it", start)
    return name, _Slot(fold_name(name), fallback.strip() if bar else None), close + len(_CLOSE)


def _may_be_in_a_name(char: str) -> bool:
    # Vowel signs of many scripts are marks (M*), not letters.
    return char.isalnum() or char in _NAME_SIGNS or unicodedata.category(char)[0] == "M"


def _fill(slot: _Slot, values: Mapping[str, str | None]) -> str:
    value = values[slot.key]
    return value if value is not None else slot.fallback or ""


def _find(key: str, name: str, sources: tuple[Mapping[str, Value], ...]) -> str | None:
    for source in sources:
        if (text := _text(source.get(name))) is not None:
            return text
        for written, value in source.items():
            if fold_name(written) == key and (text := _text(value)) is not None:
                return text
    return None


def _text(value: Value) -> str | None:
    """A value as it stands in a message; None if there is nothing to say. 3.0 is "3", True is "true"."""
    if isinstance(value, str):
        text = sendable(value)
        return text if text and not text.isspace() else None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    raise TypeError(f"a variable is a text or a number, not {type(value).__name__}")
