"""Claiming: which lanes are due, and what each of them takes.

Due lanes are read with what their campaigns offer, the choice is made by the pure rules of `rotation.py` and
`pacing.py` (`choosing.py` applies them), and what was chosen is written in the same transaction: the message's id is
stored before anybody sends it. A lane whose lease has run out comes with the message that it left behind, to be
reconciled.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.choosing import choose_and_take
from campaigns.sending.claim_statements import (
    CAMPAIGN_HEARD,
    CAMPAIGN_LOST_ONE,
    DUE_LANES,
    IS_UNCERTAIN,
    LANE_HAS_SENT,
    LANE_HEARD,
    LEFT_BEHIND,
    PARK_LANES,
    TAKE_LANE,
)
from campaigns.sending.counting import finish_campaigns
from campaigns.sending.models import MessageState
from campaigns.sending.outcomes import Claim, QueueSettings, Task, Turn
from campaigns.sending.rows import DueLane, fetch
from campaigns.sending.tables import lane
from campaigns.sending.taking import lease
from gateway.batch import pack, pack_values
from gateway.db import AnyRow

GONE_SECONDS = 3600.0
"""How long a message is uncertain whose sender has lost its login: longer than any hold."""
AWAY_SECONDS = 86_400.0
"""The same where its session is only away, and may be asked when it is back."""


async def claim_due(tx: AsyncConnection, settings: QueueSettings, turn: Turn, room: int) -> None:
    """Claim what is due until `horizon_seconds` from now, through `room` lanes at most; adds to `turn.claims`."""
    horizon = turn.now + settings.horizon_seconds
    due = {"horizon": horizon, "now": turn.now, "room": room}
    lanes = fetch(DueLane, await tx.execute(DUE_LANES, due))
    if not lanes and not turn.stuck:
        return
    left = [row for row in lanes if row.message_id is not None]
    if left:
        await _take_over(tx, settings, turn, left)
    free = [row for row in lanes if row.message_id is None]
    turn.stuck |= {row.sender_id for row in left}
    await choose_and_take(tx, settings, turn, free)


async def _take_over(tx: AsyncConnection, settings: QueueSettings, turn: Turn, lanes: Sequence[DueLane]) -> None:
    """Lanes with an unsettled message: it is uncertain, or its replica has died."""
    found_rows = await tx.execute(LEFT_BEHIND, {"ids": pack_values(row.message_id for row in lanes)})
    rows = {row.id: row for row in found_rows.all()}
    died: list[dict[str, Any]] = []
    uncertain: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    take: list[tuple[int, str]] = []
    park: list[tuple[int, float, str | None]] = []
    for row in lanes:
        found = rows[row.message_id]
        if row.owner is not None and found.uncertain_at is None:
            # its replica is gone, with the answer to a send: what we know is that there was none before now
            died.append({"b_id": found.campaign_id, "b_now": turn.now, "b_sender_id": row.sender_id})
            uncertain.append({"b_id": found.id})
        if found.state != MessageState.SENDING:  # a receipt has settled it
            park.append((row.sender_id, turn.now, None))
            told.append({"b_id": found.campaign_id, "b_sender_id": row.sender_id, "b_at": found.told_at or turn.now})
        elif not row.ready and not _is_hopeless(row, found, turn.now):
            park.append((row.sender_id, turn.now + settings.poll_seconds, row.message_id))
        else:
            take.append((row.sender_id, found.id))
            turn.claims.append(_reconcile_claim(row, found, turn.now))
            turn.claims[-1].hopeless = not row.ready
    if died:
        await tx.execute(CAMPAIGN_LOST_ONE, died)
        await tx.execute(IS_UNCERTAIN, uncertain)
        await tx.execute(
            update(lane).where(lane.c.sender_id == bindparam("b_sender_id")).values(last_answer_at=turn.now),
            [{"b_sender_id": entry["b_sender_id"]} for entry in died],
        )
    if told:
        await tx.execute(LANE_HEARD, [{"b_sender_id": entry["b_sender_id"], "b_at": entry["b_at"]} for entry in told])
        await tx.execute(LANE_HAS_SENT, [{"b_sender_id": entry["b_sender_id"]} for entry in told])
        await tx.execute(CAMPAIGN_HEARD, told)
        await finish_campaigns(tx, turn, {entry["b_id"] for entry in told})
    if take:
        await tx.execute(TAKE_LANE, lease(settings, turn, take))
    if park:
        await tx.execute(PARK_LANES, {"parked": pack(sorted(park))})


def _is_hopeless(row: DueLane, found: AnyRow, now: float) -> bool:
    """Whether nobody will come to tell what became of a message: its login is gone, or its session has long been away.

    A session that is paired anew begins with an empty store.
    """
    login_is_there = row.paired_at is not None and row.paired_at <= found.started_at
    return now - float(found.started_at) >= (AWAY_SECONDS if login_is_there else GONE_SECONDS)


def _reconcile_claim(row: DueLane, found: AnyRow, now: float) -> Claim:
    return Claim(
        task=Task.RECONCILE,
        sender_id=row.sender_id,
        epoch=row.epoch + 1,
        message_id=found.id,
        campaign_id=found.campaign_id,
        wa_id=found.wa_id,
        phone=found.phone,
        text="",
        media_id=None,
        attempts=found.attempts,
        fire_at=max(row.due_at, now),
        started_at=found.started_at,
        turn=None,
        number=row.number,
        session_name=row.session_name,
        server_id=row.server_id,
        paired_at=row.paired_at,
        chat_id=found.chat_id,
    )
