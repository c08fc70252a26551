"""The operator's route that tells what config.toml and the environment have set, as far as it decides who gets what."""

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from gateway.auth.access import Access
from gateway.late_routes import LateRouter
from gateway.settings import Settings

_SETTINGS: dict[str, Any] = {
    "daily_cap": 0,
    "hourly_cap": 1000,
    "default_region": "GB",
    "stop_words": ["STOP", "UNSUBSCRIBE"],
    "start_words": ["START", "UNSTOP"],
    "confirmation": "You will not get any more messages from us. Send START if you want them again.",
    "keepalive_days": 12,
    "expiry_days": 14,
    "pair_link_hours": 24,
}


class SettingsOut(BaseModel):
    """Settings that were read at start; config.toml and the environment set them."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SETTINGS]})

    daily_cap: int = Field(description="dispatch.daily_cap: messages of a sender in a day; 0: any number")
    hourly_cap: int = Field(description="limits.sends_per_hour: messages of a sender in an hour; 0: any number")
    default_region: str = Field(description="phone.default_region: of numbers without a country code; empty: none")
    stop_words: list[str] = Field(description="opt_out.stop_words: who writes one of them gets no more campaigns")
    start_words: list[str] = Field(description="opt_out.start_words: who writes one of them gets them again")
    confirmation: str = Field(description="opt_out.confirmation: what who has stopped is told; empty: nothing")
    keepalive_days: float = Field(description="sessions.keepalive_days: idle for so long, a session is pinged")
    expiry_days: float = Field(description="sessions.expiry_days: idle for so long, it may be logged out")
    pair_link_hours: float = Field(description="sessions.pair_link_hours: for how long a link to pair holds")


def build_router(settings: Settings, access: Access) -> APIRouter:
    """The route `/api/admin/settings`."""
    router = LateRouter(prefix="/api/admin", tags=["admin"], dependencies=[Depends(access.admin)])

    @router.get("/settings", summary="The settings that hold")
    async def get_settings() -> SettingsOut:
        """What this replica has read at its start: caps, opt-out words, and how long sessions and links last."""
        words, sessions = settings.opt_out, settings.sessions
        return SettingsOut(
            daily_cap=settings.dispatch.daily_cap,
            hourly_cap=settings.limits.sends_per_hour,
            default_region=settings.phone.default_region,
            stop_words=list(words.stop_words),
            start_words=list(words.start_words),
            confirmation=words.confirmation,
            keepalive_days=sessions.keepalive_days,
            expiry_days=sessions.expiry_days,
            pair_link_hours=sessions.pair_link_hours,
        )

    return router
