"""Webhooks: endpoints that are made, found again, changed, tried out and removed, and what was delivered to them.

A secret is shown in the answer that makes it. Where that answer is kept for an `Idempotency-Key` it is kept encrypted;
`unseal` makes what is shown of it.
"""

import asyncio
from collections.abc import Iterable
from enum import StrEnum
from typing import Any
from weakref import WeakValueDictionary

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth.access import Caller
from gateway.db import AnyRow, read_now
from gateway.errors import Conflict, FieldError, Forbidden, NotFound, ValidationFailed, WrongState
from gateway.guarded import CallError, Rules
from gateway.idempotency.keys import Key, claim, keep, require_unanswered
from gateway.ids import make_id
from gateway.limits.meter import Meter
from gateway.notifications.models import EVERYBODY
from gateway.notifications.webhooks import queries
from gateway.notifications.webhooks.answers import delivery_out, webhook_out
from gateway.notifications.webhooks.bodies import write_body
from gateway.notifications.webhooks.deliverer import Deliverer
from gateway.notifications.webhooks.kinds import EventKind
from gateway.notifications.webhooks.models import DeliveryState, EndpointState
from gateway.notifications.webhooks.schemas import WebhookIn, WebhookPatch, WebhookReplace
from gateway.notifications.webhooks.serving import ServingParts, signed_post
from gateway.notifications.webhooks.signing import make_secret, signing_secret

MOST_ENDPOINTS = 20
"""So many endpoints an account may have."""
OLD_SECRET_SECONDS = 86_400.0
TESTS_PER_MINUTE = 20


