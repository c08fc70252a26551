"""Steering a campaign that was submitted: look at it, pause, resume, cancel, and send again what was not sent."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.schedules.following import note_cancel
from campaigns.sending import message_queries, queries
from campaigns.sending.counting import close_campaign, finish_campaigns
from campaigns.sending.lanes import wake_campaign
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.outcomes import Turn
from campaigns.sending.pacing import Delays
from campaigns.sending.reviving import (
    RETRIED_FROM,
    accept_unconfirmed,
    requeue_failed,
    requeue_unconfirmed,
    require_sendable,
)
from campaigns.sending.tables import message
from gateway.auth.access import Scope
from gateway.db import AnyRow, Database, read_now
from gateway.errors import GatewayError, NotFound, WrongState
from gateway.events import CampaignFinished, CampaignHalted, EventBus, WorkAdded

SLICE = 2000
"""So many messages are moved in one transaction: a few tens of milliseconds."""
RESOLVED_AT_ONCE = 50
"""So many of those of which nobody can tell; each of them takes some statements."""


class Steering:
    """Finds campaigns, and moves their states by compare-and-set."""

    def __init__(self, db: Database, bus: EventBus) -> None:
        self._db = db
        self._bus = bus

    async def get(self, campaign_id: str, scope: Scope | None) -> AnyRow:
        """A campaign; only one within the scope, if there is one.

        Raises:
            NotFound: there is none, or it is another's.
        """
        async with self._db.read() as connection:
            row = await queries.find_campaign(connection, campaign_id, scope)
        if row is None:
            raise NotFound("there is no such campaign, or it is not yours")
        return row

    async def pause(self, campaign_id: str, scope: Scope | None, *, only_if: str | None = None) -> AnyRow:
        """Send nothing more until it is resumed; what is in flight is finished. `only_if`: from that state alone."""
        before = _narrowed((CampaignState.QUEUED, CampaignState.RUNNING), only_if)
        return await self._steer(campaign_id, scope, before, CampaignState.PAUSED, "paused on request")

    async def resume(self, campaign_id: str, scope: Scope | None) -> AnyRow:
        """Go on."""
        await self.get(campaign_id, scope)
        async with self._db.write() as tx:
            await wake_campaign(tx, campaign_id)
            done = await queries.set_state(tx, campaign_id, (CampaignState.PAUSED,), CampaignState.RUNNING, reason="")
        row = await self.get(campaign_id, scope)
        if not done:
            raise WrongState(f"only a paused campaign can be resumed; this one is {row.state}")
        self._bus.publish(WorkAdded())
        return row

    async def cancel(
        self, campaign_id: str, scope: Scope | None, *, by: str | None = None, only_if: str | None = None
    ) -> AnyRow:
        """Send nothing more, ever: what waits is cancelled, what is in flight is finished. A schedule tells `by` whom.

        Nothing starts any more as soon as the campaign's state says so; its messages follow in many transactions. With
        `only_if` from that state alone.
        """
        await self.get(campaign_id, scope)
        async with self._db.write() as tx:
            await _require_state(tx, campaign_id, only_if)
            now = await read_now(tx)
            done = await close_campaign(tx, campaign_id, CampaignState.CANCELLED, now, reason="cancelled on request")
            if done:
                await note_cancel(tx, campaign_id, now, by)
        if done:
            self._bus.publish(CampaignHalted(campaign_id))
            await cancel_messages(self._db, campaign_id)
        return await self._answer(campaign_id, scope, done, "cancelled")

    async def retry(self, campaign_id: str, scope: Scope | None, *, only_if: str | None = None) -> AnyRow:
        """Queue again what has failed, and go on. With `only_if` from that state alone.

        Raises:
            WrongState: nothing has failed, or nothing of it can be sent any more.
            InsufficientBalance, DailyLimitReached: its client may not send so many now.
        """
        row = await self.get(campaign_id, scope)
        before, moved = None, SLICE
        while moved == SLICE:
            async with self._db.write() as tx:
                now = await read_now(tx)
                if before is None:
                    await require_sendable(tx, row, _account_of(scope), now)
                states = RETRIED_FROM if before else _narrowed(RETRIED_FROM, only_if)
                moved = await requeue_failed(
                    tx, row, now, before=before or now, limit=SLICE, states=states, going_on=before is not None
                )
            if before is None and not moved:
                raise WrongState("nothing of this campaign has failed")
            before = before or now
            self._bus.publish(WorkAdded())
        return await self.get(campaign_id, scope)

    async def retry_message(self, campaign_id: str, message_id: str, scope: Scope | None) -> AnyRow:
        """Queue one message again that has failed; raises as `retry`."""
        row = await self.get(campaign_id, scope)
        async with self._db.write() as tx:
            now = await read_now(tx)
            await require_sendable(tx, row, _account_of(scope), now)
            if not await requeue_failed(tx, row, now, before=now, limit=1, only=message_id):
                raise await self._not_in(tx, campaign_id, message_id, MessageState.FAILED, "retried")
        self._bus.publish(WorkAdded())
        return await self.get(campaign_id, scope)

    async def cancel_message(self, campaign_id: str, message_id: str, scope: Scope | None) -> AnyRow:
        """Never send one message that waits.

        Raises:
            WrongState: it does not wait.
        """
        await self.get(campaign_id, scope)
        async with self._db.write() as tx:
            now = await read_now(tx)
            one = [message.c.id == message_id]
            if not await queries.end_queued(tx, campaign_id, MessageState.CANCELLED, "", "", now, limit=1, where=one):
                raise await self._not_in(tx, campaign_id, message_id, MessageState.QUEUED, "cancelled")
            turn = Turn(now=now, monotonic=0.0, delays=Delays(0.0, 0.0))  # to end a campaign needs neither
            await finish_campaigns(tx, turn, [campaign_id])
        for ended, state in turn.finished:
            self._bus.publish(CampaignFinished(ended, state))
        return await self.get(campaign_id, scope)

    async def resend(self, campaign_id: str, message_id: str, scope: Scope | None) -> AnyRow:
        """Send a message again of which nobody can tell whether it was sent: a person wants that.

        Raises:
            WrongState: it is no such message, or nothing of its campaign can be sent any more.
            InsufficientBalance, DailyLimitReached: its client may not send it now.
        """
        row = await self.get(campaign_id, scope)
        async with self._db.write() as tx:
            now = await read_now(tx)
            await require_sendable(tx, row, _account_of(scope), now)
            if not await requeue_unconfirmed(tx, row, message_id, now):
                raise await self._not_in(tx, campaign_id, message_id, MessageState.UNCONFIRMED, "sent again")
        self._bus.publish(WorkAdded())
        return await self.get(campaign_id, scope)

    async def accept(self, campaign_id: str, message_id: str, scope: Scope | None) -> AnyRow:
        """Take a message as sent of which nobody can tell whether it was: a person knows.

        Raises:
            WrongState: it is no such message.
        """
        row = await self.get(campaign_id, scope)
        async with self._db.write() as tx:
            if not await accept_unconfirmed(tx, row, message_id, await read_now(tx)):
                raise await self._not_in(tx, campaign_id, message_id, MessageState.UNCONFIRMED, "taken as sent")
        return await self.get(campaign_id, scope)

    async def resend_all(self, campaign_id: str, scope: Scope | None) -> AnyRow:
        """Send all messages again of which nobody can tell whether they were sent; raises as `resend`."""

        async def step(tx: AsyncConnection, row: AnyRow, ids: Sequence[str], now: float) -> None:
            await require_sendable(tx, row, _account_of(scope), now)
            for message_id in ids:
                await requeue_unconfirmed(tx, row, message_id, now)

        row = await self._resolve(campaign_id, scope, step)
        self._bus.publish(WorkAdded())
        return row

    async def accept_all(self, campaign_id: str, scope: Scope | None) -> AnyRow:
        """Take all messages as sent of which nobody can tell whether they were; raises as `accept`."""

        async def step(tx: AsyncConnection, row: AnyRow, ids: Sequence[str], now: float) -> None:
            for message_id in ids:
                await accept_unconfirmed(tx, row, message_id, now)

        return await self._resolve(campaign_id, scope, step)

    async def _resolve(
        self,
        campaign_id: str,
        scope: Scope | None,
        step: Callable[[AsyncConnection, AnyRow, Sequence[str], float], Awaitable[None]],
    ) -> AnyRow:
        """Do the same with all unconfirmed messages, some at a time; one that was resolved meanwhile stays so."""
        row = await self.get(campaign_id, scope)
        async with self._db.read() as connection:
            ids = await message_queries.unconfirmed_of(connection, campaign_id)
        if not ids:
            raise WrongState("nothing of this campaign is unconfirmed")
        for start in range(0, len(ids), RESOLVED_AT_ONCE):
            async with self._db.write() as tx:
                await step(tx, row, ids[start : start + RESOLVED_AT_ONCE], await read_now(tx))
            row = await self.get(campaign_id, scope)
        return row

    async def _not_in(
        self, tx: AsyncConnection, campaign_id: str, message_id: str, state: MessageState, verb: str
    ) -> GatewayError:
        row = await message_queries.find_message(tx, campaign_id, message_id)
        if row is None:
            return NotFound("there is no such message in this campaign")
        article = "an" if state is MessageState.UNCONFIRMED else "a"
        return WrongState(f"only {article} {state} message can be {verb}; this one is {row.state}")

    async def _steer(
        self, campaign_id: str, scope: Scope | None, before: Sequence[str], after: CampaignState, reason: str
    ) -> AnyRow:
        await self.get(campaign_id, scope)
        async with self._db.write() as tx:
            done = await queries.set_state(tx, campaign_id, before, after, reason=reason)
        if done:
            self._bus.publish(CampaignHalted(campaign_id))
        return await self._answer(campaign_id, scope, done, str(after))

    async def _answer(self, campaign_id: str, scope: Scope | None, done: bool, verb: str) -> AnyRow:
        row = await self.get(campaign_id, scope)
        if not done:
            raise WrongState(f"a campaign that is {row.state} cannot be {verb}")
        return row


def _account_of(scope: Scope | None) -> str | None:
    return None if scope is None else scope.account_id


def _narrowed(states: Sequence[CampaignState], only_if: str | None) -> tuple[CampaignState, ...]:
    """Of these states that one that was asked for, if any was."""
    return tuple(state for state in states if only_if in (None, state))


async def _require_state(tx: AsyncConnection, campaign_id: str, only_if: str | None) -> None:
    if only_if is None:
        return
    state = await queries.lock_campaign(tx, campaign_id)
    if state != only_if:
        raise WrongState(f"the campaign is {state}, and not {only_if} any more")


async def cancel_messages(db: Database, campaign_id: str) -> None:
    """Cancel what a cancelled campaign has queued, some thousand at a time, so that others may write between."""
    ended = SLICE
    while ended == SLICE:
        async with db.write() as tx:
            now = await read_now(tx)
            ended = await queries.end_queued(tx, campaign_id, MessageState.CANCELLED, "", "", now, limit=SLICE)
