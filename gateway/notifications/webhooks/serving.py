"""Serving one endpoint while there is something to tell it.

A turn is one transaction: it renews the lease, settles what was answered since the last one, and reads what is due.
That is sent outside of any transaction: some lines (campaigns) side by side, each in its order, some events in a row
without waiting for the database. A failure ends its line's flight, and the next turn goes on with what follows; what
failed comes back by itself when it is due. While an endpoint fails it is sent one event at a time.

It ends when nothing is due and nothing in flight, when the endpoint is paused or gone, when the lease is lost, or when
the process stops. Between an answer and its settlement a crash means that the event is sent once more: at least once.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth.models import LOCAL_ACCOUNT
from gateway.clock import Clock
from gateway.db import AnyRow, Database
from gateway.notifications.models import EVERYBODY
from gateway.notifications.outbox import Fact, tell
from gateway.notifications.webhooks import turns
from gateway.notifications.webhooks.bodies import write_body
from gateway.notifications.webhooks.kinds import EventKind
from gateway.notifications.webhooks.models import EndpointState
from gateway.notifications.webhooks.posting import Post, Poster
from gateway.notifications.webhooks.queries import disable_endpoint
from gateway.notifications.webhooks.retrying import Answer, decide
from gateway.notifications.webhooks.signing import sign
from gateway.notifications.webhooks.wellbeing import Wellbeing, attempt_columns
from gateway.vault import Vault

log = structlog.get_logger()

LEASE_SECONDS = 30.0
RENEW_SECONDS = 8.0
LINES = 5
"""So many lines of one endpoint are sent side by side."""
IN_A_ROW = 20
"""So many events of a line are sent before the next turn chooses anew."""
AGAIN_SECONDS = 1.0
GRACE_SECONDS = 2.0
"""So long an answer is waited for when the process stops; whoever takes over sends the event again."""


@dataclass(frozen=True, slots=True)
class ServingParts:
    """What serving needs from around it."""

    db: Database
    clock: Clock
    vault: Vault
    poster: Poster
    replica: str


class Serving:
    """One endpoint, held by a lease of this epoch."""

    def __init__(self, parts: ServingParts, endpoint_id: str, epoch: int, held_until: float) -> None:
        """`held_until` is the end of the lease, by this process's monotonic clock."""
        self._parts = parts
        self._id = endpoint_id
        self._epoch = epoch
        self._held_until = held_until
        self._endpoint: AnyRow | None = None
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._answers: list[tuple[AnyRow, Answer]] = []
        self._news = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Start nothing more, and end soon."""
        self._stopping = True
        self._news.set()

    async def run(self) -> None:
        """Serve until there is nothing to do, or somebody else does it."""
        try:
            while await self._take_turn():
                await self._parts.clock.wait(self._news, GRACE_SECONDS if self._stopping else RENEW_SECONDS)
                self._news.clear()
                if self._stopping:
                    await self._land()
        finally:
            for flight in self._flights.values():
                flight.cancel()
            await asyncio.gather(*self._flights.values(), return_exceptions=True)

    async def _land(self) -> None:
        """Give those in flight a moment, and then up."""
        if self._flights:
            await asyncio.wait(self._flights.values(), timeout=GRACE_SECONDS)
        for flight in self._flights.values():
            flight.cancel()
        await asyncio.gather(*self._flights.values(), return_exceptions=True)

    async def _take_turn(self) -> bool:
        """A turn; False if it was the last. While the database is away it is tried again as long as the lease holds."""
        while self._parts.clock.monotonic() < self._held_until:
            try:
                return await self._turn()
            except (SQLAlchemyError, OSError) as error:
                log.warning("webhook_not_settled", webhook_id=self._id, error=type(error).__name__)
                if self._stopping:
                    return False
                await self._parts.clock.sleep(AGAIN_SECONDS)
        log.warning("webhook_lease_lost", webhook_id=self._id)
        return False

    async def _turn(self) -> bool:
        parts, began, answers = self._parts, self._parts.clock.monotonic(), list(self._answers)
        self._flights = {line: flight for line, flight in self._flights.items() if not flight.done()}
        async with parts.db.write() as tx:
            row = await turns.renew(tx, self._id, parts.replica, self._epoch, LEASE_SECONDS)
            if row is None:
                return False
            does = await self._settle(tx, row, answers)
            idle = self._stopping or row.state != EndpointState.ACTIVE or bool(does.reason)
            due: dict[str, list[AnyRow]] = {}
            if not idle and does.hold_until <= row.now:
                due = await self._due(tx, 1 if does.failures else LINES)
            last = not due and not self._flights
            if last:
                await turns.release(tx, self._id)
        del self._answers[: len(answers)]  # those that came meanwhile are of flights, which the next turn settles
        self._endpoint, self._held_until = row, began + LEASE_SECONDS
        for line, rows in due.items():
            flight = asyncio.create_task(self._fly(rows), name=f"webhook {self._id}")
            flight.add_done_callback(lambda _: self._news.set())
            self._flights[line] = flight
        return not last

    async def _due(self, tx: AsyncConnection, lines: int) -> dict[str, list[AnyRow]]:
        """What is to be sent now, by line, in order."""
        found: dict[str, list[AnyRow]] = {}
        free = lines - len(self._flights)
        if free > 0:
            for row in await turns.due(tx, self._id, self._flights.keys(), LINES * IN_A_ROW):
                if row.line in found or len(found) < free:
                    found.setdefault(row.line, []).append(row)
        return {line: rows[:IN_A_ROW] for line, rows in found.items()}

    async def _settle(self, tx: AsyncConnection, row: AnyRow, answers: Sequence[tuple[AnyRow, Answer]]) -> Wellbeing:
        """Write what was answered, and what follows from it."""
        does = Wellbeing.of(row)
        for sent, answer in answers:
            attempts = sent.attempts + 1
            decision = decide(answer, attempts, random.random())  # noqa: S311 - it only spreads retries
            await turns.settle_delivery(tx, sent, attempt_columns(answer, decision, attempts, row.now))
            does = does.after(answer, decision, row.now)
        if answers:
            await turns.settle_endpoint(tx, self._id, does.columns())
        if does.reason and await disable_endpoint(tx, self._id, does.reason, row.now):
            log.warning("webhook_disabled", webhook_id=self._id, reason=does.reason)
            account = LOCAL_ACCOUNT if row.account_id == EVERYBODY else row.account_id
            data = {"webhook_id": self._id, "url": row.url, "reason": does.reason}
            await tell(tx, [Fact(EventKind.WEBHOOK_DISABLED, account, data)])
        return does

    async def _fly(self, rows: Sequence[AnyRow]) -> None:
        """Send some events of a line, one after the other, until one fails."""
        for row in rows:
            if self._stopping or self._parts.clock.monotonic() >= self._held_until:
                return
            try:
                answer = await self._send(row)
            except Exception:
                log.exception("webhook_not_sent", webhook_id=self._id, event_id=row.event_id)
                answer = Answer(None, error="it could not be sent; the log says why")
            self._answers.append((row, answer))
            self._news.set()
            if not answer.is_delivered:
                return

    async def _send(self, row: AnyRow) -> Answer:
        assert self._endpoint is not None
        body = write_body(row.event_id, row.kind, row.at, row.data, row.sequence)
        return await self._parts.poster.send(signed_post(self._parts, self._endpoint, row.event_id, body))


def signed_post(parts: ServingParts, endpoint: AnyRow, event_id: str, body: bytes) -> Post:
    """A request to an endpoint (its row, with the database's time as `now`), signed by its secrets."""
    vault = parts.vault
    is_new = endpoint.old_secret_until is not None and endpoint.old_secret_until > endpoint.now
    older = [vault.decrypt(endpoint.old_secret_encrypted)] if is_new else []
    headers = sign(body, event_id, parts.clock.now(), vault.decrypt(endpoint.secret_encrypted), older)
    return Post(endpoint.url, body, headers, careful=endpoint.careful)
