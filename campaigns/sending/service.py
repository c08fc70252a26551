"""The one way in: every campaign, whatever door it came through, is validated, rendered and queued here."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.metering import admission
from campaigns.sending import queries
from campaigns.sending.attachments import Uploaded, find_media
from campaigns.sending.forecasting import Forecast, Forecaster
from campaigns.sending.models import CampaignState, Purpose
from campaigns.sending.preparing import bad_rows, refuse_bad_rows
from campaigns.sending.schemas import SendRequest
from campaigns.sending.submitting import (
    Submission,
    begin,
    digest_of,
    opted_out_rows,
    read_submission,
    remove_messages,
    store_early,
    store_rest,
)
from campaigns.sending.timing import new_columns
from gateway.auth.access import Caller, PhoneReader
from gateway.db import Database, DatabaseAway, read_now
from gateway.errors import SessionNotConnected
from gateway.events import CampaignFinished, EventBus, WorkAdded
from gateway.fetch import Fetched
from gateway.idempotency.keys import Key, keep, once
from gateway.settings import MediaSettings
from sessions.models import SessionState

log = structlog.get_logger()
Revise: TypeAlias = Callable[[Submission], Awaitable[Submission]]


class CampaignService:
    """Submits campaigns, or says what would happen."""

    def __init__(
        self,
        db: Database,
        bus: EventBus,
        phones: PhoneReader,
        media: MediaSettings,
        forecaster: Forecaster,
        *,
        max_recipients: int,
    ) -> None:
        self._db = db
        self._bus = bus
        self._media = media
        self._forecaster = forecaster
        self.max_recipients = max_recipients
        self.phones = phones

    async def preview(self, caller: Caller, request: SendRequest) -> tuple[Submission, Forecast]:
        """What would happen; nothing is stored."""
        submission = await self._read(caller, request)
        return submission, await self._forecast(caller, submission)

    async def submit(
        self,
        caller: Caller,
        request: SendRequest,
        idempotency_key: str | Key | None = None,
        *,
        purpose: Purpose = Purpose.CAMPAIGN,
        revise: Revise | None = None,
    ) -> dict[str, Any]:
        """Queue a campaign; returns the answer to give.

        With an idempotency key the same request gets the same answer and queues nothing again. A door whose request is
        not all that was asked, because it has chosen the senders, brings the whole `Key` of what was. `revise` may
        change the texts once all else has been found good, before anything is stored.

        Raises:
            SessionNotConnected: a sender cannot send, and waiting was not asked for.
            ValidationFailed: a field is wrong, or the key was used for another request.
            InsufficientBalance, DailyLimitReached: the client may not send so much now.
        """
        sender_number = self.phones.digits(request.sender_number, "sender_number")
        key = idempotency_key if isinstance(idempotency_key, Key) else None
        if isinstance(idempotency_key, str) and idempotency_key:
            digest = await asyncio.to_thread(digest_of, request)
            key = Key(f"send:{caller.account_id}:{sender_number}", idempotency_key, digest)
        return (await once(self._db, key, lambda: self._submit(caller, request, key, purpose, revise))).body

    async def _submit(
        self, caller: Caller, request: SendRequest, key: Key | None, purpose: Purpose, revise: Revise | None
    ) -> dict[str, Any]:
        submission = await self._read(caller, request, purpose)
        if request.on_bad_row == "strict" or not submission.prepared.rows:
            refuse_bad_rows(submission.prepared)
        await self._require_connected(submission)
        await self._require_room(caller, submission)
        found = None
        if request.media_url:
            found = await find_media(self._db, caller, request.media_url, request.template, self._media)
        if revise is not None:
            submission = await revise(submission)
        answer = await self._queue(caller, submission, found, key)
        log.info("campaign_submitted", campaign_id=answer["campaign"]["id"], messages=len(submission.prepared.rows))
        if submission.sendable:
            self._bus.publish(WorkAdded())
        else:
            self._bus.publish(CampaignFinished(answer["campaign"]["id"], CampaignState.FAILED))
        return answer

    async def _read(self, caller: Caller, request: SendRequest, purpose: Purpose = Purpose.CAMPAIGN) -> Submission:
        return await read_submission(
            self._db, caller, request, self.phones, max_recipients=self.max_recipients, purpose=purpose
        )

    async def _queue(
        self, caller: Caller, submission: Submission, found: Fetched | Uploaded | None, key: Key | None
    ) -> dict[str, Any]:
        """Store messages, then the campaign with the answer to the key; nothing is left of it if that fails."""
        finish_at = (await self._forecast(caller, submission)).finish_at
        begun = await begin(self._db)
        try:
            await store_early(self._db, begun, submission)
            async with self._db.write() as tx:
                await store_rest(tx, caller, begun, submission, found)
                answer = await self._answer(tx, begun.campaign_id, submission, finish_at)
                await keep(tx, key, answer)
        except DatabaseAway:
            raise  # whether the last commit was carried out is not known: what is left over is found out later
        except Exception:
            await remove_messages(self._db, begun.campaign_id)
            raise
        return answer

    async def _require_room(self, caller: Caller, submission: Submission) -> None:
        count, hours = len(submission.prepared.rows), submission.hours
        async with self._db.read() as connection:
            now = await read_now(connection)
            opens_at = new_columns(hours, now)["opens_at"]
            await admission.look(connection, caller.account_id, count, opens_at, now)

    async def _require_connected(self, submission: Submission) -> None:
        if submission.request.queue_if_offline:
            return
        offline = await self._not_connected(submission.numbers)
        if offline:
            names = ", ".join(f"+{number}" for number in offline)
            raise SessionNotConnected(
                f"{names}: the session is not connected; create it with POST /api/sessions and scan the code of "
                "GET /api/sessions/{number}/qr, or send with queue_if_offline to have the messages wait"
            )

    async def _not_connected(self, numbers: Sequence[str]) -> list[str]:
        async with self._db.read() as connection:
            known = await queries.senders_by_number(connection, numbers)
        return [n for n in numbers if n not in known or known[n].state != SessionState.CONNECTED]

    async def _answer(
        self, tx: AsyncConnection, campaign_id: str, submission: Submission, finish_at: float
    ) -> dict[str, Any]:
        row = await queries.find_campaign(tx, campaign_id, None)
        assert row is not None
        return {
            "campaign": queries.campaign_values(row),
            "sender_numbers": submission.numbers,
            "duplicates": submission.prepared.duplicates,
            "invalid": bad_rows(submission.prepared),
            "opted_out": opted_out_rows(submission),
            "opted_out_count": len(submission.opted_out),
            "grades": dict(submission.prepared.grades),
            "finish_at": finish_at,
            "personalization": dict(Counter(submission.personalization.values())),
        }

    async def _forecast(self, caller: Caller, submission: Submission) -> Forecast:
        request, count = submission.request, submission.sendable
        return await self._forecaster.of(
            self._db, submission.numbers, count, request.rotation, submission.hours, caller.account_id
        )
