"""Every table with its columns as people read them: what kind each is, where it leads to, and which nobody is shown.

All of it follows from the models, so that a new table is there by itself.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, ColumnElement, Float, Integer, LargeBinary, Table, func
from sqlalchemy import Column as SqlColumn
from sqlmodel import SQLModel
from sqlmodel.main import default_registry

from gateway.db import ID, table_of
from gateway.folding import FOLDED

MOST_SHOWN = 8
"""So many columns a list shows unless somebody wants others."""
_SECRET = re.compile(r"(^|_)(hash|secrets?|encrypted|password|tokens?|credentials?|cookie)(_|$)")
_ALSO_SECRET = frozenset(
    {
        ("rate_limit", "key"),  # a hash of who was counted
        ("idempotency_key", "response"),  # answers, with what is encrypted in them
    }
)
_DURATIONS = frozenset({"value", "max_lateness", "seconds", "message_delay", "extra_delay"})
"""Numbers with a fraction that are no times."""
_PHONES = frozenset({"phone", "number", "sender_number", "person"})
_LEADS = {
    "account_id": "account",
    "answers_id": "message",
    "campaign_id": "campaign",
    "client_id": "client",
    "last_sender_id": "sender",
    "login_id": "login",
    "media_id": "media",
    "message_id": "message",
    "schedule_id": "schedule",
    "sender_id": "sender",
    "series_id": "schedule_series",
    "user_id": "app_user",
}
"""The tables that columns without a foreign key lead to."""
_GROUPS = (
    ("campaigns.sending", "Sending"),
    ("campaigns.schedules", "Sending"),
    ("campaigns.inbox", "Inbox"),
    ("campaigns", "Library"),
    ("sessions", "Senders and servers"),
    ("gateway.auth", "Who may come in"),
    ("admin", "The console"),
    ("gateway.notifications", "Events and webhooks"),
    ("gateway", "The gateway itself"),
)
"""Which tables stand together, by where their models are; the first that fits counts."""
_SHOWN_FIRST: Mapping[str, tuple[str, ...]] = {
    "campaign": ("created_at", "name", "state", "sender_number", "total", "n_queued", "n_failed", "account_id"),
    "message": ("created_at", "phone", "state", "text", "campaign_id", "sender_id", "sent_at", "error_code"),
    "session": ("state", "waha_status", "desired", "server_id", "last_active", "requires_auth", "reason"),
    "webhook_delivery": ("created_at", "kind", "state", "attempts", "status", "error", "ended_at"),
    "webhook_endpoint": ("created_at", "url", "state", "reason", "failures", "last_success_at", "account_id"),
    "lane": ("due_at", "owner", "message_id", "last_answer_at", "sent_today", "resting_until", "resting_code"),
    "server": ("name", "url", "up", "draining", "capacity", "engine", "version", "last_error"),
    "schedule": ("scheduled_time", "title", "group_name", "status", "recipient_count", "created_by", "account_id"),
}
"""The columns that tell most, where these are not the first ones of the table."""
_CHOICES = re.compile(r"^(\w+) IN \((.+)\)$")


class Kind(StrEnum):
    """How a value is read and compared."""

    ID = "id"
    TEXT = "text"
    FOLDED = "folded"
    CHOICE = "choice"
    PHONE = "phone"
    NUMBER = "number"
    TIME = "time"
    YES_NO = "yes_no"
    FILE = "file"


_BY_TYPE = ((LargeBinary, Kind.FILE), (Boolean, Kind.YES_NO), (Float, Kind.TIME), (Integer, Kind.NUMBER))


@dataclass(frozen=True, slots=True)
class DataColumn:
    """One column. `leads_to` is the table whose row it names; `choices` are all values that it can have."""

    name: str
    kind: Kind
    stored: SqlColumn[Any]
    leads_to: str | None = None
    choices: tuple[str, ...] = ()

    @property
    def read(self) -> ColumnElement[Any]:
        """What is read of it: of a file its length only."""
        return func.length(self.stored).label(self.name) if self.kind is Kind.FILE else self.stored


@dataclass(frozen=True)
class DataTable:
    """One table. `hidden` are the columns that are never read here: what opens something, or could be used to."""

    stored: Table
    group: str
    about: tuple[str, ...]
    columns: Mapping[str, DataColumn]
    hidden: tuple[str, ...]

    @property
    def name(self) -> str:
        """As the database knows it."""
        return self.stored.name

    @property
    def summary(self) -> str:
        """One sentence on what its rows are."""
        return self.about[0]

    @cached_property
    def key(self) -> tuple[SqlColumn[Any], ...]:
        """What tells its rows apart."""
        return tuple(self.stored.primary_key.columns)

    @cached_property
    def has_rows_of_their_own(self) -> bool:
        """Whether a row has a page: not where its key is a secret."""
        return all(column.name in self.columns for column in self.key)

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The columns of its list unless somebody wants others; the key is beside them."""
        if self.name in _SHOWN_FIRST:
            return _SHOWN_FIRST[self.name]
        keys = {column.name for column in self.key} if self.has_rows_of_their_own else set()
        plain = [one.name for one in self.columns.values() if one.kind is not Kind.FOLDED and one.name not in keys]
        return tuple(plain[:MOST_SHOWN]) or tuple(self.columns)

    @cached_property
    def indexes(self) -> tuple[tuple[str, ...], ...]:
        """The columns of each index over all rows, the key's first."""
        whole = [index for index in self.stored.indexes if index.dialect_options["sqlite"]["where"] is None]
        found = [tuple(column.name for column in self.key)]
        found += [tuple(column.name for column in index.columns) for index in whole]
        return (*found, *((column.name,) for column in self.stored.columns if column.unique))


