"""What clients are told of messages and campaigns (docs/live-events.md), written with the facts themselves.

A message is told of when it has left, and when it has failed for good or is skipped; a campaign when its first message
is claimed, and when it has ended. A campaign's id is its `schedule_id` there. Where nobody listens nothing is looked
up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.tables import recipient
from campaigns.sending.models import CampaignState
from campaigns.sending.tables import campaign
from gateway.batch import is_among, pack_values
from gateway.db import ID, AnyRow
from gateway.notifications.outbox import Fact, may_be_heard, tell
from gateway.notifications.payload import as_text

SCHEDULED = "message.scheduled"
PROCESSING = "message.processing"
SENT = "message.sent"
FAILED = "message.failed"
COMPLETED = "message.completed"

_HEARD_HERE = may_be_heard(campaign.c.account_id)
MAY_BE_HEARD = _HEARD_HERE.label("heard")
"""A column for statements on campaigns: whether somebody may listen to what happens in theirs."""

COMPLETED_COLUMNS = (
    campaign.c.id,
    campaign.c.account_id,
    campaign.c.sender_number,
    campaign.c.total,
    *(campaign.c[f"n_{name}"] for name in ("queued", "sent", "delivered", "read", "unconfirmed")),
    *(campaign.c[f"n_{name}"] for name in ("failed", "skipped", "cancelled")),
)
_HEARD = select(campaign.c.id, campaign.c.account_id, campaign.c.sender_number).where(
    is_among(campaign.c.id, "ids", ID), _HEARD_HERE
)
_ENDED = select(*COMPLETED_COLUMNS).where(campaign.c.id == bindparam("b_id"), _HEARD_HERE)
_RECIPIENTS = select(recipient.c.account_id, recipient.c.phone, recipient.c.id).where(
    is_among(recipient.c.account_id, "accounts", String()), is_among(recipient.c.phone, "phones", String())
)


@dataclass(frozen=True, slots=True)
class Settled:
    """A message that has left (`sent_at`, epoch seconds), or has failed for good or is skipped; numbers are digits.

    Without a `sender_number` nobody was about to send it.
    """

    id: str
    campaign_id: str
    phone: str
    sender_number: str = ""
    wa_id: str | None = None
    sent_at: float | None = None
    error_code: str = ""
    error: str = ""


async def tell_of_messages(
    tx: AsyncConnection, settled: Sequence[Settled], accounts: Mapping[str, str] | None = None
) -> None:
    """Tell what became of messages. `accounts`, by campaign, are those that somebody may listen to, where known.

    One that nobody was about to send is told as its campaign's own events are, by the campaign's first number; then
    `accounts` are not given.
    """
    if not settled:
        return
    first_numbers: dict[str, str] = {}
    if accounts is None:
        rows = await _heard(tx, (one.campaign_id for one in settled))
        accounts = {row.id: row.account_id for row in rows}
        first_numbers = {row.id: row.sender_number for row in rows}
    heard = [one for one in settled if one.campaign_id in accounts]
    if not heard:
        return
    found = await tx.execute(
        _RECIPIENTS,
        {
            "accounts": pack_values(sorted({accounts[one.campaign_id] for one in heard})),
            "phones": pack_values(sorted({one.phone for one in heard})),
        },
    )
    ids = {(row.account_id, row.phone): row.id for row in found.all()}
    facts = []
    for one in heard:
        account_id, number = accounts[one.campaign_id], one.sender_number or first_numbers.get(one.campaign_id, "")
        facts.append(_of_message(one, account_id, ids.get((account_id, one.phone)), number))
    await tell(tx, facts)


async def tell_of_schedule(tx: AsyncConnection, campaign_id: str, answer: Mapping[str, Any]) -> None:
    """Tell that a schedule was made; `answer` is what its maker was told."""
    rows = await _heard(tx, [campaign_id])
    await tell(tx, [_of_campaign(SCHEDULED, row, answer) for row in rows])


async def tell_of_no_start(tx: AsyncConnection, campaign_id: str, reason: str) -> None:
    """Tell that a schedule has failed before anything of it was sent."""
    row = (await tx.execute(_ENDED, {"b_id": campaign_id})).first()
    if row is not None:
        await tell(tx, [_of_campaign(FAILED, row, {"recipient_id": None, "error": reason})])
        await tell_of_ends(tx, [(row, CampaignState.FAILED)])


async def tell_of_starts(tx: AsyncConnection, campaign_ids: Sequence[str], now: float) -> None:
    """Tell that the first message of each campaign was claimed."""
    if campaign_ids:
        rows = await _heard(tx, campaign_ids)
        await tell(tx, [_of_campaign(PROCESSING, row, {"started_at": as_text(now)}) for row in rows])


async def tell_of_ends(tx: AsyncConnection, ended: Iterable[tuple[AnyRow, str]]) -> None:
    """Tell that campaigns have ended: rows of `COMPLETED_COLUMNS` with the state of each.

    What one has queued is being cancelled.
    """
    await tell(tx, [_of_campaign(COMPLETED, row, {"stats": _stats(row, state)}) for row, state in ended])


def _stats(row: AnyRow, state: str) -> Mapping[str, Any]:
    return {
        "state": state,
        "total": row.total,
        "sent": row.n_sent + row.n_delivered + row.n_read,
        "delivered": row.n_delivered + row.n_read,
        "read": row.n_read,
        "failed": row.n_failed,
        "unconfirmed": row.n_unconfirmed,
        "skipped": row.n_skipped,
        "cancelled": row.n_cancelled + row.n_queued,
    }


async def _heard(tx: AsyncConnection, campaign_ids: Iterable[str]) -> Sequence[AnyRow]:
    return (await tx.execute(_HEARD, {"ids": pack_values(sorted(set(campaign_ids)))})).all()


def _of_campaign(kind: str, row: AnyRow, data: Mapping[str, Any]) -> Fact:
    data = {"schedule_id": row.id, **data}
    return Fact(kind, row.account_id, data, campaign_id=row.id, sender_number=row.sender_number)


def _of_message(one: Settled, account_id: str, recipient_id: str | None, number: str) -> Fact:
    data: dict[str, Any] = {
        "schedule_id": one.campaign_id,
        "recipient_id": recipient_id,
        "recipient": f"+{one.phone}",
        "id": one.id,
        "sender_number": f"+{number}" if number else None,
    }
    if one.sent_at is not None:
        kind, data = SENT, data | {"message_id": one.wa_id, "sent_at": as_text(one.sent_at)}
    else:
        kind, data = FAILED, data | {"error": one.error, "error_code": one.error_code}
    return Fact(kind, account_id, data, campaign_id=one.campaign_id, sender_number=number or None)
