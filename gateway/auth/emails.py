"""Email addresses as names of users: written in any way, compared in one."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_LENGTH = 254
_FORM = re.compile(r"[^@\s]+@[^@\s]+")


def fold(text: str) -> str:
    """`text` trimmed and without differences of case and of Unicode's spellings.

    Raises:
        ValueError: it is no address; the message does not repeat it.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text.strip()).casefold())
    if not _FORM.fullmatch(folded) or not folded.isprintable():
        raise ValueError("is not an email address")
    if len(folded) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    return folded


Email = Annotated[str, Field(max_length=1000, examples=["user@example.com"]), AfterValidator(fold)]
"""An email address in a request, folded."""
