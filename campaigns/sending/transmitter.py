"""Carrying one claimed message to WAHA, or finding out what became of one."""

import base64
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from campaigns.sending.addressing import Addresses
from campaigns.sending.media import media_kind
from campaigns.sending.outcomes import Claim, Outcome, Result, Task
from campaigns.sending.retry import decide, decide_look, decide_unsent, hold_seconds, next_look
from campaigns.sending.suspicion import Suspicions
from campaigns.sending.tables import media, session
from gateway.clock import Clock
from gateway.db import Database
from gateway.waha.client import WahaClient
from gateway.waha.errors import ContactLimited, LookupUnavailable, WahaError, WahaUnreachable
from gateway.waha.ids import make_chat_id
from gateway.waha.schemas import FoundMessage, SentMessage
from sessions.limits import told_end
from sessions.models import SessionState
from sessions.servers.fleet import Fleet

log = structlog.get_logger()

_IDS_IGNORED = frozenset({"WEBJS", "WPP"})  # these engines give a message an id of their own
StillOurs: TypeAlias = Callable[[], Awaitable[bool]]

_MEDIA_IN_MEMORY = 4
LATENCY_MEMORY = 50
NOBODY_TELLS = "its sender has not come back to tell whether it was sent; it is not sent again by itself"
FIRST_LATENCY_GUESS = 0.5
"""Seconds until WAHA answers, before we have seen any; afterwards a moving average."""


@dataclass(frozen=True, slots=True)
class TransmitterSettings:
    """What carrying a message depends on; seconds."""

    timeout_seconds: float = 150.0
    hold_seconds: float = 0.0
    max_attempts: int = 5


@dataclass(frozen=True, slots=True)
class _File:
    """A media file, ready to be handed over."""

    mimetype: str
    filename: str
    base64: str


class _MediaGone(Exception):
    """The file of a campaign is not stored any more."""


