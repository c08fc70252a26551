"""Messages that a person puts back in the queue, or takes as sent: what failed, and what nobody can tell of.

Lanes are locked before messages, and messages before their campaign, as everywhere.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, exists, false, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.metering.admission import admit_again
from campaigns.metering.charging import Bills, Moved, charge
from campaigns.schedules.following import follow
from campaigns.sending import queries
from campaigns.sending.lanes import wake_campaign
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.receipt_writing import REFUSED_CODE, correct_ends
from campaigns.sending.refusals import LOCKED_CODE
from campaigns.sending.tables import campaign, campaign_sender, lane, media, message, sender
from campaigns.sending.telling import Settled, tell_of_messages
from campaigns.sending.timing import hours_of, window_columns
from gateway.db import AnyRow
from gateway.errors import WrongState
from sessions.ownership import hold_senders

ENDED = (CampaignState.COMPLETED_WITH_ERRORS, CampaignState.FAILED)
"""The ends that leave something to be sent again."""
RETRIED_FROM = (*ENDED, CampaignState.PAUSED, CampaignState.RUNNING)
"""The states of a campaign whose failed messages can be queued again."""

_IS_BAD: ColumnElement[bool] = literal_column("message.state IN ('failed', 'unconfirmed')")
"""As the index says it: only then SQLite uses it."""
_REFUSED_BY_RECEIPT = message.c.error_code.in_((REFUSED_CODE, LOCKED_CODE))
_AGAIN = {
    "state": MessageState.QUEUED,
    "attempts": 0,
    "error_code": None,
    "error": None,
    "finished_at": None,
    "uncertain_at": None,
}


async def require_sendable(tx: AsyncConnection, row: AnyRow, account_id: str | None, now: float) -> None:
    """Refuse to send again what belongs to a campaign that could not send it, or by numbers that are not an account's.

    As when it was submitted: None, an operator, may send through every number. Call it before any lane is locked.

    Raises:
        WrongState: it was cancelled, it has expired, or its file is gone.
        NotFound: one of its senders belongs to another account by now.
    """
    if row.state == CampaignState.CANCELLED:
        raise WrongState("the campaign was cancelled: nothing of it is sent again")
    if row.expires_at is not None and row.expires_at <= now:
        raise WrongState("the campaign has expired: nothing of it is sent any more")
    if row.media_id is not None:
        kept = (await tx.execute(select(media.c.id).where(media.c.id == row.media_id))).scalar()
        if kept is None:
            raise WrongState("the campaign's file is not kept any longer: submit it anew")
    if account_id is not None:
        places = select(campaign_sender.c.sender_id).where(campaign_sender.c.campaign_id == row.id)
        await hold_senders(tx, account_id, (await tx.execute(places)).scalars().all())


async def requeue_failed(
    tx: AsyncConnection,
    row: AnyRow,
    now: float,
    *,
    before: float,
    limit: int,
    only: str | None = None,
    states: Sequence[str] = RETRIED_FROM,
    going_on: bool = False,
) -> int:
    """Queue the first `limit` messages that have failed `before` then, and open their campaign; returns how many.

    `only` is the one message that is meant. What WhatsApp refused by a receipt gets a new id: the old one may be told
    of again. `going_on`: these are not the first ones, and who has paused the campaign meanwhile has the last word.

    Raises:
        WrongState: the campaign is in none of `states` by now.
        InsufficientBalance, DailyLimitReached: its client may not send them now.
    """
    await wake_campaign(tx, row.id)
    failed = await tx.execute(
        select(message.c.id)
        .where(
            message.c.campaign_id == row.id,
            _IS_BAD,
            message.c.state == MessageState.FAILED,
            message.c.finished_at <= before,
            *([] if only is None else [message.c.id == only]),
            # while a lane still waits for the answer to this send, the answer must find the message as it is
            ~exists(select(lane.c.sender_id).where(lane.c.message_id == message.c.id)),
        )
        .order_by(message.c.seq)
        .limit(limit)
        .with_for_update(of=message)
    )
    ids = failed.scalars().all()
    if not ids:
        return 0
    await tx.execute(
        update(message)
        .where(message.c.id.in_(ids))
        .values(
            **_AGAIN,
            sender_id=None,
            ack=None,
            sent_at=None,
            wa_id=case((_REFUSED_BY_RECEIPT, None), else_=message.c.wa_id),
        )
    )
    begins = {"auto_paused": False} if only is None and not going_on else {}
    await _reopen(tx, row, states, now, {"failed": len(ids)}, stays_paused=going_on, **begins)
    return len(ids)


async def requeue_unconfirmed(tx: AsyncConnection, row: AnyRow, message_id: str, now: float) -> bool:
    """Queue a message of which nobody can tell, under the id that it has; False if it is no such message.

    Where its campaign's senders work side by side it stays with its own: only there a repeated id may be taken for the
    same message. Where they take turns it goes through the one in turn. A paused campaign stays so.
    """
    await wake_campaign(tx, row.id)
    moved = await tx.execute(
        update(message)
        .where(
            message.c.id == message_id,
            message.c.campaign_id == row.id,
            message.c.state == MessageState.UNCONFIRMED,
        )
        .values(**_AGAIN)
    )
    if moved.rowcount != 1:
        return False
    await _reopen(tx, row, RETRIED_FROM, now, {"unconfirmed": 1}, stays_paused=True)
    return True


async def accept_unconfirmed(tx: AsyncConnection, row: AnyRow, message_id: str, now: float) -> bool:
    """Take a message of which nobody can tell as sent; False if it is no such message of this campaign."""
    campaign_id = row.id
    moved = await tx.execute(
        update(message)
        .where(
            message.c.id == message_id,
            message.c.campaign_id == campaign_id,
            message.c.state == MessageState.UNCONFIRMED,
        )
        .values(state=MessageState.SENT, sent_at=message.c.started_at, finished_at=None, error_code=None, error=None)
        .returning(message.c.phone, message.c.sender_id, message.c.wa_id, message.c.sent_at)
    )
    sent = moved.first()
    if sent is None:
        return False
    await tx.execute(
        update(campaign)
        .where(campaign.c.id == campaign_id)
        .values(n_unconfirmed=campaign.c.n_unconfirmed - 1, n_sent=campaign.c.n_sent + 1)
    )
    number = (await tx.execute(select(sender.c.number).where(sender.c.id == sent.sender_id))).scalar_one()
    left = Settled(message_id, campaign_id, sent.phone, number, sent.wa_id, sent.sent_at)
    await tell_of_messages(tx, [left])
    await correct_ends(tx, [campaign_id])
    bills = Bills()
    bills.add(row.client_id, row.price, Moved(paid=1))
    await charge(tx, bills, now)
    return True


async def _reopen(
    tx: AsyncConnection,
    row: AnyRow,
    before: Sequence[str],
    now: float,
    counts: Mapping[str, int],
    *,
    stays_paused: bool,
    **values: Any,
) -> None:
    """Count messages of these states as queued, and have their campaign go on; a paused one may stay so."""
    values |= {campaign.c[f"n_{state}"].name: campaign.c[f"n_{state}"] - count for state, count in counts.items()}
    values["n_queued"] = campaign.c.n_queued + sum(counts.values())
    values["next_at"] = campaign.c.next_at * 0.0  # found anew, where messages have times of their own; NULL stays NULL
    values |= window_columns(hours_of(queries.campaign_values(row)), now)
    paused = campaign.c.state == CampaignState.PAUSED if stays_paused else false()
    values["reason"] = case((paused, campaign.c.reason), else_="")
    after = case((paused, CampaignState.PAUSED), else_=CampaignState.RUNNING)
    done = await queries.set_state(tx, row.id, before, after, finished_at=None, **values)
    if not done:
        raise WrongState("the campaign has been steered otherwise at this moment; look at it again")
    await tx.execute(update(campaign_sender).where(campaign_sender.c.campaign_id == row.id).values(open=True))
    await follow(tx, [row.id])
    if row.client_id is not None:
        await admit_again(tx, row.client_id, now, opens_at=values["opens_at"])
