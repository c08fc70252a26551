"""What a refusal of new contacts does to its sender, in the transaction that settles the refused message."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.outcomes import Claim, Outcome, Result, Turn
from campaigns.sending.tables import correspondent
from sessions import limits

REASON = "WhatsApp refused a message to a new contact (463)"


async def lock_refused(
    tx: AsyncConnection, turn: Turn, held: Sequence[tuple[Claim, Outcome]]
) -> dict[int, dict[str, float]]:
    """Lock the senders whose messages were refused; returns new values of the lanes that must rest altogether.

    That is so where somebody was refused who had written to the sender: for such people the lock is no hindrance, so
    their messages would be tried again, into the same refusal.
    """
    rests: dict[int, dict[str, float]] = {}
    for claim, outcome in held:
        if not outcome.limited:
            continue
        until = await limits.lock(
            tx, claim.sender_id, claim.number, outcome.limited_until, REASON, turn.now, turn.diary
        )
        if await _wrote_to_us(tx, claim):
            rests[claim.sender_id] = {"b_due_at": until, "b_resting_until": until}
    return rests


async def forgive(tx: AsyncConnection, turn: Turn, held: Sequence[tuple[Claim, Outcome]]) -> None:
    """Where a message to somebody new has left after a lock, the next lock begins small again."""
    senders = [
        claim.sender_id
        for claim, outcome in held
        if claim.strikes and outcome.result is Result.SENT and not await _wrote_to_us(tx, claim)
    ]
    if senders:
        await limits.forgive(tx, senders, turn.now)


async def _wrote_to_us(tx: AsyncConnection, claim: Claim) -> bool:
    query = select(correspondent.c.phone).where(
        correspondent.c.sender_id == claim.sender_id, correspondent.c.phone == claim.phone
    )
    return (await tx.execute(query)).first() is not None