class Transmitter:
    """Does what a claim asks for and says how it ended. It never raises a `WahaError`."""

    def __init__(
        self,
        db: Database,
        fleet: Fleet,
        clock: Clock,
        addresses: Addresses,
        suspicions: Suspicions,
        settings: TransmitterSettings,
    ) -> None:
        self._db = db
        self._addresses = addresses
        self._suspicions = suspicions
        self._fleet = fleet
        self._clock = clock
        self._settings = settings
        self.latency_seconds = FIRST_LATENCY_GUESS
        self._answers = 0
        self._media: OrderedDict[str, _File] = OrderedDict()
        self._in_vain: dict[int, tuple[str, float]] = {}  # by sender: the message that is looked up, and since when

    async def carry_out(self, claim: Claim, age_seconds: float, still_ours: StillOurs) -> Outcome:
        """Send or reconcile; `age_seconds` is the time since the message was first handed to WAHA.

        Nothing is handed over unless `still_ours` says at that moment that the lane is, and the message may go: this
        process may have been frozen just before, its campaign halted while a question was asked, or its recipient have
        opted out.
        """
        if claim.task is Task.SEND:
            outcome = await self._send(claim, still_ours)
        elif claim.hopeless:
            outcome = Outcome(Result.UNCONFIRMED, "unconfirmed", NOBODY_TELLS)
        else:
            outcome = await self._reconcile(claim, age_seconds)
        if outcome.result is Result.SENT:
            self._suspicions.clear(claim.sender_id)
        return outcome

    async def _send(self, claim: Claim, still_ours: StillOurs) -> Outcome:
        client = self._fleet.client(claim.server_id)
        limit = self._settings.max_attempts
        if client is None:
            missing = WahaUnreachable("the session's WAHA server is not known here")
            return decide(missing, claim.attempts, limit, self._clock.monotonic())
        try:
            address = await self._addresses.find(client, claim)
        except WahaError as error:
            self._note_unreachable(claim, error)
            return decide_unsent(error, claim.attempts, limit, self._clock.monotonic(), chance=_chance())
        if isinstance(address, Outcome):
            return address
        return await self._deliver(client, claim, address, still_ours)

    async def _deliver(self, client: WahaClient, claim: Claim, address: str, still_ours: StillOurs) -> Outcome:
        limit = self._settings.max_attempts
        try:
            file = None if claim.media_id is None else await self._read_media(claim.media_id)
        except (SQLAlchemyError, OSError) as error:
            log.error("media_not_read", error=str(error), media_id=claim.media_id)
            return Outcome(Result.LATER, "backoff", "the database did not answer", 1.0)
        except _MediaGone:
            return Outcome(Result.FAILED, "media_gone", "the file of its campaign is not stored any more")
        if not await still_ours():
            return Outcome(Result.RELEASED)
        started_at = self._clock.monotonic()
        try:
            sent = await self._hand_over(client, claim, address, file)
        except WahaError as error:
            outcome = decide(error, claim.attempts, limit, self._clock.monotonic(), chance=_chance())
            self._note_unreachable(claim, error)
            if isinstance(error, ContactLimited):
                return replace(outcome, limited=True, limited_until=await self._locked_until(client, claim))
            return self._suspicions.judge(claim, error, outcome)
        answered_at = self._clock.monotonic()
        self._note_latency(answered_at - started_at)
        wa_id = sent.message_id if sent.message_id != claim.wa_id else None
        return Outcome(
            Result.SENT, answered=True, answered_at=answered_at, ack=1 if sent.accepted else None, wa_id=wa_id
        )

    def _note_unreachable(self, claim: Claim, error: WahaError) -> None:
        if isinstance(error, WahaUnreachable):
            self._fleet.note_unreachable(claim.server_id)

    async def _locked_until(self, client: WahaClient, claim: Claim) -> float | None:
        """Until when WhatsApp lets this sender write to nobody new, if WAHA knows; it asks nobody for that."""
        try:
            me = await client.get_me(claim.session_name)
        except WahaError as error:
            log.info("lock_end_unknown", number=claim.number, error=str(error))
            return None
        return told_end(me.timelock, self._clock.now()) if me is not None else None

    def _note_latency(self, seconds: float) -> None:
        self._answers += 1
        self.latency_seconds += (seconds - self.latency_seconds) / min(self._answers, LATENCY_MEMORY)

    async def _hand_over(self, client: WahaClient, claim: Claim, chat_id: str, file: _File | None) -> SentMessage:
        if file is None:
            return await client.send_text(claim.session_name, chat_id, claim.text, claim.wa_id)
        return await client.send_media(
            claim.session_name,
            chat_id,
            kind=media_kind(file.mimetype),
            data=file.base64,
            mimetype=file.mimetype,
            filename=file.filename,
            caption=claim.text or None,
            message_id=claim.wa_id,
        )

    async def _read_media(self, media_id: str) -> _File:
        """The file of a campaign; a few are kept in memory, for each goes out many times."""
        if media_id not in self._media:
            async with self._db.read() as connection:
                found = (await connection.execute(select(media).where(media.c.id == media_id))).first()
            if found is None:
                raise _MediaGone
            encoded = base64.b64encode(found.content).decode("ascii")
            self._media[media_id] = _File(found.mimetype, found.filename, encoded)
            while len(self._media) > _MEDIA_IN_MEMORY:
                self._media.popitem(last=False)
        self._media.move_to_end(media_id)
        return self._media[media_id]

    async def _reconcile(self, claim: Claim, age_seconds: float) -> Outcome:
        engine = self._fleet.engine(claim.server_id)
        hold = hold_seconds(engine, self._settings.timeout_seconds, self._settings.hold_seconds)
        wait = next_look(age_seconds, hold)
        client = self._fleet.client(claim.server_id)
        if client is None:
            return Outcome(Result.ASK_AGAIN, "server_down", "its WAHA server is not known here", wait)
        chat_id = claim.chat_id or make_chat_id(claim.phone)
        tells = engine not in _IDS_IGNORED and not _paired_anew(claim)
        try:
            found = await client.find_message(claim.session_name, chat_id, claim.wa_id)
        except LookupUnavailable:
            found, tells = None, False
        except WahaError as error:
            return decide_look(error, age_seconds, hold, self._vain_seconds(claim))
        self._in_vain.pop(claim.sender_id, None)
        if found is not None:
            return _found(found)
        if age_seconds < hold:
            return Outcome(Result.ASK_AGAIN, "uncertain", "WAHA has not shown it yet", wait)
        if tells and not await self._is_paired_as(claim):
            reason = "its session has changed while it was looked up"
            return Outcome(Result.ASK_AGAIN, "uncertain", reason, max(wait, 1.0))
        return self._absent(claim, tells=tells)

    def _vain_seconds(self, claim: Claim) -> float:
        """For how long each look-up of this message has failed."""
        now = self._clock.monotonic()
        message_id, since = self._in_vain.get(claim.sender_id, ("", now))
        if message_id != claim.message_id:
            since = now
        self._in_vain[claim.sender_id] = claim.message_id, since
        return now - since

    async def _is_paired_as(self, claim: Claim) -> bool:
        """Whether the session is still the one that was claimed: WAHA may have waited for a new one to answer."""
        async with self._db.read() as connection:
            query = select(session.c.state, session.c.paired_at).where(session.c.sender_id == claim.sender_id)
            row = (await connection.execute(query)).first()
        return row is not None and row.state == SessionState.CONNECTED and row.paired_at == claim.paired_at

    def _absent(self, claim: Claim, *, tells: bool) -> Outcome:
        """It was not found, and the hold is over; `tells` is whether that proves anything."""
        if not tells:
            reason = "WAHA cannot tell whether it was sent; it is not sent again by itself"
            return Outcome(Result.UNCONFIRMED, "unconfirmed", reason)
        if claim.attempts >= self._settings.max_attempts:
            return Outcome(Result.FAILED, "gave_up", f"it never left, after {claim.attempts} attempts")
        return Outcome(Result.ABSENT, "absent", "it never left")


def _chance() -> float:
    return random.random()  # noqa: S311 - not a secret


def _found(found: FoundMessage) -> Outcome:
    if found.ack == -1:
        return Outcome(Result.FAILED, "refused_by_whatsapp", "WhatsApp refused it")
    return Outcome(Result.SENT, ack=found.ack or None)


def _paired_anew(claim: Claim) -> bool:
    """A new pairing begins with an empty store: there, absence proves nothing."""
    return claim.paired_at is not None and claim.paired_at > claim.started_at
