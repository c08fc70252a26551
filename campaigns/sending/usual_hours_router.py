"""The account's quiet hours and weekdays, over the API."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from campaigns.sending.hours import WEEKDAYS, Hours, Weekday, mask_of, names_of
from campaigns.sending.hours_schemas import QuietHours, TimeZone, minutes_of
from campaigns.sending.models import EVERY_DAY
from campaigns.sending.timing import quiet_out
from campaigns.sending.usual_hours import UsualHoursService
from gateway.auth.access import Access, Caller
from gateway.late_routes import LateRouter

_EXAMPLE: dict[str, Any] = {
    "timezone": "Europe/London",
    "quiet_hours": {"from": "21:00", "to": "08:00"},
    "weekdays": list(WEEKDAYS),
}


class UsualHoursIn(BaseModel):
    """When campaigns and schedules may send that name neither quiet hours nor weekdays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    timezone: TimeZone = Field(description="IANA name, of the clock that is meant; a request may name another")
    quiet_hours: QuietHours | None = Field(default=None, description="Nothing is sent then; null: there are none")
    weekdays: list[Weekday] = Field(
        default=list(WEEKDAYS), min_length=1, max_length=7, description="Nothing is sent on other days"
    )


class UsualHoursOut(BaseModel):
    """The same, as they hold; without a `timezone` none were set, and messages may leave at any time."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    timezone: str | None
    quiet_hours: QuietHours | None
    weekdays: list[Weekday]


def build_router(service: UsualHoursService, access: Access) -> APIRouter:
    """The routes under `/api/quiet-hours`."""
    router = LateRouter(prefix="/api/quiet-hours", tags=["campaigns"])
    Who = Annotated[Caller, Depends(access.account)]  # noqa: N806 - a type

    @router.get("", summary="When nothing is sent")
    async def get(caller: Who) -> UsualHoursOut:
        """The account's quiet hours and weekdays, for campaigns and schedules that name none of their own."""
        return _out(await service.get(caller))

    @router.put("", summary="Keep hours quiet")
    async def put(body: UsualHoursIn, caller: Who) -> UsualHoursOut:
        """Holds for what is submitted from now on, unless a request names `quiet_hours` or `weekdays` of its own.

        Answers to people who have written are sent at any time.
        """
        quiet_from, quiet_to = minutes_of(body.quiet_hours)
        hours = Hours(body.timezone, quiet_from, quiet_to, mask_of(body.weekdays))
        await service.put(caller, hours)
        return _out(hours)

    @router.delete("", status_code=204, summary="Keep no hours quiet")
    async def drop(caller: Who) -> None:
        """What is submitted from now on may leave at any time, unless its request says otherwise."""
        await service.put(caller, None)

    return router


def _out(hours: Hours | None) -> UsualHoursOut:
    quiet = quiet_out(hours.quiet_from, hours.quiet_to) if hours else None
    return UsualHoursOut(
        timezone=hours.timezone if hours else None,
        quiet_hours=QuietHours.model_validate(quiet) if quiet else None,
        weekdays=names_of(hours.weekdays if hours else EVERY_DAY),
    )
