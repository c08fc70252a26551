"""Taking: writing what lanes chose. The message's id is stored before anybody sends it.

So whatever happens later can be found out. A message that is not queued any more is not taken, and its lane is parked.
One to somebody who has opted out is not taken either: it is skipped, and its lane looks for another one at once.
"""

from collections import defaultdict
from typing import Any

from campaigns.audience.optouts.people import person_of
from campaigns.sending.capping import rolled
from campaigns.sending.claim_statements import COUNT_TAKEN, ROLL_LANE, SERVED, TAKE_LANE, TAKE_MESSAGE
from campaigns.sending.frequency import leave_out
from campaigns.sending.models import Purpose
from campaigns.sending.offers import Offering, Pick, Round
from campaigns.sending.outcomes import Claim, QueueSettings, Task, Turn
from campaigns.sending.rows import Head
from campaigns.sending.skipping import accounts_of, skip_opted_out
from campaigns.sending.telling import tell_of_starts
from gateway.batch import pack
from gateway.waha.ids import make_message_id


def lease(settings: QueueSettings, turn: Turn, lanes: list[tuple[int, str]]) -> dict[str, Any]:
    """What taking lanes needs to know: pairs of sender and message, their owner, and until when."""
    return {"taken": pack(sorted(lanes)), "owner": settings.replica, "until": turn.now + settings.lease_seconds}


async def take(round_: Round, picks: list[Pick]) -> list[Pick]:
    """Write `picks` and add their claims to the turn; returns those that were taken."""
    turn = round_.turn
    picks = await leave_out(round_, picks)
    if not picks:
        return []
    pairs = [(pick, _claim(round_, pick, pick.head)) for pick in picks if pick.head is not None]
    rows = sorted(_row(claim) for _, claim in pairs)
    took = set((await round_.tx.execute(TAKE_MESSAGE, {"messages": pack(rows)})).scalars().all())
    if len(took) < len(pairs):
        await skip_opted_out(round_, [pick for pick, claim in pairs if claim.message_id not in took])
        pairs = [(pick, claim) for pick, claim in pairs if claim.message_id in took]
        if not pairs:
            return []
    lanes = [(claim.sender_id, claim.message_id) for _, claim in pairs]
    await round_.tx.execute(TAKE_LANE, lease(round_.settings, turn, lanes))
    await _roll(round_, pairs)
    await _count(round_, [pick for pick, _ in pairs])
    served = [
        {"b_campaign_id": claim.campaign_id, "b_sender_id": claim.sender_id, "b_now": turn.now}
        for _, claim in pairs
        if len(round_.shares[claim.sender_id]) > 1
    ]
    if served:
        await round_.tx.execute(SERVED, served)
    turn.claims += [claim for _, claim in pairs]
    return [pick for pick, _ in pairs]


def _row(claim: Claim) -> tuple[Any, ...]:
    """A claim as `TAKE_MESSAGE` reads it."""
    accounts = claim.accounts
    return claim.message_id, claim.sender_id, claim.wa_id, claim.started_at, claim.person, accounts[0], accounts[-1]


async def _roll(round_: Round, pairs: list[tuple[Pick, Claim]]) -> None:
    """Begin a new day, or a new slice of the hour, for the lanes that send their first message of it."""
    rolls = [
        {"b_sender_id": claim.sender_id, **values}
        for pick, claim in pairs
        if (values := rolled(pick.lane, claim.fire_at)) is not None
    ]
    if rolls:
        await round_.tx.execute(ROLL_LANE, rolls)


async def _count(round_: Round, picks: list[Pick]) -> None:
    taken: dict[str, list[Pick]] = defaultdict(list)
    campaigns: dict[str, Offering] = {}
    for pick in picks:
        taken[pick.share.campaign.row.id].append(pick)
        campaigns[pick.share.campaign.row.id] = pick.share.campaign
    rows: list[tuple[str, int, int]] = []
    for key in sorted(taken):
        first, campaign = taken[key][0], campaigns[key]
        if first.in_turn:
            campaign.turn = (first.share.position + 1) % campaign.row.senders
        rows.append((key, len(taken[key]), campaign.turn))
    await round_.tx.execute(COUNT_TAKEN, {"counted": pack(rows), "now": round_.turn.now})
    started = [key for key in sorted(taken) if campaigns[key].row.started_at is None]
    await tell_of_starts(round_.tx, started, round_.turn.now)


def _claim(round_: Round, pick: Pick, head: Head) -> Claim:
    row, campaign = pick.lane, pick.share.campaign.row
    fire_at = max(pick.fire_at, round_.turn.now, head.not_before)
    return Claim(
        task=Task.SEND,
        sender_id=row.sender_id,
        epoch=row.epoch + 1,
        message_id=head.id,
        campaign_id=campaign.id,
        wa_id=head.wa_id or make_message_id(),
        phone=head.phone,
        text=campaign.template if head.text is None else head.text,
        media_id=campaign.media_id,
        attempts=head.attempts + 1,
        fire_at=fire_at,
        started_at=fire_at,
        turn=pick.share.position if pick.in_turn else None,
        failover=campaign.failover,
        number=row.number,
        session_name=row.session_name,
        server_id=row.server_id,
        paired_at=row.paired_at,
        chat_id=head.chat_id,
        is_reply=pick.is_reply,
        strikes=row.lock_strikes,
        gated=pick.share.campaign.gated,
        closes_at=campaign.closes_at,
        accounts=accounts_of(pick),
        person="" if campaign.purpose == Purpose.CONFIRMATION else person_of(head.phone),
        own_delay=row.message_delay,
    )
