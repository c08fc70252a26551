"""Sessions that WAHA says are WORKING, and that are ill all the same: deaf, or unable to send.

WAHA's word is not enough here, so the engine and WhatsApp are asked before the session is restarted, and what they say
is in its history. A restart helps where anything does; one that did not help is not repeated, only told.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import orjson
import structlog

from gateway.db import Database, read_now
from gateway.errors import GatewayError
from gateway.events import EventBus
from gateway.waha.errors import WahaError
from gateway.waha.schemas import SessionInfo, WahaStatus
from sessions.history import Diary, Kind
from sessions.keeping import queries
from sessions.keeping.decisions import pause
from sessions.lifecycle import Held, Lifecycle
from sessions.models import Desired, SessionState
from sessions.queries import change

log = structlog.get_logger()

DEAF_REST_SECONDS = 6 * 3600.0
SICK_REST_SECONDS = 3600.0
TELL_SECONDS = 3600.0
PATIENCE_SECONDS = 5.0
ENGINE_TEXT_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What a session is thought to have.

    `kind` is DEAF or SICK, `reason` a sentence, `rest` the seconds until it may be restarted for that again.
    """

    kind: Kind
    reason: str
    rest: float


def deaf(reason: str) -> Suspicion:
    """It is thought to be deaf."""
    return Suspicion(Kind.DEAF, reason, DEAF_REST_SECONDS)


def sick(reason: str) -> Suspicion:
    """Its sends all fail."""
    return Suspicion(Kind.SICK, reason, SICK_REST_SECONDS)


class SecondLooks:
    """Looks at sessions that are under suspicion, and restarts them once."""

    def __init__(
        self, db: Database, bus: EventBus, lifecycle: Lifecycle, jitter: Callable[[], float] = random.random
    ) -> None:
        self._db = db
        self._bus = bus
        self._lifecycle = lifecycle
        self._jitter = jitter

    async def look(self, sender_id: int, suspicion: Suspicion) -> bool:
        """Probe the session and restart it, if that was not tried lately; whether it was restarted."""
        try:
            async with self._lifecycle.hold(sender_id, "probe", patience=PATIENCE_SECONDS) as held:
                if held.row.desired != Desired.RUNNING or held.row.state != SessionState.CONNECTED:
                    return False
                return await self._treat(held, suspicion)
        except WahaError as error:
            await self._note(sender_id, Kind.REPAIR_FAILED, f"restart: {error}")
            return True
        except GatewayError as error:
            log.debug("not_looked_at", sender_id=sender_id, reason=error.detail)
            return False

    async def _treat(self, held: Held, suspicion: Suspicion) -> bool:
        row = held.row
        async with self._db.read() as connection:
            now = await read_now(connection)
            told_at = await queries.last_noted(connection, row.sender_id, suspicion.kind)
        treated_at = row.deaf_at if suspicion.kind is Kind.DEAF else told_at
        rests = treated_at is not None and now - treated_at < suspicion.rest
        if rests and (suspicion.kind is Kind.SICK or (told_at is not None and now - told_at < TELL_SECONDS)):
            return False
        info = await held.client.get_session(row.name)
        if info.status is not WahaStatus.WORKING:
            return False  # it has fallen meanwhile: that is another matter
        found = f"{suspicion.reason}; {await self._probe(held, info)}"
        log.warning("session_ill", number=row.number, kind=suspicion.kind, reason=found)
        if rests:
            await self._note(row.sender_id, suspicion.kind, f"{found}; a restart has not helped")
            return False
        await self._begin(held, suspicion, found)
        await held.restart()
        await self._note(row.sender_id, Kind.RESTARTED, suspicion.reason)
        return True

    async def _probe(self, held: Held, info: SessionInfo) -> str:
        """What the engine says of itself, and whether WhatsApp answers through it."""
        engine = orjson.dumps(dict(info.engine)).decode()[:ENGINE_TEXT_LIMIT]
        try:
            check = await held.client.check_number(held.row.name, held.row.number)
        except WahaError as error:
            return f"its engine says {engine}, and WhatsApp cannot be asked through it: {error}"
        return f"its engine says {engine}, and WhatsApp answers {'well' if check.exists else 'that it is not there'}"

    async def _begin(self, held: Held, suspicion: Suspicion, found: str) -> None:
        """Write down what was found, and that this is the one restart for some time."""
        row, diary = held.row, Diary()
        async with self._db.write() as tx:
            now = await read_now(tx)
            await diary.note(tx, row.sender_id, row.number, suspicion.kind, found, now)
            next_at = now + pause(row.repairs + 1, self._jitter())
            await queries.count_attempt(tx, row.sender_id, row.repairs + 1, now, next_at, 0)
            if suspicion.kind is Kind.DEAF:
                await change(tx, row.sender_id, deaf_at=now)
        diary.tell(self._bus)

    async def _note(self, sender_id: int, kind: Kind, reason: str) -> None:
        diary = Diary()
        async with self._db.write() as tx:
            number = await queries.number_of(tx, sender_id)
            await diary.note(tx, sender_id, number, kind, reason, await read_now(tx))
        diary.tell(self._bus)
