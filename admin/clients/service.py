"""Clients as the operator makes, changes, tops up and removes them, and their keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from admin.clients.numbers import WAITING, numbers_of, set_numbers
from admin.clients.schemas import ClientChangeIn, ClientIn, KeyIn
from campaigns.sending.caps import day_end
from campaigns.sending.lanes import wake_campaign
from campaigns.sending.models import CampaignState
from campaigns.sending.steering import Steering
from campaigns.sending.tables import campaign
from gateway.auth.clients import queries
from gateway.auth.clients.keys import NewKey, issue
from gateway.auth.clients.queries import client as client_table
from gateway.auth.clients.scopes import ALL_SCOPES
from gateway.auth.queries import account
from gateway.db import AnyRow, Database, read_now
from gateway.errors import Conflict, DuplicateResource, FieldError, NotFound, ValidationFailed, WrongState
from gateway.events import DelaysChanged, EventBus
from gateway.folding import fold
from gateway.idempotency.keys import Key, claim, keep
from gateway.ids import make_id
from gateway.money import MILLION, MOST, shown, to_millionths

log = structlog.get_logger()

FIRST_KEY = "first"
_MOST_BALANCE = MOST * MILLION


@dataclass(frozen=True, slots=True)
class Told:
    """A client's row, its numbers (digits), and the time at which it was read."""

    row: AnyRow
    numbers: Sequence[str]
    read_at: float


