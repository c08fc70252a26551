"""Errors about fields, by the names that a door has for them."""

import re
from collections.abc import Mapping
from dataclasses import replace

from gateway.errors import ValidationFailed

_FIRST_WORD = re.compile(r"^[a-z_]+")


def renamed(error: ValidationFailed, names: Mapping[str, str]) -> ValidationFailed:
    """The same error about the fields as a door calls them: `names` are by the name that they have behind it."""
    fields = [replace(one, field=_name(one.field, names)) for one in error.errors]
    detail = _FIRST_WORD.sub(lambda found: names.get(found[0], found[0]), error.detail, count=1)
    made = type(error)(detail, errors=fields)
    made.extra = error.extra
    return made


def _name(field: str, names: Mapping[str, str]) -> str:
    head, dot, rest = field.partition(".")
    return f"{names.get(head, head)}{dot}{rest}"
