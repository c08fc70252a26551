"""What the API answers. Times are `datetime` in UTC; fields that are not named here are in `model_extra`."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Answer(BaseModel):
    """Something that the API told."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Page(Answer, Generic[T]):
    """A part of a list."""

    items: list[T]
    total: int
    page: int
    pages: int
    per_page: int


class Message(Answer):
    """A saved text; the counts are told by `get` only."""

    id: str
    title: str
    content: str
    variables: list[str] = []
    created_at: datetime
    updated_at: datetime
    scheduled_count: int | None = None
    sent_count: int | None = None


class Name(Answer):
    """A message or a group as it is named in something else; without id once it was deleted."""

    id: str | None
    name: str | None = None
    title: str | None = None


class Recipient(Answer):
    """Somebody to write to; the count and the date are told by `get` only."""

    id: str
    name: str
    phone_number: str
    created_at: datetime
    groups: list[Name] = []
    variables: dict[str, Any] = {}
    message_count: int | None = None
    last_message_date: datetime | None = None


class Group(Answer):
    """Recipients by a name. What an answer does not tell is None."""

    id: str
    name: str
    description: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    recipient_count: int | None = None
    recipients: list[Answer] | None = None
    scheduled_messages: int | None = None
    sent_messages: int | None = None


class Schedule(Answer):
    """A message that goes to a group at a time; `status` is pending, processing, sent, failed, cancelled, archived.

    What an answer does not tell is None: those to `cancel`, `send_now` and `archive` are short.
    """

    id: str
    status: str
    message: Name | None = None
    group: Name | None = None
    scheduled_time: datetime | None = None
    created_at: datetime | None = None
    sent_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None
    archived_at: datetime | None = None
    task_id: str | None = None
    recipient_count: int | None = None
    sent_count: int | None = None
    failed_count: int | None = None
    processing_time: int | None = None
    error_message: str | None = None


class Import(Answer):
    """A list that becomes recipients; the counts, from `created` to `blank`, add up to `rows_total` when it is done."""

    id: str
    state: str
    dry_run: bool
    rows_read: int
    rows_total: int | None = None
    created: int
    updated: int
    existing: int
    duplicate: int
    invalid: int
    blank: int
    error_code: str | None = None
    error: str | None = None
    created_at: datetime
    finished_at: datetime | None = None


class ImportRow(Answer):
    """What became of a row; `line` is where it begins in the file, from 1."""

    line: int
    fate: str
    phone_number: str
    name: str
    reason: str


class Delivery(Answer):
    """One event at one webhook; `state` is pending, retrying, delivered or given_up."""

    id: str
    event: str
    timestamp: datetime
    sequence: int | None = None
    data: dict[str, Any]
    state: str
    attempts: int
    status: int | None = None
    response: str = ""
    error: str | None = None
    created_at: datetime
    ended_at: datetime | None = None


class Webhook(Answer):
    """An address that is told of events; its secret is told by `create` and `rotate_secret` only."""

    id: str
    url: str
    events: list[str]
    state: str
    enabled: bool
    description: str = ""
    secret: str | None = None
    signing_secret: str | None = None
    created_at: datetime
