"""From a request's recipients to messages: read, deduplicate, render. Pure, and meant for a worker thread."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from campaigns.sending.rendering import (
    MissingVariables,
    Template,
    TemplateSyntaxError,
    TextTooLong,
    check_length,
    parse_template,
)
from campaigns.sending.schemas import Recipient
from gateway.errors import FieldError, InvalidNumber, ValidationFailed
from gateway.phone import InvalidPhoneNumber, PhoneNumber

MAX_TOLD = 100
"""How many bad rows an answer names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A recipient that cannot be written to."""

    index: int
    recipient: str
    reason: str
    code: str
    field: str


Row: TypeAlias = tuple[str, str, str | None]
"""A message to be: digits, grade, and text, which is None where it is the template as it stands.

A plain tuple of texts: of those Python's garbage collector, which stops all threads, need not look at every one.
"""


@dataclass(slots=True)
class Prepared:
    """What became of a request's recipients."""

    rows: list[Row] = field(default_factory=list)
    duplicates: int = 0
    invalid: list[Bad] = field(default_factory=list)
    missing: list[Bad] = field(default_factory=list)
    grades: Counter[str] = field(default_factory=Counter)

    @property
    def bad(self) -> list[Bad]:
        """All bad rows in the order of the request."""
        return sorted([*self.invalid, *self.missing], key=lambda row: row.index)


def read_template(text: str, field: str = "template") -> Template:
    """Parse the template in a request's `field`.

    Raises:
        ValidationFailed: it has a syntax error; the message says where.
    """
    try:
        return parse_template(text)
    except TemplateSyntaxError as error:
        message = str(error)
        raise ValidationFailed(f"{field}: {message}", errors=[FieldError(field, message, "template_syntax")]) from None


def prepare(
    template: Template,
    recipients: Iterable[str | Recipient],
    variables: Mapping[str, Any],
    read: Callable[[str], PhoneNumber],
) -> Prepared:
    """Read each number once, keep the first of each, and render its text.

    `read` raises `InvalidPhoneNumber` for what is no number.
    """
    result = Prepared()
    seen: set[str] = set()
    plain = not template.variables
    for index, item in enumerate(recipients):
        text, own = (item, {}) if isinstance(item, str) else (item.phone, item.variables)
        try:
            phone = read(text)
        except InvalidPhoneNumber as error:
            result.invalid.append(Bad(index, text, str(error), "invalid_format", f"recipients.{index}"))
            continue
        if phone.digits in seen:
            result.duplicates += 1
            continue
        seen.add(phone.digits)
        try:
            rendered = None if plain else check_length(template.render(own, variables))
        except MissingVariables as error:
            reason = f"no value for {', '.join(error.names)}"
            result.missing.append(Bad(index, text, reason, "missing_variable", f"recipients.{index}.variables"))
            continue
        except TextTooLong as error:
            result.invalid.append(Bad(index, text, str(error), "text_too_long", f"recipients.{index}"))
            continue
        result.rows.append((phone.digits, phone.grade, rendered))
        result.grades[phone.grade] += 1
    return result


def bad_rows(prepared: Prepared) -> list[dict[str, Any]]:
    """The bad rows of a submission, as an answer names them."""
    return [
        {"index": row.index, "recipient": row.recipient, "reason": row.reason, "code": row.code}
        for row in prepared.bad[:MAX_TOLD]
    ]


def refuse_bad_rows(prepared: Prepared) -> None:
    """Strict: one bad row refuses the whole request.

    Raises:
        InvalidNumber: all that is wrong are numbers.
        ValidationFailed: variables are missing, or a text is too long.
    """
    bad = prepared.bad
    if not bad:
        return
    errors = [FieldError(row.field, f"{row.recipient}: {row.reason}", row.code) for row in bad[:MAX_TOLD]]
    count = f"{len(bad)} of the recipients cannot be written to"
    only_numbers = all(row.code == "invalid_format" for row in bad)
    raise (InvalidNumber if only_numbers else ValidationFailed)(f"{count}; nothing was queued", errors=errors)
