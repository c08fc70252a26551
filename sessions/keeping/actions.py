"""Carrying out what was decided about one session.

Between a sweep and the moment at which a session's turn comes, much may have happened. So the session is held first;
then its row and WAHA's word are read anew and decided upon once more, and that decision is carried out. An attempt is
counted before WAHA is asked: whoever dies in between leaves a pause behind and no storm.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from gateway.db import AnyRow, Database, read_now
from gateway.errors import GatewayError
from gateway.events import EventBus
from gateway.waha.errors import SessionNotFound, WahaError, WahaUnreachable
from gateway.waha.schemas import SessionInfo, WahaStatus
from sessions.history import Diary, Kind
from sessions.keeping import queries
from sessions.keeping.decisions import REST, Decision, Step, attempts_after, decide, pause
from sessions.keeping.views import Surroundings, Viewer
from sessions.lifecycle import Held, Lifecycle
from sessions.news.state_writer import StateWriter
from sessions.queries import change
from sessions.servers.fleet import Fleet, Member
from sessions.service import SessionService

log = structlog.get_logger()

FinishMove = Callable[[Held], Awaitable[None]]
InFlight = Callable[[int], Awaitable[bool]]
"""Whether a sender has a message under way."""


@dataclass(frozen=True, slots=True)
class ActionParts:
    """What every action works with. `finish_move` takes a held session that is being moved (None: it is left alone)."""

    db: Database
    bus: EventBus
    fleet: Fleet
    lifecycle: Lifecycle
    service: SessionService
    writer: StateWriter
    viewer: Viewer
    in_flight: InFlight
    finish_move: FinishMove | None = None
    jitter: Callable[[], float] = random.random


@dataclass(slots=True)
class _Attempt:
    """What was being done when WAHA failed."""

    row: AnyRow
    step: Step


class Actions:
    """Mends sessions, one call at a time."""

    def __init__(self, parts: ActionParts) -> None:
        self._parts = parts

    async def mend(self, server_id: str, sender_id: int, around: Surroundings) -> bool:
        """Do what the session needs now; whether WAHA was asked to change something."""
        parts = self._parts
        member = parts.fleet.member(server_id)
        if member is None or not member.up:
            return False
        attempt: _Attempt | None = None
        try:
            async with parts.lifecycle.hold(sender_id, "keep") as held:
                decision, info = await self._look(member, held, around)
                if decision.step in _JUDGEMENTS:
                    await self._judge(held.row, decision)
                elif decision.step in _ATTEMPTS:
                    attempt = _Attempt(held.row, decision.step)
                    await self._count(held.row, decision, around)
                    await self._carry_out(member, held, info, decision)
        except WahaError as error:
            await self._note_failure(member, attempt, error)
        except GatewayError as error:
            log.debug("not_kept", sender_id=sender_id, reason=error.detail)  # busy, or gone
        return attempt is not None

    async def forgive(self, sender_ids: list[int]) -> bool:
        """Forget the troubles of sessions that are well."""
        async with self._parts.db.write() as tx:
            await queries.forgive(tx, sender_ids)
        return False

    async def _look(self, member: Member, held: Held, around: Surroundings) -> tuple[Decision, SessionInfo | None]:
        """Decide once more, on the fresh truth."""
        if held.row.server_id != member.id:
            return REST, None
        try:
            info: SessionInfo | None = await held.client.get_session(held.row.name)
        except SessionNotFound:
            info = None
        async with self._parts.db.read() as connection:
            now = await read_now(connection)
        decision = decide(self._parts.viewer.look(held.row, info, around, now), now)
        if decision.step is Step.CONFIGURE and await self._parts.in_flight(held.row.sender_id):
            return REST, info  # it would be cut off; the next sweep asks again
        if decision.step is Step.FINISH_MOVE and self._parts.finish_move is None:
            return REST, info
        return decision, info

    async def _judge(self, row: AnyRow, decision: Decision) -> None:
        writer = self._parts.writer
        match decision.step:
            case Step.CLOSE_PAIRING:
                await writer.close_pairing(row)
            case Step.EXPIRE:
                await writer.expire(row, decision.reason, decision.rejections)
            case _:
                await writer.give_up(row, decision.reason)

    async def _count(self, row: AnyRow, decision: Decision, around: Surroundings) -> None:
        repairs = attempts_after(row.repairs, others_work=around.others_work)
        async with self._parts.db.write() as tx:
            now = await read_now(tx)
            next_at = now + pause(repairs, self._parts.jitter())
            await queries.count_attempt(tx, row.sender_id, repairs, now, next_at, decision.rejections)

    async def _carry_out(self, member: Member, held: Held, info: SessionInfo | None, decision: Decision) -> None:
        log.info("keeping", number=held.row.number, server=member.name, step=decision.step, reason=decision.reason)
        answer: SessionInfo | None = None
        match decision.step:
            case Step.FINISH_DELETE:
                await self._parts.service.finish_delete(held, Kind.FINISHED_DELETE, decision.reason)
                return
            case Step.FINISH_MOVE:
                assert self._parts.finish_move is not None
                await self._parts.finish_move(held)
                return
            case Step.STOP:
                await held.stop()
                kind = Kind.KEPT_STOPPED
            case Step.CONFIGURE:
                assert info is not None
                answer = await held.configure(info.config)
                kind = Kind.RECONFIGURED
            case Step.RESTART:
                answer = await held.restart()
                kind = Kind.RESTARTED
            case _:
                answer = await (held.bring_up() if info is None else held.wake(info))
                kind = Kind.RECREATED if info is None else Kind.STARTED
        await self._note(held.row, kind, decision.reason)
        if answer is not None and answer.status is not WahaStatus.WORKING:
            await self._parts.writer.on_answer(member, held.row, answer)

    async def _note(self, row: AnyRow, kind: Kind, reason: str) -> None:
        diary = Diary()
        async with self._parts.db.write() as tx:
            now = await read_now(tx)
            await diary.note(tx, row.sender_id, row.number, kind, reason, now)
            if kind in (Kind.RECREATED, Kind.RECONFIGURED):
                await change(tx, row.sender_id, configured_at=now)
        diary.tell(self._parts.bus)

    async def _note_failure(self, member: Member, attempt: _Attempt | None, error: WahaError) -> None:
        """Write down that WAHA failed; a server that is away says nothing about the session."""
        if isinstance(error, WahaUnreachable):
            self._parts.fleet.note_unreachable(member.id)
        if attempt is None:
            log.warning("not_kept", server=member.name, error=str(error))
            return
        row, diary = attempt.row, Diary()
        log.warning("keeping_failed", number=row.number, server=member.name, step=attempt.step, error=str(error))
        async with self._parts.db.write() as tx:
            reason = f"{attempt.step.replace('_', ' ')}: {error}"
            await diary.note(tx, row.sender_id, row.number, Kind.REPAIR_FAILED, reason, await read_now(tx))
            if isinstance(error, WahaUnreachable):
                await change(tx, row.sender_id, repairs=row.repairs, rejections=row.rejections)
        diary.tell(self._parts.bus)


_JUDGEMENTS = (Step.CLOSE_PAIRING, Step.EXPIRE, Step.GIVE_UP)
_ATTEMPTS = (Step.FINISH_DELETE, Step.FINISH_MOVE, Step.STOP, Step.START, Step.RESTART, Step.CONFIGURE)