class ClientService:
    """Clients and their keys."""

    def __init__(self, db: Database, bus: EventBus, steering: Steering) -> None:
        self._db = db
        self._bus = bus
        self._steering = steering

    # --- clients ----------------------------------------------------------------------------------------------------

    async def create(self, body: ClientIn, numbers: Sequence[str]) -> tuple[Told, NewKey]:
        """A new client with an account and a first key of its own; `numbers` (digits) become its senders.

        Raises:
            DuplicateResource: there is a client of this name.
            Conflict: a number belongs to another account, or still sends for it.
        """
        async with self._db.write() as tx:
            now = await read_now(tx)
            client_id = make_id(now)
            await tx.execute(account.insert().values(id=client_id, name=body.name, created_at=now))
            values = {
                "id": client_id,
                "name": body.name,
                "folded_name": fold(body.name),
                "account_id": client_id,
                "timezone": body.timezone,
                "daily_limit": body.daily_limit,
                "messages_per_minute": body.messages_per_minute,
                "balance": to_millionths(body.balance),
                "price": to_millionths(body.price),
                "currency": body.currency,
                "disabled": False,
                "day_ends_at": 0.0,
                "sent_today": 0,
                "created_at": now,
            }
            if not await queries.insert_client(tx, values):
                raise _name_taken()
            row = await _found(tx, client_id)
            await set_numbers(tx, row, numbers, now)
            key = await issue(tx, client_id, now, name=FIRST_KEY, scopes=ALL_SCOPES, expires_at=None)
            told = await _told(tx, row)
        log.info("client_created", client_id=client_id)
        return told, key

    async def page(self, offset: int, limit: int) -> tuple[list[Told], int]:
        """Some clients by name, and how many there are."""
        async with self._db.read() as connection:
            rows, total = await queries.list_clients(connection, offset, limit)
            numbers = await numbers_of(connection, [row.account_id for row in rows])
            now = await read_now(connection)
        return [Told(row, numbers[row.account_id], now) for row in rows], total

    async def get(self, client_id: str) -> Told:
        """One client; raises `NotFound`."""
        async with self._db.read() as connection:
            return await _told(connection, await _found(connection, client_id))

    async def change(self, client_id: str, body: ClientChangeIn, numbers: Sequence[str] | None) -> Told:
        """Change what `body` names. What waits because of the daily limit is looked at anew.

        Raises:
            NotFound: there is no such client.
            DuplicateResource: another one has this name.
            Conflict: as `create`.
        """
        changes = body.model_dump(exclude_unset=True, exclude={"senders"})
        async with self._db.write() as tx:
            now = await read_now(tx)
            if numbers is not None:
                await set_numbers(tx, await _found(tx, client_id), numbers, now)
            await self._wake(tx, client_id)  # clients are locked last, everywhere
            row = await _found(tx, client_id, lock=True)
            if body.name is not None:
                changes["folded_name"] = fold(body.name)
                if await queries.is_taken(tx, changes["folded_name"], client_id):
                    raise _name_taken()
            if body.price is not None:
                changes["price"] = to_millionths(body.price)
            if body.timezone not in (None, row.timezone) and row.day_ends_at > now:
                changes["day_ends_at"] = day_end(now, body.timezone or "")
            if changes:
                await queries.change_client(tx, client_id, changes)
            told = await _told(tx, await _found(tx, client_id))
        self._bus.publish(DelaysChanged())
        log.info("client_changed", client_id=client_id, changed=sorted(body.model_fields_set))
        return told

    async def remove(self, client_id: str, *, cancel: bool) -> None:
        """Remove a client: its keys open nothing any more, and its senders are the operator's again.

        Its campaigns stay to be read. With `cancel` those that are not done are cancelled first.

        Raises:
            NotFound: there is no such client.
            Conflict: it has campaigns that are not done.
        """
        if cancel:
            await self.get(client_id)
            async with self._db.read() as connection:
                waiting = (await connection.execute(select(campaign.c.id).where(*_waiting(client_id)))).scalars().all()
            for campaign_id in waiting:
                await self._cancel(campaign_id)
        async with self._db.write() as tx:
            now = await read_now(tx)
            await set_numbers(tx, await _found(tx, client_id), [], now)
            await _found(tx, client_id, lock=True)
            if (await tx.execute(select(campaign.c.id).where(*_waiting(client_id)).limit(1))).first() is not None:
                raise WrongState(
                    "the client has campaigns that are not done; cancel them first (cancel_campaigns=true)"
                )
            await queries.revoke_keys(tx, client_id, now)
            await queries.change_client(tx, client_id, {"disabled": True, "removed_at": now})
        log.info("client_removed", client_id=client_id)

    async def _cancel(self, campaign_id: str) -> None:
        try:
            await self._steering.cancel(campaign_id, None)
        except WrongState:
            log.debug("campaign_ended_meanwhile", campaign_id=campaign_id)

    async def credit(self, client_id: str, millionths: int, key: Key | None = None) -> dict[str, Any]:
        """Add an amount to a balance, and give the answer, a `CreditOut` as JSON; it is kept under the idempotency key.

        Raises:
            NotFound: there is no such client.
            ValidationFailed: the balance would be too large.
        """
        async with self._db.write() as tx:
            await claim(tx, key)
            row = await _found(tx, client_id, lock=True)
            if abs(row.balance + millionths) > _MOST_BALANCE:
                message = f"would make the balance larger than {MOST}"
                raise ValidationFailed(f"amount: {message}", errors=[FieldError("amount", message, "too_large")])
            added = update(client_table).where(client_table.c.id == client_id)
            await tx.execute(added.values(balance=client_table.c.balance + millionths))
            balance = row.balance + millionths
            answer = {"amount": shown(millionths), "balance": shown(balance), "currency": row.currency}
            await keep(tx, key, answer)
        log.info("client_credited", client_id=client_id)
        return answer

    async def _wake(self, tx: AsyncConnection, client_id: str) -> None:
        going = (campaign.c.client_id == client_id, campaign.c.state.in_((CampaignState.QUEUED, CampaignState.RUNNING)))
        query = select(campaign.c.id).where(*going, campaign.c.n_queued > 0).order_by(campaign.c.id)
        for campaign_id in (await tx.execute(query)).scalars().all():
            await wake_campaign(tx, campaign_id)

    # --- keys -------------------------------------------------------------------------------------------------------

    async def add_key(self, client_id: str, body: KeyIn) -> tuple[AnyRow, str]:
        """A new key of a client, and itself, which is shown this once.

        Raises:
            NotFound: there is no such client.
            ValidationFailed: it would be over already.
        """
        expires_at = None if body.expires_at is None else body.expires_at.timestamp()
        async with self._db.write() as tx:
            await _found(tx, client_id, lock=True)
            now = await read_now(tx)
            if expires_at is not None and expires_at <= now:
                raise ValidationFailed(
                    "expires_at: is over", errors=[FieldError("expires_at", "is over", "value_error")]
                )
            made = await issue(tx, client_id, now, name=body.name, scopes=set(body.scopes), expires_at=expires_at)
            row = await _found_key(tx, client_id, made.id)
        log.info("api_key_created", client_id=client_id, key_id=made.id)
        return row, made.token

    async def keys(self, client_id: str, offset: int, limit: int) -> tuple[list[AnyRow], int]:
        """Some of a client's keys, newest first, and how many there are; raises `NotFound`."""
        async with self._db.read() as connection:
            await _found(connection, client_id)
            rows, total = await queries.list_keys(connection, client_id, offset, limit)
        return list(rows), total

    async def revoke(self, client_id: str, key_id: str) -> None:
        """End a key at once; also one that has ended. Raises `NotFound`."""
        async with self._db.write() as tx:
            await _found(tx, client_id)
            await _found_key(tx, client_id, key_id)
            await queries.revoke_key(tx, client_id, key_id, await read_now(tx))
        log.info("api_key_revoked", client_id=client_id, key_id=key_id)

    async def rotate(self, client_id: str, key_id: str) -> tuple[AnyRow, str]:
        """A new key in the place of another one, which ends at once.

        Raises:
            NotFound: there is no such key.
            Conflict: it has ended already.
        """
        async with self._db.write() as tx:
            await _found(tx, client_id, lock=True)
            old, now = await _found_key(tx, client_id, key_id), await read_now(tx)
            if not await queries.revoke_key(tx, client_id, key_id, now):
                raise Conflict("the key was revoked already; make a new one")
            scopes, name = old.scopes.split(), old.name
            made = await issue(tx, client_id, now, name=name, scopes=scopes, expires_at=old.expires_at)
            row = await _found_key(tx, client_id, made.id)
        log.info("api_key_rotated", client_id=client_id, key_id=key_id)
        return row, made.token


async def _found(connection: AsyncConnection, client_id: str, *, lock: bool = False) -> AnyRow:
    row = await queries.find_client(connection, client_id, lock=lock)
    if row is None:
        raise NotFound("there is no such client")
    return row


async def _found_key(connection: AsyncConnection, client_id: str, key_id: str) -> AnyRow:
    row = await queries.find_key(connection, client_id, key_id)
    if row is None:
        raise NotFound("the client has no such key")
    return row


async def _told(connection: AsyncConnection, row: AnyRow) -> Told:
    numbers = await numbers_of(connection, [row.account_id])
    return Told(row, numbers[row.account_id], await read_now(connection))


def _waiting(client_id: str) -> tuple[ColumnElement[bool], ...]:
    account_id = select(client_table.c.account_id).where(client_table.c.id == client_id).scalar_subquery()
    return campaign.c.account_id == account_id, campaign.c.state.in_(WAITING)


def _name_taken() -> DuplicateResource:
    message = "there is a client of this name already"
    return DuplicateResource(message, errors=[FieldError("name", message, "duplicate")])
