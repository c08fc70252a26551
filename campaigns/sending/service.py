"""The one way in: every campaign, whatever door it came through, is validated, rendered and queued here."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending import queries
from campaigns.sending.attachments import fetch_media, store_media
from campaigns.sending.forecast import fastest, forecast, replay, shares
from campaigns.sending.lanes import read_delays, wake_campaign
from campaigns.sending.models import OPEN_STATES, CampaignState, MessageState, Rotation
from campaigns.sending.pacing import Delays
from campaigns.sending.preparing import Prepared, prepare, read_template, refuse_bad_rows
from campaigns.sending.rendering import Template
from campaigns.sending.schemas import SendRequest
from campaigns.sending.settling import close_campaign
from campaigns.sending.tables import campaign, campaign_sender
from gateway.auth.access import Caller, PhoneReader
from gateway.db import AnyRow, Database, read_now
from gateway.errors import FieldError, NotFound, SessionNotConnected, ValidationFailed, WrongState
from gateway.events import CampaignHalted, EventBus, WorkAdded
from gateway.fetch import Fetched
from gateway.ids import make_id, make_ids
from gateway.settings import MediaSettings
from sessions.models import SessionState
from sessions.queries import ensure_sender

log = structlog.get_logger()


class _AnsweredMeanwhile(Exception):
    """The same request with the same key was faster; this one's transaction is rolled back."""


@dataclass(frozen=True, slots=True)
class _Key:
    """An idempotency key, whose it is, and the request that it stands for."""

    scope: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A request that was read: its senders, its template, and what became of its recipients."""

    request: SendRequest
    numbers: list[str]
    template: Template
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a campaign would finish, and what it depends on."""

    shares: dict[str, int]
    not_connected: list[str]
    duration_seconds: float
    finish_at: float
    note: str


