"""A campaign as the form for a new one says it, and as the API takes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from admin.console.forms import quiet_hours
from admin.console.times import clock_time
from campaigns.sending.rendering import MissingVariables, TemplateSyntaxError, Value, fold_name, parse_template
from gateway.errors import FieldError, ValidationFailed

MAX_FIELD_BYTES = 32 * 1024 * 1024
"""Of a pasted list; a file may be as large as a request."""
FIELDS = ("contacts", "text", "media", "senders", "start", "zone", "quiet", "name")
"""The places of the form beside which something can be told to be wrong."""
PLACES = {
    "file": "contacts",
    "phone_column": "contacts",
    "recipients": "contacts",
    "template": "text",
    "media_url": "media",
    "sender_number": "senders",
    "sender_numbers": "senders",
    "start_at": "start",
    "timezone": "zone",
    "quiet_hours": "quiet",
    "name": "name",
}
"""Where on the form that is which the API calls so."""

File = tuple[str, bytes, str]


class SampleRow(BaseModel):
    """One of the first people of a list, for whom the message is shown while it is written."""

    phone_number: str = Field(max_length=40)
    variables: dict[str, Value]


_SAMPLES: TypeAdapter[list[SampleRow]] = TypeAdapter(list[SampleRow])


@dataclass(frozen=True, slots=True)
class Bubble:
    """How one person's message would read; `missing` are the variables without a value, and then there is no text."""

    phone_number: str
    text: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form says. `contacts` is the list as a file, whether it was one or was pasted; None is neither."""

    contacts: File | None
    phone_column: str
    text: str
    media_url: str
    senders: list[str]
    fields: Mapping[str, str] = field(default_factory=dict)

    def require_all(self) -> None:
        """Refuse a form on which something is missing without which nothing can be asked.

        Raises:
            ValidationFailed: naming all that is.
        """
        missing = [
            *([] if self.contacts else [FieldError("file", "paste some numbers, or choose a file", "missing")]),
            *([] if self.senders else [FieldError("sender_number", "choose who sends", "missing")]),
        ]
        if missing:
            raise ValidationFailed("something is missing", errors=missing)

    def request(self, people: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The body of `/api/send` and its preview, to these rows of the contact list.

        Raises:
            ValidationFailed: there is nobody, or the time to begin is none.
        """
        if not people:
            raise wrong("file", "there is nobody to write to in these contacts")
        used = _used_names(self.text)
        return {
            "sender_number": self.senders[0],
            "sender_numbers": self.senders[1:],
            "template": self.text,
            "media_url": self.media_url or None,
            "recipients": [
                {
                    "phone": one["phone_number"],
                    "variables": {name: value for name, value in one["variables"].items() if fold_name(name) in used},
                }
                for one in people
            ],
            "name": self.fields["name"].strip(),
            "priority": self.fields["priority"] or "normal",
            "timezone": self.fields["zone"] or "UTC",
            "start_at": self._start_at(),
            "on_bad_row": "partial",
            **quiet_hours(self.fields["quiet_from"], self.fields["quiet_to"]),
        }

    def _start_at(self) -> str | None:
        if self.fields["when"] != "later":
            return None
        return clock_time(self.fields["start"], self.fields["zone"], "start_at")


async def read_draft(request: Request) -> Draft:
    """What a form of ours, or a part of it, has sent."""
    async with request.form(max_part_size=MAX_FIELD_BYTES) as form:
        names = ("name", "priority", "when", "start", "zone", "quiet_from", "quiet_to", "key", "samples")
        return Draft(
            contacts=await _contacts_of(form),
            phone_column=_word(form, "phone_column"),
            text=_word(form, "text").replace("\r\n", "\n"),
            media_url=_word(form, "media_url"),
            senders=[one for one in form.getlist("senders") if isinstance(one, str)],
            fields={name: _word(form, name) for name in names},
        )


async def read_upload(request: Request, name: str) -> File:
    """The file in a form's field.

    Raises:
        ValidationFailed: there is none.
    """
    async with request.form() as form:
        if (found := await _file_of(form, name)) is None:
            raise wrong("media_url", "choose a file")
        return found


def bubbles(text: str, samples: str) -> list[Bubble]:
    """How the message reads for the first people of the list (as JSON), or for nobody in particular.

    Raises:
        ValidationFailed: the text cannot be understood.
    """
    try:
        template, rows = parse_template(text), _SAMPLES.validate_json(samples or "[]")
    except TemplateSyntaxError as error:
        raise wrong("template", str(error)) from None
    except ValidationError:
        raise wrong("file", "these contacts cannot be read any more: load the page again") from None
    shown: list[Bubble] = []
    for row in rows:
        try:
            shown.append(Bubble(row.phone_number, template.render(row.variables)))
        except MissingVariables as error:
            shown.append(Bubble(row.phone_number, "", error.names))
    return shown if rows else [Bubble("", text)]


def insertable(columns: Sequence[str], phone_column: str) -> list[str]:
    """The columns that a text can name."""
    return [name for name in columns if name != phone_column and _is_name(name)]


def places_of(errors: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The API's errors by their places on the form, and those that have none there."""
    placed: dict[str, str] = {}
    others: list[str] = []
    for name, message in errors.items():
        place = PLACES.get(name.partition(".")[0])
        if place is None:
            others.append(f"{name}: {message}" if name else message[:1].upper() + message[1:])
        else:
            placed.setdefault(place, message[:1].upper() + message[1:])
    return placed, others


def wrong(name: str, message: str) -> ValidationFailed:
    """An error of a field, as the API would tell it."""
    return ValidationFailed(f"{name}: {message}", errors=[FieldError(name, message, "invalid")])


def _used_names(text: str) -> frozenset[str]:
    try:
        return frozenset(map(fold_name, parse_template(text).variables))
    except TemplateSyntaxError:
        return frozenset()  # the API tells what is wrong with it


def _is_name(name: str) -> bool:
    try:
        return bool(parse_template("{{" + name + "}}").variables)
    except TemplateSyntaxError:
        return False


async def _contacts_of(form: FormData) -> File | None:
    if (found := await _file_of(form, "contacts_file")) is not None:
        return found
    pasted = _word(form, "contacts_text")
    return ("pasted.csv", pasted.encode(), "text/csv") if pasted.strip() else None


async def _file_of(form: FormData, name: str) -> File | None:
    found = form.get(name)
    if not isinstance(found, UploadFile) or not found.filename:
        return None
    return found.filename, await found.read(), found.content_type or "application/octet-stream"


def _word(form: FormData, name: str) -> str:
    found = form.get(name, "")
    return found if isinstance(found, str) else ""
