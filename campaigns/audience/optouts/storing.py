"""Storing that somebody opts out or in, whatever door it came through: the row, its history, and the news of it.

`opt_out` stops what this process has claimed before its transaction commits (`stops.py`); what is claimed later reads
the row. What is queued already is skipped when a lane comes to it, and says why (`campaigns/sending/skipping.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.optouts import queries
from campaigns.audience.optouts.models import Action, Source
from campaigns.audience.optouts.people import person_of
from campaigns.audience.optouts.stops import Stops
from campaigns.audience.tables import recipient
from gateway.batch import among, is_among, pack_values
from gateway.db import AnyRow, after
from gateway.folding import fold
from gateway.ids import make_ids
from gateway.notifications.outbox import Fact, tell
from gateway.notifications.payload import as_text

OPTED_OUT_EVENT = "contact.opted_out"
OPTED_IN_EVENT = "contact.opted_in"
LONGEST_SAID = 200
"""So much of what somebody wrote is kept."""

_RECIPIENTS = select(recipient.c.phone, recipient.c.id).where(
    recipient.c.account_id == among("account", String()).scalar_subquery(),
    is_among(recipient.c.phone, "phones", String()),
)


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody's (digits) new wish, and how it came: `by` names who asked for it.

    `said` is what they wrote, to `sender_number` (digits of ours), at `said_at` by WhatsApp's clock.
    """

    phone: str
    source: Source
    by: str
    reason: str = ""
    said: str | None = None
    sender_number: str | None = None
    said_at: float | None = None


async def opt_out(
    tx: AsyncConnection, stops: Stops, account_id: str, changes: Sequence[Change], now: float
) -> list[AnyRow]:
    """Store opt-outs of different people; gives the rows of those who had not opted out before."""
    by_person = {person_of(change.phone): change for change in changes}
    keys = [(account_id, person) for person in by_person]
    stops.begin(keys)
    after(tx, lambda kept: stops.end(keys, kept=kept))
    ids = make_ids(now, len(by_person))
    rows = [
        {
            "id": row_id,
            "account_id": account_id,
            "person": person,
            "phone": change.phone,
            "reason": change.reason,
            "source": change.source,
            "said": None if change.said is None else change.said[:LONGEST_SAID],
            "sender_number": change.sender_number,
            "created_at": now,
            "search_text": f"{fold(change.reason)} {change.phone}",
        }
        for row_id, (person, change) in zip(ids, sorted(by_person.items()), strict=True)
    ]
    added = await queries.insert_suppressions(tx, rows)
    await _tell(tx, account_id, OPTED_OUT_EVENT, [by_person[row.person] for row in added], now)
    return added


async def opt_in(tx: AsyncConnection, stops: Stops, account_id: str, change: Change, now: float) -> AnyRow | None:
    """Take an opt-out back; gives its row, None where there was none. The history keeps both."""
    person = person_of(change.phone)
    row = await queries.delete_suppression(tx, account_id, person)
    if row is None:
        return None
    after(tx, lambda kept: stops.lift([(account_id, person)]) if kept else None)
    await add_history(tx, account_id, Action.OPTED_IN, [change], now)
    await _tell(tx, account_id, OPTED_IN_EVENT, [change], now)
    return row


async def add_history(
    tx: AsyncConnection,
    account_id: str,
    action: Action,
    changes: Sequence[Change],
    now: float,
    *,
    confirmed: bool = False,
) -> None:
    """Note what happened to people's wishes."""
    await queries.insert_history(
        tx,
        [
            {
                "id": row_id,
                "account_id": account_id,
                "person": person_of(change.phone),
                "phone": change.phone,
                "action": action,
                "reason": change.reason,
                "source": change.source,
                "by": change.by,
                "said": None if change.said is None else change.said[:LONGEST_SAID],
                "sender_number": change.sender_number,
                "said_at": change.said_at,
                "confirmed": confirmed,
                "at": now,
            }
            for row_id, change in zip(make_ids(now, len(changes)), changes, strict=True)
        ],
    )


async def _tell(tx: AsyncConnection, account_id: str, kind: str, changes: Sequence[Change], now: float) -> None:
    if not changes:
        return
    phones = [change.phone for change in changes]
    found = await tx.execute(_RECIPIENTS, {"account": pack_values([account_id]), "phones": pack_values(phones)})
    ids = {row.phone: row.id for row in found}
    facts = [
        Fact(
            kind,
            account_id,
            {
                "recipient_id": ids.get(change.phone),
                "recipient": f"+{change.phone}",
                "sender_number": None if change.sender_number is None else f"+{change.sender_number}",
                "source": change.source,
                "reason": change.reason,
                "at": as_text(now),
            },
            sender_number=change.sender_number,
        )
        for change in changes
    ]
    await tell(tx, facts)
