"""The outbox: what clients are to be told is written in the transaction of the fact that it tells.

So an event is told if and only if its fact is true. Nothing is written where nobody listens. What was written is
numbered and told soon after the commit (`numbering.py`).

A statement of the caller's that runs anyway can ask whether somebody might listen (`may_be_heard`), at no cost of its
own; `tell` looks closer. Call it after the transaction's own changes: whoever begins to listen waits for transactions
that have looked for listeners before (`listening.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Double, String, Text, exists, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.batch import batch, is_among, pack, pack_values
from gateway.db import ID, SECONDS, announce
from gateway.ids import make_ordered_ids
from gateway.notifications.models import EVERYBODY
from gateway.notifications.tables import event, listener


@dataclass(frozen=True, slots=True)
class Fact:
    """What is to be told. `kind` is such as "message.sent"; `data` is what JSON can say, and ids of ours.

    `at` is in epoch seconds of the database's clock (None: now); `sender_number` are digits.
    """

    kind: str
    account_id: str
    data: Mapping[str, Any]
    campaign_id: str | None = None
    sender_number: str | None = None
    at: float | None = None


_columns = {"id": ID, "account_id": String(), "campaign_id": ID, "sender_number": String(), "kind": String()}
_facts = batch("facts", **_columns, at=SECONDS, data=Text())
_WRITE = insert(event).from_select(list(_facts.c.keys()), select(*_facts.c))
_LISTENERS = select(
    listener.c.account_id, listener.c.sender_number, func.gateway_now(type_=Double()).label("now")
).where(
    listener.c.until > func.gateway_now(),
    or_(
        is_among(listener.c.account_id, "accounts", String()),
        is_among(listener.c.sender_number, "numbers", String()),
    ),
)


@dataclass(slots=True)
class _Heard:
    """Who listens, of those whom some facts concern."""

    accounts: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    now: float = 0.0

    def hears(self, fact: Fact) -> bool:
        everybody = EVERYBODY in self.accounts
        return everybody or fact.account_id in self.accounts or fact.sender_number in self.numbers


def may_be_heard(account_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """In SQL: whether somebody may listen to what happens in an account: all that needs no list of numbers."""
    return exists(
        select(listener.c.key).where(
            listener.c.until > func.gateway_now(),
            or_(listener.c.account_id.in_((EVERYBODY, "")), listener.c.account_id == account_id),
        )
    )


async def tell(tx: AsyncConnection, facts: Sequence[Fact]) -> None:
    """Write those of `facts` that somebody listens to, in their order; one SELECT, and one INSERT if there are any."""
    if not facts:
        return
    heard = await _listeners(tx, facts)
    told = [fact for fact in facts if heard.hears(fact)]
    if not told:
        return
    rows = [
        (
            event_id,
            fact.account_id,
            fact.campaign_id,
            fact.sender_number,
            fact.kind,
            heard.now if fact.at is None else fact.at,
            orjson.dumps(dict(fact.data)).decode(),
        )
        for event_id, fact in zip(make_ordered_ids(heard.now, len(told)), told, strict=True)
    ]
    await tx.execute(_WRITE, {"facts": pack(rows)})
    announce(tx)


async def _listeners(tx: AsyncConnection, facts: Sequence[Fact]) -> _Heard:
    accounts = sorted({EVERYBODY, *(fact.account_id for fact in facts)})
    numbers = sorted({fact.sender_number for fact in facts if fact.sender_number})
    heard = _Heard()
    found = await tx.execute(_LISTENERS, {"accounts": pack_values(accounts), "numbers": pack_values(numbers)})
    for row in found.all():
        heard.now = row.now
        if row.account_id:
            heard.accounts.add(row.account_id)
        elif row.sender_number:
            heard.numbers.add(row.sender_number)
    return heard
