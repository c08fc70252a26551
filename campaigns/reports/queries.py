"""What a report counts: few passes over a campaign's messages, however many they are.

Each pass groups by one whole number, which holds all that is asked of a message: databases sort that several times as
fast as texts and times side by side, and to read the rows is the lesser part. What is told of a pass is counted here.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, case, cast, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import MessageState
from campaigns.sending.tables import message, sender
from gateway.batch import is_among, pack_values
from gateway.db import AnyRow

SLOT_SECONDS = 900
"""Hours of the clock begin at a quarter of an hour of UTC, in every time zone."""
MINUTE, HOUR = 60, 3600
"""Waits are counted by tenths of a second up to a minute, by seconds up to an hour, and by minutes beyond."""
BAD = (MessageState.FAILED, MessageState.SKIPPED, MessageState.UNCONFIRMED)
_TENTHS, _SECONDS = MINUTE * 10, HOUR - MINUTE
_STATES = tuple(MessageState)
_SLOTS = 2**24
"""More than there are slots until the year 2448."""
_KINDS = 16
_BUCKETS = 2**22
_NO_WAIT = _BUCKETS - 1
_POLITE_ROWS = 5000
"""After so many rows others get their turn."""
_NUMBERS = select(sender.c.id, sender.c.number).where(is_among(sender.c.id, "ids", BigInteger()))


@dataclass(slots=True)
class Fates:
    """How messages ended, by sender's id (0: none) and state; how many left in each slot, and when the first and last.

    A slot is `SLOT_SECONDS`, by its number since 1970.
    """

    states: Counter[tuple[int, str]] = field(default_factory=Counter)
    slots: Counter[int] = field(default_factory=Counter)
    first: float | None = None
    last: float | None = None


@dataclass(slots=True)
class Step:
    """How many messages came this far in each slot, and after how long: by bucket (see `seconds_of`)."""

    slots: Counter[int] = field(default_factory=Counter)
    waits: Counter[int] = field(default_factory=Counter)


async def fates(connection: AsyncConnection, campaign: AnyRow) -> Fates:
    """How a campaign's messages ended, by sender, and when they left."""
    state = case({name: place for place, name in enumerate(_STATES)}, value=message.c.state)
    slot = func.coalesce(_whole(connection, message.c.sent_at / _number(SLOT_SECONDS)), _number(0))
    who = func.coalesce(message.c.sender_id, _number(0))
    key = (cast(who, BigInteger) * _number(_KINDS) + state) * _number(_SLOTS) + slot
    query = select(key.label("key"), func.count(), func.min(message.c.sent_at), func.max(message.c.sent_at))
    found = Fates()
    async for packed, count, first, last in _rows(connection, query.where(*_of(campaign)).group_by("key")):
        rest, slot_number = divmod(packed, _SLOTS)
        sender_id, place = divmod(rest, _KINDS)
        found.states[sender_id, _STATES[place]] += count
        if first is not None:
            found.slots[slot_number] += count
            found.first = first if found.first is None else min(found.first, first)
            found.last = last if found.last is None else max(found.last, last)
    return found


async def reasons(connection: AsyncConnection, campaign: AnyRow) -> Sequence[AnyRow]:
    """Of what was not sent: how many for which reason (columns: state, error_code, messages, error: one of them)."""
    group = (message.c.state, message.c.error_code)
    counts = (func.count().label("messages"), func.min(message.c.error).label("error"))
    query = select(*group, *counts).where(*_of(campaign), message.c.state.in_(BAD)).group_by(*group)
    return (await connection.execute(query)).all()


async def step(connection: AsyncConnection, campaign: AnyRow, column: str) -> Step:
    """When messages reached a step (`delivered_at`, `read_at`), and how long after they had left."""
    waited = message.c[column] - message.c.sent_at
    waited = case((waited < _number(0), literal_column("0.0")), else_=waited)  # by two clocks
    tenths = _whole(connection, waited * _number(10))
    seconds = _whole(connection, waited) + _number(_TENTHS - MINUTE)
    minutes = _whole(connection, (waited - _number(HOUR)) / literal_column("60.0")) + _number(_TENTHS + _SECONDS)
    bucket = case(
        (waited < _number(MINUTE), tenths),
        (waited < _number(HOUR), seconds),
        (waited.is_not(None), minutes),
        else_=_number(_NO_WAIT),
    )
    slot = _whole(connection, message.c[column] / _number(SLOT_SECONDS))
    key = (slot * _number(_BUCKETS) + bucket).label("key")
    query = select(key, func.count()).where(*_of(campaign), message.c[column].is_not(None)).group_by("key")
    found = Step()
    async for packed, count in _rows(connection, query):
        slot_number, bucket_number = divmod(packed, _BUCKETS)
        found.slots[slot_number] += count
        if bucket_number != _NO_WAIT:
            found.waits[bucket_number] += count
    return found


async def numbers_of(connection: AsyncConnection, sender_ids: Sequence[int]) -> dict[int, str]:
    """The numbers (digits) of senders, by their ids."""
    return {row.id: row.number for row in await connection.execute(_NUMBERS, {"ids": pack_values(sender_ids)})}


def seconds_of(bucket: int) -> float:
    """Where a bucket of `Step.waits` begins, in seconds."""
    if bucket < _TENTHS:
        return bucket / 10
    rest = bucket - _TENTHS
    return float(MINUTE + rest if rest < _SECONDS else HOUR + 60 * (rest - _SECONDS))


def _of(campaign: AnyRow) -> list[ColumnElement[bool]]:
    return [message.c.campaign_id == campaign.id, message.c.seq < campaign.total]


async def _rows(connection: AsyncConnection, query: Select[*tuple[Any, ...]]) -> AsyncIterator[Sequence[Any]]:
    for some in (await connection.execute(query)).partitions(_POLITE_ROWS):
        for row in some:
            yield row
        await asyncio.sleep(0)


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), BigInteger)


def _whole(connection: AsyncConnection, value: ColumnElement[Any]) -> ColumnElement[int]:
    """A number rounded down; SQLite's cast does that to what is not negative, and PostgreSQL's does not."""
    return cast(value if connection.dialect.name == "sqlite" else func.floor(value), BigInteger)