class CampaignService:
    """Submit, look at, pause, resume and cancel campaigns."""

    def __init__(
        self,
        db: Database,
        bus: EventBus,
        phones: PhoneReader,
        media: MediaSettings,
        *,
        max_recipients: int,
        latency: Callable[[], float],
    ) -> None:
        self._db = db
        self._bus = bus
        self._media = media
        self._max_recipients = max_recipients
        self._latency = latency
        self.phones = phones

    # --- submitting ---------------------------------------------------------------------------------------------

    async def read(self, caller: Caller, request: SendRequest) -> Submission:
        """Check a request and prepare its messages, in a worker thread; stores nothing.

        Raises:
            NotFound: a sender is not the caller's.
            ValidationFailed: a field is wrong.
        """
        if len(request.recipients) > self._max_recipients:
            message = f"at most {self._max_recipients} recipients, here are {len(request.recipients)}"
            raise ValidationFailed(message, errors=[FieldError("recipients", message, "too_long")])
        if not request.template.strip() and not request.media_url:
            message = "is empty"
            raise ValidationFailed(f"template {message}", errors=[FieldError("template", message, "missing")])
        numbers = self._read_senders(caller, request)
        template = read_template(request.template)
        prepared = await asyncio.to_thread(prepare, template, request.recipients, request.variables, self.phones.read)
        return Submission(request, numbers, template, prepared)

    def _read_senders(self, caller: Caller, request: SendRequest) -> list[str]:
        numbers = [self.phones.digits(request.sender_number, "sender_number")]
        for index, text in enumerate(request.sender_numbers):
            numbers.append(self.phones.digits(text, f"sender_numbers.{index}"))
        for number in numbers:
            if not caller.may_use(number):
                raise NotFound(f"+{number} is not a sender of yours")
        return list(dict.fromkeys(numbers))

    async def submit(self, caller: Caller, request: SendRequest, idempotency_key: str | None = None) -> dict[str, Any]:
        """Queue a campaign; returns the answer to give.

        With an idempotency key the same request gets the same answer and queues nothing again.

        Raises:
            SessionNotConnected: a sender cannot send, and waiting was not asked for.
            ValidationFailed: a field is wrong, or the key was used for another request.
        """
        sender_number = self.phones.digits(request.sender_number, "sender_number")
        key = None
        if idempotency_key:
            digest = hashlib.sha256(orjson.dumps(request.model_dump(mode="json"))).hexdigest()
            key = _Key(f"send:{caller.account_id}:{sender_number}", idempotency_key, digest)
            if earlier := await self._earlier_answer(key):
                return earlier
        submission = await self.read(caller, request)
        if request.on_bad_row == "strict" or not submission.prepared.rows:
            refuse_bad_rows(submission.prepared)
        await self._require_connected(submission)
        fetched = await fetch_media(request.media_url, request.template, self._media) if request.media_url else None
        try:
            answer = await self._queue(caller, submission, fetched, key)
        except _AnsweredMeanwhile:
            assert key is not None
            return await self._earlier_answer(key) or {}
        log.info("campaign_submitted", campaign_id=answer["campaign"]["id"], messages=len(submission.prepared.rows))
        self._bus.publish(WorkAdded())
        return answer

    async def _queue(
        self, caller: Caller, submission: Submission, fetched: Fetched | None, key: _Key | None
    ) -> dict[str, Any]:
        """Store campaign, messages and the answer to the key, in one transaction."""
        async with self._db.write() as tx:
            campaign_id = await self._store(tx, caller, submission, fetched)
            answer = await self._answer(tx, campaign_id, submission)
            if key is not None:
                kept = await queries.keep_answer(
                    tx,
                    {
                        "scope": key.scope,
                        "key": key.key,
                        "request_hash": key.digest,
                        "response": orjson.dumps(answer).decode(),
                        "created_at": await read_now(tx),
                    },
                )
                if not kept:
                    raise _AnsweredMeanwhile
        return answer

    async def _earlier_answer(self, key: _Key) -> dict[str, Any] | None:
        async with self._db.read() as connection:
            row = await queries.find_answer(connection, key.scope, key.key)
        if row is None:
            return None
        if row.request_hash != key.digest:
            message = "this Idempotency-Key was used for another request"
            raise ValidationFailed(message, errors=[FieldError("Idempotency-Key", message, "key_reused")])
        answer: dict[str, Any] = orjson.loads(row.response)
        return answer

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

    async def _store(self, tx: AsyncConnection, caller: Caller, submission: Submission, fetched: Fetched | None) -> str:
        request, rows = submission.request, submission.prepared.rows
        now = round(await read_now(tx), 6)  # what is shown, in microseconds, finds it again in a filter
        campaign_id = make_id(now)
        sender_ids = [await ensure_sender(tx, number, caller.account_id, now) for number in submission.numbers]
        await queries.ensure_lanes(tx, sender_ids)
        media_id = await store_media(tx, request.media_url or "", fetched, now) if fetched else None
        await tx.execute(
            insert(campaign).values(
                **_new_campaign(campaign_id, caller.account_id, submission, now),
                media_id=media_id,
                senders=len(sender_ids),
            )
        )
        await tx.execute(
            insert(campaign_sender),
            [
                {"campaign_id": campaign_id, "sender_id": sender_id, "position": index, "open": True, "served_at": 0.0}
                for index, sender_id in enumerate(sender_ids)
            ],
        )
        ids = await asyncio.to_thread(make_ids, now, len(rows))
        await queries.insert_messages(
            tx,
            [
                {
                    "id": message_id,
                    "campaign_id": campaign_id,
                    "seq": seq,
                    "phone": phone.digits,
                    "grade": phone.grade,
                    "text": text,
                    "state": MessageState.QUEUED,
                    "attempts": 0,
                    "not_before": 0.0,
                    "created_at": now,
                }
                for seq, (message_id, (phone, text)) in enumerate(zip(ids, rows, strict=True))
            ],
        )
        await wake_campaign(tx, campaign_id)
        return campaign_id

    async def _answer(self, tx: AsyncConnection, campaign_id: str, submission: Submission) -> dict[str, Any]:
        row = await queries.find_campaign(tx, campaign_id, None)
        assert row is not None
        estimate = await self._forecast(tx, submission)
        return {
            "campaign": campaign_values(row),
            "sender_numbers": submission.numbers,
            "duplicates": submission.prepared.duplicates,
            "invalid": bad_rows(submission.prepared),
            "grades": dict(submission.prepared.grades),
            "finish_at": estimate.finish_at,
        }

    # --- forecasting --------------------------------------------------------------------------------------------

    async def preview(self, caller: Caller, request: SendRequest) -> tuple[Submission, Forecast]:
        """What would happen; nothing is stored."""
        submission = await self.read(caller, request)
        async with self._db.read() as connection:
            return submission, await self._forecast(connection, submission)

    async def _forecast(self, connection: AsyncConnection, submission: Submission) -> Forecast:
        numbers = submission.numbers
        delays = await read_delays(connection)
        known = await queries.senders_by_number(connection, numbers)
        now = await read_now(connection)
        connected = [n for n in numbers if n in known and known[n].state == SessionState.CONNECTED]
        locked = {n: known[n].locked_until for n in connected if known[n].locked_until > now}
        able = [n for n in connected if n not in locked]
        taking = able or connected or numbers
        starts_at = min(locked.values()) if connected and not able else now
        own = {n: known[n].message_delay for n in taking if n in known and known[n].message_delay is not None}
        count = len(submission.prepared.rows)
        lane_delays = [own.get(n, delays.message) for n in taking]
        seconds = self.duration(count, lane_delays, delays, submission.request.rotation)
        notes = []
        if len(taking) > 1 and delays.switch > 0:
            alone = forecast(count, 1, self._latency(), min(lane_delays), 0.0)
            if alone < seconds:
                notes.append("one sender alone would be faster: SENDER_SWITCH_DELAY is longer than MESSAGE_DELAY")
        if locked:
            names = ", ".join(f"+{n}" for n in locked)
            notes.append(f"WhatsApp does not let these write to new contacts for now: {names}")
        return Forecast(
            shares=dict(zip([f"+{n}" for n in taking], shares(count, len(taking)), strict=True)),
            not_connected=[f"+{n}" for n in numbers if n not in connected],
            duration_seconds=seconds,
            finish_at=starts_at + seconds,
            note="; ".join(notes),
        )

    def duration(self, count: int, lane_delays: list[float], delays: Delays, rotation: Rotation) -> float:
        """Seconds that `count` messages take through senders with these delays of their own."""
        latency = self._latency()
        if rotation is Rotation.FASTEST and delays.switch == 0:
            return fastest(count, lane_delays, latency)
        if len(set(lane_delays)) == 1:
            return forecast(count, len(lane_delays), latency, lane_delays[0], delays.switch)
        return replay(count, lane_delays, latency, delays.switch)

    # --- steering -----------------------------------------------------------------------------------------------

    async def get(self, campaign_id: str, number: str | None) -> AnyRow:
        """A campaign; with `number` only one that this sender takes part in.

        Raises:
            NotFound: there is none, or it is another's.
        """
        async with self._db.read() as connection:
            row = await queries.find_campaign(connection, campaign_id, number)
        if row is None:
            raise NotFound("there is no such campaign, or it is not yours")
        return row

    async def pause(self, campaign_id: str, number: str | None) -> AnyRow:
        """Send nothing more until it is resumed; what is in flight is finished."""
        before = (CampaignState.QUEUED, CampaignState.RUNNING)
        return await self._steer(campaign_id, number, before, CampaignState.PAUSED, "paused on request")

    async def resume(self, campaign_id: str, number: str | None) -> AnyRow:
        """Go on."""
        await self.get(campaign_id, number)
        async with self._db.write() as tx:
            await wake_campaign(tx, campaign_id)
            done = await queries.set_state(tx, campaign_id, (CampaignState.PAUSED,), CampaignState.RUNNING, reason="")
        row = await self.get(campaign_id, number)
        if not done:
            raise WrongState(f"only a paused campaign can be resumed; this one is {row.state}")
        self._bus.publish(WorkAdded())
        return row

    async def cancel(self, campaign_id: str, number: str | None) -> AnyRow:
        """Send nothing more, ever: what waits is cancelled, what is in flight is finished."""
        await self.get(campaign_id, number)
        async with self._db.write() as tx:
            now = await read_now(tx)
            open_states = (*OPEN_STATES, CampaignState.SCHEDULED)
            done = await queries.set_state(
                tx, campaign_id, open_states, CampaignState.CANCELLED, reason="cancelled on request", finished_at=now
            )
            if done:
                await queries.cancel_queued(tx, campaign_id, now)
                await close_campaign(tx, campaign_id, CampaignState.CANCELLED, now)
        return await self._halted(campaign_id, number, done, "cancelled")

    async def _steer(
        self, campaign_id: str, number: str | None, before: Sequence[str], after: CampaignState, reason: str
    ) -> AnyRow:
        await self.get(campaign_id, number)
        async with self._db.write() as tx:
            done = await queries.set_state(tx, campaign_id, before, after, reason=reason)
        return await self._halted(campaign_id, number, done, str(after))

    async def _halted(self, campaign_id: str, number: str | None, done: bool, verb: str) -> AnyRow:
        row = await self.get(campaign_id, number)
        if not done:
            raise WrongState(f"a campaign that is {row.state} cannot be {verb}")
        self._bus.publish(CampaignHalted(campaign_id))
        return row


def _new_campaign(campaign_id: str, account_id: str, submission: Submission, now: float) -> dict[str, Any]:
    request, count = submission.request, len(submission.prepared.rows)
    return {
        "id": campaign_id,
        "account_id": account_id,
        "sender_number": submission.numbers[0],
        "name": request.name,
        "template": request.template,
        "media_url": request.media_url,
        "state": CampaignState.QUEUED,
        "priority": request.priority.rank,
        "rotation": request.rotation,
        "failover": request.failover,
        "turn": 0,
        "in_flight": 0,
        "created_at": now,
        "reason": "",
        "total": count,
        "n_queued": count,
        **{f"n_{name}": 0 for name in queries.COUNTERS if name != "queued"},
    }


def bad_rows(prepared: Prepared) -> list[dict[str, Any]]:
    """The bad rows of a submission, as an answer names them."""
    return [
        {"index": row.index, "recipient": row.recipient, "reason": row.reason, "code": row.code}
        for row in prepared.bad[:100]
    ]


def campaign_values(row: AnyRow) -> dict[str, Any]:
    """A campaign's row as plain values, so that it can be kept as an answer."""
    return dict(row._mapping)