class Catalog:
    """All tables, and which columns of which lead to which."""

    def __init__(self) -> None:
        models = {str(mapper.class_.__tablename__): mapper.class_ for mapper in default_registry.mappers}
        tables = [_table(models[name]) for name in sorted(models)]
        self.tables: Mapping[str, DataTable] = {table.name: table for table in tables}
        leading: dict[str, list[tuple[DataTable, str]]] = defaultdict(list)
        for table in tables:
            for column in table.columns.values():
                if column.leads_to is not None:
                    leading[column.leads_to].append((table, column.name))
        self.leading: Mapping[str, list[tuple[DataTable, str]]] = leading
        """By table: where its rows are named, and in which columns."""

    def groups(self) -> list[tuple[str, list[DataTable]]]:
        """The tables as they stand together."""
        names = dict.fromkeys(name for _, name in _GROUPS)
        return [(name, [table for table in self.tables.values() if table.group == name]) for name in names]


def _table(model: type[SQLModel]) -> DataTable:
    stored = table_of(model)
    hidden = tuple(column.name for column in stored.columns if is_secret(stored.name, column))
    choices = dict(filter(None, (_choices(one) for one in stored.constraints if isinstance(one, CheckConstraint))))
    columns = {
        column.name: DataColumn(
            column.name,
            _kind(column, choices.get(column.name)),
            column,
            _leads_to(stored, column),
            choices.get(column.name, ()),
        )
        for column in stored.columns
        if column.name not in hidden
    }
    group = next(name for room, name in _GROUPS if f"{model.__module__}.".startswith(f"{room}."))
    return DataTable(stored, group, _paragraphs(model.__doc__ or ""), columns, hidden)


def is_secret(table: str, column: SqlColumn[Any]) -> bool:
    """Whether a column is never read for people: what opens something, encrypted or hashed as it may be."""
    is_harmless = isinstance(column.type, Float | Integer | Boolean)  # until when a secret counts, whether there is one
    return (table, column.name) in _ALSO_SECRET or (_SECRET.search(column.name) is not None and not is_harmless)


def _kind(column: SqlColumn[Any], choices: tuple[str, ...] | None) -> Kind:
    kind = next((kind for stored, kind in _BY_TYPE if isinstance(column.type, stored)), None)
    if kind is Kind.TIME and column.name in _DURATIONS:
        return Kind.NUMBER
    if kind is Kind.NUMBER and column.name == "at":
        return Kind.TIME
    return kind or _kind_of_text(column, choices)


def _kind_of_text(column: SqlColumn[Any], choices: tuple[str, ...] | None) -> Kind:
    if column.type is ID:
        return Kind.ID
    if column.type is FOLDED:
        return Kind.FOLDED
    if choices:
        return Kind.CHOICE
    return Kind.PHONE if column.name in _PHONES and getattr(column.type, "length", None) == 15 else Kind.TEXT


def _leads_to(table: Table, column: SqlColumn[Any]) -> str | None:
    for key in column.foreign_keys:
        return key.column.table.name
    target = _LEADS.get(column.name)
    is_own_key = target == table.name or (table.name == "schedule" and column.name == "schedule_id")
    return None if is_own_key else target


def _choices(constraint: CheckConstraint) -> tuple[str, tuple[str, ...]] | None:
    found = _CHOICES.match(str(constraint.sqltext))
    return (found[1], tuple(re.findall(r"'([^']*)'", found[2]))) if found else None


def _paragraphs(text: str) -> tuple[str, ...]:
    """The paragraphs of a docstring without its marks; the first sentence stands for itself."""
    first, *rest = [" ".join(part.split()) for part in text.split("\n\n")]
    sentence, *more = re.split(r"(?<=[.])\s+(?=[A-Z`])", first, maxsplit=1)
    return tuple(part.replace("`", "") for part in (sentence, *more, *rest))
