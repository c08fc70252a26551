"""What the route that makes links takes and gives, and what the page asks for."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from gateway.settings import MOST_LINK_HOURS


class PairLinkCreate(BaseModel):
    """How long a link is to hold."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"hours": 2}]})

    hours: float | None = Field(
        default=None, gt=0, le=MOST_LINK_HOURS, allow_inf_nan=False, description="sessions.pair_link_hours if not said"
    )


class PairLinkOut(BaseModel):
    """A link to the pairing page of one number."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "phone_number": "+42108077",
                    "url": "https://gateway.example.org/pair/42108077?expires=1795338000&signature=q0Zk...",
                    "expires_at": "2026-11-22T09:00:00Z",
                }
            ]
        }
    )

    phone_number: str = Field(description="With country code and +")
    url: str = Field(description="Whoever has it can pair this number until then: send it to the phone's owner only")
    expires_at: datetime = Field(description="From then on the link opens nothing")


class TypedOut(BaseModel):
    """A code to type, as the page shows it."""

    code: str
    seconds_left: float | None