class WebhookService:
    """An account's webhooks."""

    def __init__(self, parts: ServingParts, rules: Rules, deliverer: Deliverer, meter: Meter) -> None:
        self._parts = parts
        self._db = parts.db
        self._rules = rules
        self._deliverer = deliverer
        self._meter = meter
        self._under_way: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def create(self, caller: Caller, body: WebhookIn, key: Key | None = None) -> dict[str, Any]:
        """Store an endpoint, and give the answer for `unseal`.

        Raises:
            ValidationFailed: the address is none that is called.
            Forbidden: it is not the operator who asks for the events of all accounts.
            Conflict: the account has as many as it may have.
        """
        self._check_url(body.url)
        if body.all_accounts and not caller.is_admin:
            raise Forbidden("only the operator is told the events of all accounts")
        account_id = EVERYBODY if body.all_accounts else caller.account_id
        sealed = self._parts.vault.encrypt(body.secret or make_secret())
        async with self._db.write() as tx:
            await claim(tx, key)
            if await queries.count_of(tx, account_id) >= MOST_ENDPOINTS:
                raise Conflict(f"an account has at most {MOST_ENDPOINTS} webhooks; delete one first")
            now = await read_now(tx)
            values = {
                "id": make_id(now),
                "account_id": account_id,
                "url": body.url,
                "description": body.description,
                "events": _events(body.events),
                "secret_encrypted": sealed,
                "old_secret_encrypted": "",
                "state": EndpointState.ACTIVE,
                "reason": "",
                "hold_until": 0.0,
                "failures": 0,
                "careful": False,
                "epoch": 0,
                "lease_until": 0.0,
                "created_at": now,
                "updated_at": now,
            }
            row = await queries.insert_endpoint(tx, values)
            await queries.listen(tx, row.id, account_id)
            answer = webhook_out(row).model_dump(mode="json") | {"secret": sealed}
            await keep(tx, key, answer)
        return answer

    def unseal(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer with a new secret, as it is shown."""
        secret = self._parts.vault.decrypt(answer["secret"])
        return answer | {"secret": secret, "signing_secret": signing_secret(secret)}

    async def page(self, caller: Caller, offset: int, limit: int) -> tuple[list[AnyRow], int]:
        """Some of the caller's endpoints, and how many there are."""
        async with self._db.read() as connection:
            rows, total = await queries.list_endpoints(connection, caller.account_scope, offset, limit)
        return list(rows), total

    async def get(self, caller: Caller, webhook_id: str) -> AnyRow:
        """One endpoint; raises `NotFound`."""
        async with self._db.read() as connection:
            return await _found(connection, caller, webhook_id)

    async def change(self, caller: Caller, webhook_id: str, body: WebhookReplace | WebhookPatch) -> AnyRow:
        """Change what `body` says; raises `NotFound`, and `ValidationFailed` as `create` does."""
        if body.url is not None:
            self._check_url(body.url)
        values: dict[str, Any] = {}
        if body.url is not None:
            values["url"] = body.url
        if body.events is not None:
            values["events"] = _events(body.events)
        if body.description is not None:
            values["description"] = body.description
        async with self._db.write() as tx:
            before = await _found(tx, caller, webhook_id, lock=True)
            await self._switch(tx, before, body.enabled)
            row = await queries.update_endpoint(tx, webhook_id, values)
        self._deliverer.wake()
        return row

    async def _switch(self, tx: AsyncConnection, row: AnyRow, enabled: bool | None) -> None:
        if enabled is True and row.state != EndpointState.ACTIVE:
            await queries.move_endpoint(tx, row.id, EndpointState.ACTIVE, row.now)
            await queries.wake_deliveries(tx, row.id)
        elif enabled is False and row.state != EndpointState.PAUSED:
            await queries.move_endpoint(tx, row.id, EndpointState.PAUSED, row.now)

    async def delete(self, caller: Caller, webhook_id: str) -> None:
        """Remove an endpoint, with what was not delivered yet; raises `NotFound`."""
        async with self._db.write() as tx:
            await _found(tx, caller, webhook_id, lock=True)
            await queries.delete_endpoint(tx, webhook_id)

    async def rotate_secret(
        self, caller: Caller, webhook_id: str, secret: str | None, key: Key | None = None
    ) -> dict[str, Any]:
        """Sign with a new secret, and for a day with the old one too; gives the answer for `unseal`.

        Raises `NotFound`.
        """
        sealed = self._parts.vault.encrypt(secret or make_secret())
        async with self._db.write() as tx:
            await claim(tx, key)
            before = await _found(tx, caller, webhook_id, lock=True)
            values = {
                "secret_encrypted": sealed,
                "old_secret_encrypted": before.secret_encrypted,
                "old_secret_until": before.now + OLD_SECRET_SECONDS,
            }
            row = await queries.update_endpoint(tx, webhook_id, values)
            answer = webhook_out(row).model_dump(mode="json") | {"secret": sealed}
            await keep(tx, key, answer)
        return answer

    async def test(self, caller: Caller, webhook_id: str, key: Key | None = None) -> dict[str, Any]:
        """Send a test now, once, whatever the endpoint's state, and tell what came of it: a `DeliveryOut` as JSON.

        No transaction holds what is sent, so a second request with the same key waits here for the first one.

        Raises:
            NotFound: there is no such endpoint, or it is another's.
            RateLimited: too many tests in a minute.
        """
        if key is None:
            return await self._test(caller, webhook_id, None)
        async with self._under_way.setdefault((key.scope, key.key), asyncio.Lock()):
            await require_unanswered(self._db, key)
            return await self._test(caller, webhook_id, key)

    async def _test(self, caller: Caller, webhook_id: str, key: Key | None) -> dict[str, Any]:
        row = await self.get(caller, webhook_id)
        await self._meter.hit("tests of webhooks", row.account_id, TESTS_PER_MINUTE)
        event_id, data = make_id(row.now), orjson.dumps({"webhook_id": webhook_id}).decode()
        body = write_body(event_id, EventKind.WEBHOOK_TEST, row.now, data, None)
        answer = await self._parts.poster.send(signed_post(self._parts, row, event_id, body))
        async with self._db.write() as tx:
            await claim(tx, key)
            await _found(tx, caller, webhook_id, lock=True)
            now = await read_now(tx)
            values = {
                "endpoint_id": webhook_id,
                "event_id": event_id,
                "line": "",
                "kind": EventKind.WEBHOOK_TEST,
                "at": row.now,
                "data": data,
                "state": DeliveryState.DELIVERED if answer.is_delivered else DeliveryState.GIVEN_UP,
                "attempts": 1,
                "next_at": now,
                "status": answer.status,
                "response": answer.text,
                "error": answer.error,
                "seconds": answer.seconds,
                "last_attempt_at": now,
                "created_at": row.now,
                "ended_at": now,
            }
            told = delivery_out(await queries.insert_delivery(tx, values)).model_dump(mode="json")
            await keep(tx, key, told)
        return told

    async def deliveries(
        self,
        caller: Caller,
        webhook_id: str,
        *,
        state: DeliveryState | None,
        kind: EventKind | None,
        offset: int,
        limit: int,
    ) -> tuple[list[AnyRow], int]:
        """Some of what an endpoint was told, and how much it is; raises `NotFound`."""
        kind = None if kind is EventKind.ANY else kind
        async with self._db.read() as connection:
            await _found(connection, caller, webhook_id)
            rows, total = await queries.list_deliveries(
                connection, webhook_id, state=state, kind=kind, offset=offset, limit=limit
            )
        return list(rows), total

    async def replay(self, caller: Caller, webhook_id: str, delivery_id: str, key: Key | None = None) -> dict[str, Any]:
        """Send an event again, with as many attempts as a new one has; gives the answer, a `DeliveryOut` as JSON.

        Raises:
            NotFound: there is no such endpoint or delivery, or it is another's.
            WrongState: the endpoint is told nothing.
        """
        async with self._db.write() as tx:
            await claim(tx, key)
            endpoint = await _found(tx, caller, webhook_id, lock=True)
            if endpoint.state != EndpointState.ACTIVE:
                raise WrongState(f"the webhook is {endpoint.state}; enable it first")
            row = await queries.replay_delivery(tx, webhook_id, delivery_id)
            if row is None:
                raise NotFound("there is no such delivery")
            answer = delivery_out(row).model_dump(mode="json")
            await keep(tx, key, answer)
        self._deliverer.wake()
        return answer

    def _check_url(self, url: str) -> None:
        try:
            self._rules.check_beforehand(url)
        except CallError as error:
            fields = [FieldError("url", error.reason, error.code.lower())]
            raise ValidationFailed(f"url: {error.reason}", errors=fields) from None


async def _found(connection: AsyncConnection, caller: Caller, webhook_id: str, *, lock: bool = False) -> AnyRow:
    row = await queries.find_endpoint(connection, webhook_id, caller.account_scope, lock=lock)
    if row is None:
        raise NotFound("there is no such webhook, or it is not yours")
    return row


def _events(kinds: Iterable[StrEnum]) -> str:
    return orjson.dumps([kind.value for kind in kinds]).decode()
