"""What can be asked: each function makes one request and says how its answer is read. Nothing is sent here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from whatsapp_scheduler.models import Group, Message, Page, Recipient, Schedule

T = TypeVar("T")
PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how its answer is read: its JSON, or the bytes of a file. `content` is sent as it is."""

    method: str
    path: str
    read: Callable[[Any], T]
    body: Any = None
    query: dict[str, Any] | None = None
    content: bytes | None = None
    content_type: str = ""
    is_file: bool = False


def path_of(*parts: str) -> str:
    """The path of a resource; ids may be anything."""
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


def given(**fields: Any) -> dict[str, Any]:
    """The fields that were given, as JSON has them."""
    return {name: as_json(value) for name, value in fields.items() if value is not None}


def as_json(value: Any) -> Any:
    """A time as text. One without a zone would be somebody's guess.

    Raises:
        ValueError: it has no zone.
    """
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError("the time has no zone: give it one, such as datetime.UTC")
    return value.isoformat()


def nothing(_: Any) -> None:
    """The answer to what answers nothing."""


# --- messages


def list_messages(
    *,
    search: str | None = None,
    sort_by: str | None = None,
    sort_order: str | None = None,
    page: int = 1,
    per_page: int = PER_PAGE,
) -> Call[Page[Message]]:
    """A page of saved texts, newest first."""
    query = given(search=search, sort_by=sort_by, sort_order=sort_order, page=page, per_page=per_page)
    return Call("GET", path_of("messages"), Page[Message].model_validate, query=query)


def create_message(*, title: str, content: str) -> Call[Message]:
    """Save a text; `{{name}}` is a variable."""
    return Call("POST", path_of("messages"), Message.model_validate, given(title=title, content=content))


def get_message(message_id: str) -> Call[Message]:
    """One text, with its counts."""
    return Call("GET", path_of("messages", message_id), Message.model_validate)


def update_message(message_id: str, *, title: str, content: str) -> Call[Message]:
    """Change a text."""
    return Call("PUT", path_of("messages", message_id), Message.model_validate, given(title=title, content=content))


def delete_message(message_id: str) -> Call[None]:
    """Remove a text that nothing needs."""
    return Call("DELETE", path_of("messages", message_id), nothing)


# --- recipients


def list_recipients(
    *, search: str | None = None, group_id: str | None = None, page: int = 1, per_page: int = PER_PAGE
) -> Call[Page[Recipient]]:
    """A page of recipients."""
    query = given(search=search, group_id=group_id, page=page, per_page=per_page)
    return Call("GET", path_of("recipients"), Page[Recipient].model_validate, query=query)


def create_recipient(
    *,
    name: str,
    phone_number: str,
    group_ids: Sequence[str] | None = None,
    variables: dict[str, Any] | None = None,
) -> Call[Recipient]:
    """Add somebody; `variables` are for templates."""
    body = given(name=name, phone_number=phone_number, group_ids=listed(group_ids), variables=variables)
    return Call("POST", path_of("recipients"), Recipient.model_validate, body)


def get_recipient(recipient_id: str) -> Call[Recipient]:
    """One recipient, with their groups and what they were sent."""
    return Call("GET", path_of("recipients", recipient_id), Recipient.model_validate)


def update_recipient(
    recipient_id: str,
    *,
    name: str,
    phone_number: str,
    group_ids: Sequence[str] | None = None,
    variables: dict[str, Any] | None = None,
) -> Call[Recipient]:
    """Change somebody; without `group_ids` they stay in their groups."""
    body = given(name=name, phone_number=phone_number, group_ids=listed(group_ids), variables=variables)
    return Call("PUT", path_of("recipients", recipient_id), Recipient.model_validate, body)


def delete_recipient(recipient_id: str) -> Call[None]:
    """Remove somebody, from all groups too."""
    return Call("DELETE", path_of("recipients", recipient_id), nothing)


# --- groups

_GROUPS = ("recipients", "groups")


def list_groups(
    *, include_recipients: bool | None = None, page: int = 1, per_page: int = PER_PAGE
) -> Call[Page[Group]]:
    """A page of groups."""
    query = given(include_recipients=include_recipients, page=page, per_page=per_page)
    return Call("GET", path_of(*_GROUPS), Page[Group].model_validate, query=query)


