"""Texts without regard to case, the same on both databases: SQLite's `lower()` and `LIKE` know ASCII only.

What is searched or sorted is kept folded in a column of its own, and compared by code points.
"""

import unicodedata

from sqlalchemy import ColumnElement, Text
from sqlalchemy.dialects import postgresql

FOLDED = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""The type of a column of folded texts. A collation of PostgreSQL's own would sort otherwise than SQLite."""


def fold(text: str) -> str:
    """The form in which texts are searched and sorted: "ZOË  Ada" and "zoë ada" are one.

    This is Unicode's canonical caseless matching (definition D145), in composed characters.
    """
    decomposed = unicodedata.normalize("NFD", " ".join(text.split()))
    return unicodedata.normalize("NFC", decomposed.casefold())


def contains(column: ColumnElement[str], folded: str) -> ColumnElement[bool]:
    """Whether a folded column has this folded text in it; `%` and `_` mean themselves."""
    return column.contains(folded, autoescape=True)
