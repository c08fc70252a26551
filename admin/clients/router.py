"""The operator's routes about clients: other systems with API keys."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from admin.clients.schemas import (
    ClientChangeIn,
    ClientCreated,
    ClientIn,
    ClientOut,
    CreditIn,
    CreditOut,
    KeyCreated,
    KeyIn,
    KeyOut,
)
from admin.clients.service import ClientService, Told
from gateway.auth.access import Access, Caller, PhoneReader
from gateway.auth.clients.scopes import ApiScope
from gateway.db import AnyRow
from gateway.errors import FieldError, ValidationFailed
from gateway.http.pages import Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter
from gateway.money import shown, to_millionths
from sessions.schemas import as_time, in_utc

ClientId = Annotated[UUID, Path(description="The `id` that the list shows")]
KeyId = Annotated[UUID, Path(description="The key's `id`")]
_NOT_EMPTIED = ("name", "senders", "price", "timezone", "disabled")


def build_router(
    service: ClientService, phones: PhoneReader, access: Access, idempotency: Idempotency, *, messages_per_minute: int
) -> APIRouter:
    """The routes under `/api/admin/clients`; `messages_per_minute` is for clients without a number of their own."""
    router = LateRouter(prefix="/api/admin/clients", tags=["admin"], dependencies=[Depends(access.admin)])
    Operator = Annotated[Caller, Depends(access.admin)]  # noqa: N806 - a type
    JustOnce = Annotated[Once, Depends(idempotency)]  # noqa: N806 - a type

    def digits(given: Sequence[str]) -> list[str]:
        return [phones.digits(text, f"senders.{index}") for index, text in enumerate(given)]

    def out(told: Told) -> ClientOut:
        return _client_out(told, messages_per_minute)

    @router.post("", status_code=201, summary="Make a client")
    async def create(body: ClientIn, operator: Operator, once: JustOnce) -> ClientCreated:
        """Another system, with an account of its own. The answer holds its `api_key`, shown this once.

        409 `DUPLICATE_RESOURCE` if the name is taken, 409 if a sender belongs to another account than `local`, or has
        campaigns there that are not done.
        """

        async def created() -> ClientCreated:
            told, key = await service.create(body, digits(body.senders))
            return ClientCreated(**out(told).model_dump(), api_key=key.token)

        return await once.step(ClientCreated, operator, created, shown_once="api_key")

    @router.get("", summary="Clients")
    async def list_clients(page: Annotated[PageRequest, Depends()]) -> Page[ClientOut]:
        """All clients by name, with what is left of their balance and what they have sent today."""
        found, total = await service.page(page.offset, page.limit)
        return make_page([out(told) for told in found], total, page)

    @router.get("/{client_id}", summary="One client")
    async def get(client_id: ClientId) -> ClientOut:
        """Its limits, its balance and its senders; keys are listed at `/keys`."""
        return out(await service.get(str(client_id)))

    @router.patch("/{client_id}", summary="Change a client")
    async def change(client_id: ClientId, body: ClientChangeIn) -> ClientOut:
        """What is left out stays. A new limit holds at once, also for what waits; a new price for what comes.

        `senders` are all that are to be its own: those that are missing go back to the account `local`.
        """
        _refuse_nothing(body)
        numbers = None if body.senders is None else digits(body.senders)
        return out(await service.change(str(client_id), body, numbers))

    @router.delete("/{client_id}", status_code=204, summary="Remove a client")
    async def remove(
        client_id: ClientId,
        cancel_campaigns: Annotated[bool, Query(description="Cancel first what is not done")] = False,
    ) -> None:
        """Its keys open nothing any more, and its senders go back to the account `local`; its campaigns stay.

        409 `WRONG_STATE` while it has campaigns that are not done, unless they are cancelled with it.
        """
        await service.remove(str(client_id), cancel=cancel_campaigns)

    @router.post("/{client_id}/credit", summary="Top up a balance")
    async def credit(client_id: ClientId, body: CreditIn, operator: Operator, once: JustOnce) -> CreditOut:
        """Add an amount to the balance, or take a negative one from it; with an `Idempotency-Key` surely once."""
        amount = to_millionths(body.amount)
        answer = await once.answer(operator, lambda key: service.credit(str(client_id), amount, key))
        return CreditOut.model_validate(answer)

    @router.post("/{client_id}/keys", status_code=201, summary="Make a key")
    async def add_key(client_id: ClientId, body: KeyIn, operator: Operator, once: JustOnce) -> KeyCreated:
        """Another key, for what its scopes say. The answer holds it, this once."""

        async def added() -> KeyCreated:
            return _created(*await service.add_key(str(client_id), body))

        return await once.step(KeyCreated, operator, added, shown_once="api_key")

    @router.get("/{client_id}/keys", summary="A client's keys")
    async def list_keys(client_id: ClientId, page: Annotated[PageRequest, Depends()]) -> Page[KeyOut]:
        """All keys, newest first, also those that have ended; their first characters only."""
        found, total = await service.keys(str(client_id), page.offset, page.limit)
        return make_page([_key_out(row) for row in found], total, page)

    @router.post("/{client_id}/keys/{key_id}/rotate", status_code=201, summary="Replace a key")
    async def rotate(client_id: ClientId, key_id: KeyId, operator: Operator, once: JustOnce) -> KeyCreated:
        """A new key with the same name, scopes and end. The old one opens nothing any more. 409 if it was revoked."""

        async def rotated() -> KeyCreated:
            return _created(*await service.rotate(str(client_id), str(key_id)))

        return await once.step(KeyCreated, operator, rotated, shown_once="api_key")

    @router.delete("/{client_id}/keys/{key_id}", status_code=204, summary="Revoke a key")
    async def revoke(client_id: ClientId, key_id: KeyId) -> None:
        """It opens nothing any more, at once. Also 204 where it was revoked before."""
        await service.revoke(str(client_id), str(key_id))

    return router


def _refuse_nothing(body: ClientChangeIn) -> None:
    if not body.model_fields_set:
        message = "name what to change"
        raise ValidationFailed(message, errors=[FieldError("name", message, "missing")])
    empty = [name for name in _NOT_EMPTIED if name in body.model_fields_set and getattr(body, name) is None]
    if empty:
        errors = [FieldError(name, "must not be null", "null") for name in empty]
        raise ValidationFailed(f"{', '.join(empty)}: must not be null", errors=errors)


def _client_out(told: Told, messages_per_minute: int) -> ClientOut:
    row = told.row
    return ClientOut(
        id=row.id,
        name=row.name,
        account=row.account_id,
        senders=[f"+{number}" for number in told.numbers],
        daily_limit=row.daily_limit,
        sent_today=row.sent_today if row.day_ends_at > told.read_at else 0,
        timezone=row.timezone,
        messages_per_minute=row.messages_per_minute,
        effective_messages_per_minute=row.messages_per_minute or messages_per_minute,
        balance=shown(row.balance),
        price=shown(row.price),
        currency=row.currency,
        disabled=row.disabled,
        created_at=in_utc(row.created_at),
    )


def _key_out(row: AnyRow) -> KeyOut:
    return KeyOut(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        scopes=[ApiScope(word) for word in row.scopes.split()],
        expires_at=as_time(row.expires_at),
        last_used_at=as_time(row.last_used_at),
        created_at=in_utc(row.created_at),
        revoked_at=as_time(row.revoked_at),
    )


def _created(row: AnyRow, token: str) -> KeyCreated:
    return KeyCreated(**_key_out(row).model_dump(), api_key=token)
