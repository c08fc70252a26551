"""Short, safe lines out of WAHA's answers.

WAHA's 500 body echoes the whole request: text, base64, number. So nothing but one message line is ever taken
out of an answer, and this line goes through `redact`.
"""

import re
from collections.abc import Iterable

MAX_LENGTH = 300
HIDDEN = "[hidden]"

_BASE64 = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
_LONG_NUMBER = re.compile(r"\d{3,}(?=\d{4})")
_MIN_SECRET = 4


def redact(text: str, private: Iterable[str] = ()) -> str:
    """Return one line of at most 300 characters in which no secret is left.

    `private` are strings that we know must not appear (the API key, the text being sent): they are hidden
    whole, and each of their lines. Runs of 7 or more digits keep their last 4; runs that look like base64 or
    keys are hidden.
    """
    text = _one_line(text)
    for piece in _pieces(private):
        text = text.replace(piece, HIDDEN)
    text = _BASE64.sub(HIDDEN, text)
    text = _LONG_NUMBER.sub(lambda run: "*" * len(run.group()), text)
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"


def _pieces(private: Iterable[str]) -> list[str]:
    """Whole strings first, then their lines, longest first; too short ones would hide innocent words."""
    pieces = {_one_line(part) for text in private for part in (text, *text.splitlines())}
    return sorted((piece for piece in pieces if len(piece) >= _MIN_SECRET), key=len, reverse=True)


def _one_line(text: str) -> str:
    return " ".join(text.replace("\x00", " ").split())  # PostgreSQL takes no NUL
