"""What the forms of the console have in common: what was wrong with them, and the numbers that people type.

Errors are sentences by the name of the form's field; what no field that is shown is to blame for is under the empty
name, and stands above the form.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

from admin.console.own_api import Refused

Errors = dict[str, str]
NOT_OF_THE_FORM = (401, 403, 404)
BAD_GATEWAY = 502
"""A server that was named in a form does not answer: that is a matter of the form."""


class NotANumber(Exception):
    """A field holds something else than a number."""

    def __init__(self, name: str) -> None:
        self.errors = {name: "Is not a number."}
        super().__init__(name)


def errors_of(
    refused: Refused, shown: Collection[str], others: Mapping[str, str] | None = None, *, conflict: str = ""
) -> Errors:
    """What a refusal of the API means for a form that shows these fields.

    A field of the API that has parts (`senders.0`) is its first word in a form; `others` are fields that have another
    name here. `conflict` is the field to blame where there is such a thing already.

    Raises:
        Refused: it is no matter of what was typed, so the page says it as a note.
    """
    if refused.status in NOT_OF_THE_FORM or (refused.status >= 500 and refused.status != BAD_GATEWAY):
        raise refused
    if refused.status == 409 and conflict:
        return {conflict: as_sentence(refused.detail)}
    errors: Errors = {}
    names = others or {}
    for name, message in refused.errors.items():
        word = name.partition(".")[0]
        field = names.get(name) or names.get(word) or word
        if field in shown:
            errors.setdefault(field, as_sentence(message))
        else:
            errors.setdefault("", as_sentence(f"{name}: {message}"))
    return errors or {"": as_sentence(refused.detail)}


def as_sentence(text: str) -> str:
    """A reason with a capital and a full stop."""
    ended = text if text.endswith((".", "!", "?")) else f"{text}."
    return ended[:1].upper() + ended[1:]


def optional_number(name: str, text: str) -> float | int | None:
    """What was typed into a field as a number; None where nothing was.

    Raises:
        NotANumber: it is something else.
    """
    said = text.strip().replace(",", ".")
    if not said:
        return None
    try:
        value = float(said)
    except ValueError:
        raise NotANumber(name) from None
    if not math.isfinite(value):  # JSON has no word for it
        raise NotANumber(name)
    return int(value) if value.is_integer() else value


def quiet_hours(begins: str, ends: str) -> dict[str, Any]:
    """The quiet hours of a form, for a request; nothing where none are typed, and then the account's hold."""
    return {"quiet_hours": {"from": begins, "to": ends}} if begins or ends else {}
