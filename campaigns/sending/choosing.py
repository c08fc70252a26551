"""Choosing: which campaign each free lane serves, and with which message.

Campaigns offer, lanes choose by the pure rules of `rotation.py` and `pacing.py`, and look for a message. A lane whose
choice has none for it chooses again; one that takes nothing is parked until something may have changed. A lane that has
reached a cap rests. One whose sender WhatsApp has locked takes no part, and may only answer people who wrote to it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.capping import Rest, rest_of
from campaigns.sending.claim_statements import PARK_LANES, REST_LANE
from campaigns.sending.heads import find_answer, find_heads
from campaigns.sending.models import IDLE
from campaigns.sending.offers import Pick, Round, Share
from campaigns.sending.outcomes import QueueSettings, Turn
from campaigns.sending.replies import with_correspondents
from campaigns.sending.rotation import choose, look_again_at
from campaigns.sending.rows import DueLane
from campaigns.sending.taking import take
from gateway.batch import pack


async def choose_and_take(tx: AsyncConnection, settings: QueueSettings, turn: Turn, lanes: Sequence[DueLane]) -> None:
    """Let the free `lanes` choose, take what they chose, and park the others."""
    round_ = Round(tx, settings, turn, lanes)
    await round_.read()
    rests = _rests(round_)
    able = [row for row in lanes if row.able and row.sender_id not in rests]
    able_ids = {row.sender_id for row in able}
    await round_.give_back_shares([*turn.stuck, *(row.sender_id for row in lanes if row.sender_id not in able_ids)])
    picks = await _choose_all(round_, able)
    picks += await _answer_people(round_, rests)
    if picks:
        picks = await take(round_, picks)
    await _park(round_, {pick.lane.sender_id for pick in picks}, rests)


def _rests(round_: Round) -> dict[int, Rest]:
    """The lanes that have reached a cap, and have something to send."""
    rests: dict[int, Rest] = {}
    for row in round_.lanes:
        if row.ready and round_.shares[row.sender_id]:
            rest = rest_of(row, round_.settings, max(round_.ready_at(row), round_.turn.now))
            if rest is not None:
                rests[row.sender_id] = rest
    return rests


async def _choose_all(round_: Round, waiting: Sequence[DueLane]) -> list[Pick]:
    """Choose, look for messages, and choose again for the lanes whose choice had none."""
    picks: list[Pick] = []
    while chosen := _choose(round_, waiting):
        await find_heads(round_, chosen)
        found = [pick for pick in chosen if pick.head is not None]
        for pick in chosen:
            if pick.head is None:
                _allow_again(pick)
                pick.share.barred = (pick.share.campaign.next_at or 0.0) <= round_.horizon
            else:
                pick.share.campaign.taken.add(pick.head.id)
        picks += found
        if len(found) == len(waiting):
            break
        served = {pick.lane.sender_id for pick in found}
        waiting = [row for row in waiting if row.sender_id not in served]
    return picks


def _choose(round_: Round, waiting: Sequence[DueLane]) -> list[Pick]:
    """What each waiting lane takes; a gated campaign is taken by one lane only."""
    picks: list[Pick] = []
    gated: set[str] = set()
    for row in waiting:
        chosen = _best(round_, row, gated)
        if chosen is None:
            continue
        share, fire_at = chosen
        if share.campaign.gated:
            gated.add(share.campaign.row.id)
        if share.campaign.allowance is not None:
            share.campaign.allowance.left -= 1
        picks.append(Pick(row, share, fire_at, in_turn=share.campaign.gated))
    return picks


def _allow_again(pick: Pick) -> None:
    """Nothing was taken: what it would have used up of its client's daily limit is there for others."""
    if pick.share.campaign.allowance is not None:
        pick.share.campaign.allowance.left += 1


def _best(round_: Round, row: DueLane, gated: set[str]) -> tuple[Share, float] | None:
    """The share that a lane serves, and when; None if it has to wait."""
    shares = round_.shares[row.sender_id]
    if len(shares) == 1:
        share = shares[0]
        goes = None if share.barred or share.campaign.row.id in gated else round_.goes_at(row, share)
        return None if goes is None or goes > round_.horizon else (share, goes)
    offers = [offer for offer in round_.offers_to(row) if offer.campaign_id not in gated]
    best = choose(offers, round_.horizon)
    if best is None or best.goes_at is None:
        return None
    return next(share for share in shares if share.campaign.row.id == best.campaign_id), best.goes_at


async def _answer_people(round_: Round, rests: dict[int, Rest]) -> list[Pick]:
    """What the lanes of locked senders take: messages to people who wrote to them, at the usual pace."""
    locked = {
        row.sender_id: row
        for row in round_.lanes
        if _is_locked(row) and round_.shares[row.sender_id] and row.sender_id not in rests
    }
    if not locked:
        return []
    picks: list[Pick] = []
    for sender_id in sorted(await with_correspondents(round_.tx, list(locked))):
        pick = await _find_reply(round_, locked[sender_id])
        if pick is not None:
            picks.append(pick)
    return picks


async def _find_reply(round_: Round, row: DueLane) -> Pick | None:
    shares = round_.shares[row.sender_id]
    for share in sorted(shares, key=lambda s: (-s.campaign.row.priority, s.served_at, s.campaign.row.id)):
        failover = share.campaign.row.failover
        goes = round_.goes_at(row, share, out_of_turn=failover)
        if goes is None or goes > round_.horizon:
            continue
        head = await find_answer(round_, row, share)
        if head is not None:
            if share.campaign.allowance is not None:
                share.campaign.allowance.left -= 1
            share.campaign.taken.add(head.id)
            return Pick(row, share, goes, share.campaign.gated and not failover, head, is_reply=True)
    return None


async def _park(round_: Round, served: Iterable[int], rests: dict[int, Rest]) -> None:
    """Lanes that took nothing: when to look at each of them again."""
    done = set(served)
    left = [row for row in round_.lanes if row.sender_id not in done]
    if not left:
        return
    busy = await round_.hidden_work([row.sender_id for row in left if not round_.shares[row.sender_id]])
    park: list[tuple[int, float, None]] = []
    rest: list[dict[str, Any]] = []
    for row in left:
        if (capped := rests.get(row.sender_id)) is not None:
            rest.append({"b_sender_id": row.sender_id, "b_until": capped.until, "b_code": capped.code})
        else:
            due_at = _look_again_at(round_, row, busy=row.sender_id in busy)
            due_at = round_.turn.now if row.sender_id in round_.again else due_at
            park.append((row.sender_id, due_at, None))
    if park:
        await round_.tx.execute(PARK_LANES, {"parked": pack(sorted(park))})
    if rest:
        await round_.tx.execute(REST_LANE, rest)


def _look_again_at(round_: Round, row: DueLane, *, busy: bool) -> float:
    now, poll = round_.turn.now, round_.settings.poll_seconds
    has_work = bool(round_.shares[row.sender_id])
    if _is_locked(row) and has_work:
        return min(now + round_.settings.locked_poll_seconds, max(float(row.locked_until), now + poll))
    if row.able and not busy:
        return look_again_at(round_.offers_to(row), now, poll, IDLE)
    return now + poll if has_work or busy else IDLE


def _is_locked(row: DueLane) -> bool:
    """Whether a lane could send, if WhatsApp let its sender write to new contacts."""
    return bool(row.ready) and not row.able
