"""The operator's routes about one sender's limits."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from admin.schemas import SenderLimitsIn, SenderLimitsOut
from campaigns.sending.sender_limits import SenderLimits, SenderLimitService
from gateway.auth.access import Access, PhoneReader
from gateway.errors import FieldError, ValidationFailed
from gateway.late_routes import LateRouter
from sessions.schemas import as_time

Number = Annotated[str, Path(description="The sender's number, written in any way", max_length=40)]
_NAMES = {"MESSAGE_DELAY": "message_delay", "daily_cap": "daily_cap", "timezone": "timezone"}


def build_router(service: SenderLimitService, phones: PhoneReader, access: Access) -> APIRouter:
    """The routes under `/api/admin/senders`."""
    router = LateRouter(prefix="/api/admin/senders", tags=["admin"], dependencies=[Depends(access.admin)])

    @router.get("/{phone_number}", summary="One sender's limits")
    async def get_limits(phone_number: Number) -> SenderLimitsOut:
        """Its delay, its daily cap and its time zone: its own, and those that hold."""
        return _limits_out(await service.get(phones.digits(phone_number, "phone_number")))

    @router.patch("/{phone_number}", summary="Set one sender's limits")
    async def set_limits(phone_number: Number, body: SenderLimitsIn) -> SenderLimitsOut:
        """What is left out stays; null gives it the general value again. Felt within a second, also by who waits."""
        changes = {_NAMES[name]: getattr(body, name) for name in body.model_fields_set}
        if not changes:
            message = "name what to change: MESSAGE_DELAY, daily_cap or timezone"
            raise ValidationFailed(message, errors=[FieldError("MESSAGE_DELAY", message, "missing")])
        return _limits_out(await service.change(phones.digits(phone_number, "phone_number"), changes))

    return router


def _limits_out(limits: SenderLimits) -> SenderLimitsOut:
    return SenderLimitsOut(
        sender_number=f"+{limits.number}",
        MESSAGE_DELAY=limits.message_delay,
        effective_message_delay=limits.effective_message_delay,
        daily_cap=limits.daily_cap,
        effective_daily_cap=limits.effective_daily_cap,
        timezone=limits.timezone,
        effective_timezone=limits.effective_timezone,
        sent_today=limits.sent_today,
        day_ends_at=as_time(limits.day_ends_at or None),
    )