def create_group(
    *, name: str, description: str | None = None, recipient_ids: Sequence[str] | None = None
) -> Call[Group]:
    """Make a group."""
    body = given(name=name, description=description, recipient_ids=listed(recipient_ids))
    return Call("POST", path_of(*_GROUPS), Group.model_validate, body)


def get_group(group_id: str) -> Call[Group]:
    """One group with its members."""
    return Call("GET", path_of(*_GROUPS, group_id), Group.model_validate)


def set_members(group_id: str, recipient_ids: Sequence[str]) -> Call[Group]:
    """Make these the members, and nobody else."""
    return _members("PUT", group_id, recipient_ids)


def add_members(group_id: str, recipient_ids: Sequence[str]) -> Call[Group]:
    """Add members."""
    return _members("POST", group_id, recipient_ids)


def remove_members(group_id: str, recipient_ids: Sequence[str]) -> Call[Group]:
    """Take members out; they stay recipients."""
    return _members("DELETE", group_id, recipient_ids)


def _members(method: str, group_id: str, recipient_ids: Sequence[str]) -> Call[Group]:
    body = {"recipient_ids": list(recipient_ids)}
    return Call(method, path_of(*_GROUPS, group_id, "recipients"), Group.model_validate, body)


def delete_group(group_id: str) -> Call[None]:
    """Remove a group that nothing needs; its members stay recipients."""
    return Call("DELETE", path_of(*_GROUPS, group_id), nothing)


# --- schedules


def list_schedules(
    *,
    status: str | None = None,
    from_date: datetime | str | None = None,
    to_date: datetime | str | None = None,
    message_id: str | None = None,
    group_id: str | None = None,
    page: int = 1,
    per_page: int = PER_PAGE,
) -> Call[Page[Schedule]]:
    """A page of schedules."""
    query = given(
        status=status,
        from_date=from_date,
        to_date=to_date,
        message_id=message_id,
        group_id=group_id,
        page=page,
        per_page=per_page,
    )
    return Call("GET", path_of("schedules"), Page[Schedule].model_validate, query=query)


def create_schedule(
    *, message_id: str, group_id: str, scheduled_time: datetime | str, **options: Any
) -> Call[Schedule]:
    """Have a message sent to a group at a time; `options` are the other fields of the API, such as `sender_number`."""
    body = given(message_id=message_id, group_id=group_id, scheduled_time=scheduled_time, **options)
    return Call("POST", path_of("schedules"), Schedule.model_validate, body)


def get_schedule(schedule_id: str) -> Call[Schedule]:
    """One schedule, with what became of each recipient."""
    return Call("GET", path_of("schedules", schedule_id), Schedule.model_validate)


def cancel_schedule(schedule_id: str) -> Call[Schedule]:
    """Have a pending one not sent."""
    return Call("PUT", path_of("schedules", schedule_id, "cancel"), Schedule.model_validate)


def send_now(schedule_id: str) -> Call[Schedule]:
    """Have a pending one sent at once."""
    return Call("POST", path_of("schedules", schedule_id, "send-now"), Schedule.model_validate)


def archive_schedule(schedule_id: str) -> Call[Schedule]:
    """Put away one that is over."""
    return Call("PUT", path_of("schedules", schedule_id, "archive"), Schedule.model_validate)


def delete_schedule(schedule_id: str) -> Call[None]:
    """Remove one that was cancelled or failed."""
    return Call("DELETE", path_of("schedules", schedule_id), nothing)


def listed(ids: Sequence[str] | None) -> list[str] | None:
    """Ids as JSON has them."""
    return None if ids is None else list(ids)


def request_of(client: httpx.Client | httpx.AsyncClient, call: Call[Any], headers: dict[str, str]) -> httpx.Request:
    """The request of a call, for one of httpx's clients."""
    if call.content is None:
        return client.build_request(call.method, call.path, json=call.body, params=call.query, headers=headers)
    headers = headers | {"Content-Type": call.content_type}
    return client.build_request(call.method, call.path, content=call.content, params=call.query, headers=headers)
