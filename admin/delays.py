"""The operator's routes about the delays between messages: those that hold for all, and a sender's own."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query

from admin.schemas import MAX_DELAY_SECONDS, DelaysIn, DelaysOut, UserDelaysIn, UserDelaysOut
from campaigns.sending.delays import DelayService, SenderDelay
from gateway.auth.access import Access, Caller, PhoneReader
from gateway.errors import FieldError, ValidationFailed
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter


def build_router(service: DelayService, phones: PhoneReader, access: Access, idempotency: Idempotency) -> APIRouter:
    """The routes under `/api/admin/delays` and `/api/admin/user-delays`."""
    router = LateRouter(prefix="/api/admin", tags=["admin"], dependencies=[Depends(access.admin)])
    Operator = Annotated[Caller, Depends(access.admin)]  # noqa: N806 - a type
    JustOnce = Annotated[Once, Depends(idempotency)]  # noqa: N806 - a type

    @router.get("/delays", summary="The delays")
    async def get_delays() -> DelaysOut:
        """The delays that hold now, in seconds."""
        delays = await service.get()
        return DelaysOut(MESSAGE_DELAY=delays.message, SENDER_SWITCH_DELAY=delays.switch)

    @router.post("/delays", summary="Set the delays")
    async def set_delays(body: DelaysIn, operator: Operator, once: JustOnce) -> DelaysOut:
        """Takes effect on the next message of every sender within a second, also where one waits already."""
        if body.MESSAGE_DELAY is None and body.SENDER_SWITCH_DELAY is None:
            message = "name MESSAGE_DELAY, SENDER_SWITCH_DELAY, or both"
            raise ValidationFailed(message, errors=[FieldError("MESSAGE_DELAY", message, "missing")])

        async def changed() -> DelaysOut:
            delays = await service.set(body.MESSAGE_DELAY, body.SENDER_SWITCH_DELAY)
            return DelaysOut(MESSAGE_DELAY=delays.message, SENDER_SWITCH_DELAY=delays.switch)

        return await once.step(DelaysOut, operator, changed)

    @router.get("/user-delays", summary="One sender's delay")
    async def get_user_delays(
        sender_number: Annotated[str, Query(max_length=40, description="Whose")],
    ) -> UserDelaysOut:
        """The delay of one sender: its own, and the one that holds."""
        number = phones.digits(sender_number, "sender_number")
        return _sender_delay(await service.get_for(number))

    @router.post("/user-delays", summary="Set one sender's delay")
    async def set_user_delays(
        operator: Operator,
        once: JustOnce,
        body: Annotated[UserDelaysIn | None, Body()] = None,
        sender_number: Annotated[str | None, Query(max_length=40, description="Whose, unless the JSON says it")] = None,
        MESSAGE_DELAY: Annotated[  # noqa: N803 - the word of the API
            float | None,
            Query(ge=0, le=MAX_DELAY_SECONDS, allow_inf_nan=False, description="Seconds, where there is no JSON"),
        ] = None,
    ) -> UserDelaysOut:
        """By query or by JSON. A `MESSAGE_DELAY` of null in JSON gives the sender the general delay again."""
        if body is not None:
            _refuse_two("sender_number", sender_number is not None and body.sender_number is not None)
            _refuse_two("MESSAGE_DELAY", MESSAGE_DELAY is not None)
        text = sender_number or (body.sender_number if body else None)
        if text is None:
            raise ValidationFailed("say whose", errors=[FieldError("sender_number", "is required", "missing")])
        if body is None and MESSAGE_DELAY is None:
            raise ValidationFailed("say how long", errors=[FieldError("MESSAGE_DELAY", "is required", "missing")])
        delay = body.MESSAGE_DELAY if body is not None else MESSAGE_DELAY
        number = phones.digits(text, "sender_number")

        async def changed() -> UserDelaysOut:
            return _sender_delay(await service.set_for(number, delay))

        return await once.step(UserDelaysOut, operator, changed)

    return router


def _refuse_two(field: str, twice: bool) -> None:
    if twice:
        message = "is given by query and by JSON; give it once"
        raise ValidationFailed(f"{field} {message}", errors=[FieldError(field, message, "given_twice")])


def _sender_delay(delay: SenderDelay) -> UserDelaysOut:
    return UserDelaysOut(
        sender_number=f"+{delay.number}",
        MESSAGE_DELAY=delay.own,
        effective_message_delay=delay.general if delay.own is None else delay.own,
    )
