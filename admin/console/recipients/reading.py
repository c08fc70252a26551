"""A recipient as the form says it, and as the API takes it: fields of their own are lines such as `city: Paris`."""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel

Value = str | int | float | bool | None
FIELDS = ("name", "phone_number", "groups", "own")
OTHERS = {"group_ids": "groups", "variables": "own"}


class RecipientForm(BaseModel):
    """What the form says; `shown_groups` is there where the form shows all groups that the recipient may be in."""

    name: str = ""
    phone_number: str = ""
    own: str = ""
    groups: list[str] = []
    shown_groups: bool = False
    key: str = ""

    def body(self, before: Mapping[str, Value]) -> dict[str, Any]:
        """As the API takes it; a value that reads as `before` stays what it was, a number for example.

        Raises:
            ValueError: a line names no field.
        """
        groups = {"group_ids": self.groups} if self.shown_groups else {}
        variables = read_own(self.own, before)
        return {"name": self.name, "phone_number": self.phone_number, "variables": variables} | groups


def write_own(variables: Mapping[str, Value]) -> str:
    """Fields as lines; a value that does not fit on one is a text in quotation marks, as in JSON."""
    return "\n".join(f"{name}: {_written(value)}" for name, value in variables.items())


def read_own(text: str, before: Mapping[str, Value]) -> dict[str, Value]:
    """The fields of such lines.

    Raises:
        ValueError: a line names none, or one of them twice.
    """
    found: dict[str, Value] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not name:
            raise ValueError(f"line {number} is not like city: Paris")
        if name in found:
            raise ValueError(f"line {number} names {name[:100]} again")
        found[name] = before[name] if name in before and _written(before[name]) == value else _plain(value)
    return found


def _written(value: Value) -> str:
    if isinstance(value, str):
        return value if value == value.strip() and value.isprintable() and value[:1] != '"' else _quoted(value)
    return "" if value is None else _quoted(value)


def _quoted(value: Value) -> str:
    return orjson.dumps(value).decode()


def _plain(value: str) -> str:
    if value[:1] != '"':
        return value
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return found if isinstance(found, str) else value
