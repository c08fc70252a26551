"""A recipient's variables, checked so that every one of them can be rendered and kept. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from campaigns.sending.rendering import TemplateSyntaxError, Value, fold_name, parse_template
from campaigns.sending.schemas import MAX_VARIABLES
from gateway.errors import FieldError

MAX_NAME = 100
MAX_BYTES = 20_000
"""How long the variables of one recipient may be together, as JSON in UTF-8."""
MAX_INTEGER = 2**63 - 1


class GivenVariable(NamedTuple):
    """One variable, and the field of the request that it came in."""

    field: str
    name: str
    value: Value


def check_variables(given: Sequence[GivenVariable]) -> list[FieldError]:
    """Everything that is wrong with the variables of one recipient."""
    if len(given) > MAX_VARIABLES:
        message = f"at most {MAX_VARIABLES} variables, here are {len(given)}"
        return [FieldError("variables", message, "too_many_variables")]
    errors: list[FieldError] = []
    fields: dict[str, str] = {}
    for field, name, value in given:
        if (wrong := _wrong_name(name) or _wrong_value(value)) is not None:
            errors.append(FieldError(field[:MAX_NAME], *wrong))
        elif (other := fields.setdefault(fold_name(name), field)) is not field:
            message = f"is the same name as {other}: case and spaces make no difference"
            errors.append(FieldError(field, message, "duplicate_name"))
    if not errors and len(orjson.dumps([(name, value) for _, name, value in given])) > MAX_BYTES:
        message = f"the variables are longer than {MAX_BYTES} bytes together"
        errors.append(FieldError("variables", message, "variables_too_long"))
    return errors


def _wrong_name(name: str) -> tuple[str, str] | None:
    """A name is right if the renderer finds it between {{ and }}: nobody else decides what a name is."""
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters", "name_too_long"
    try:
        found = parse_template(f"{{{{{name}}}}}").variables
    except TemplateSyntaxError as error:
        return f"cannot be a variable's name: {error.problem}", "invalid_name"
    return None if found == (name,) else ("cannot be a variable's name", "invalid_name")


def _wrong_value(value: Value) -> tuple[str, str] | None:
    if isinstance(value, str) and "\x00" in value:
        return "contains a NUL character, which no database takes", "invalid_value"
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return "is too long for a number: write it as a text", "invalid_value"
    return None
