"""What the history of a session looks like."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_LINE: dict[str, Any] = {
    "at": "2026-11-21T09:00:07Z",
    "kind": "keeper.restarted",
    "reason": "WAHA says FAILED",
}


class HistoryLine(BaseModel):
    """Something that happened to a session, or was done with it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LINE]})

    at: datetime = Field(description="When (UTC)")
    kind: str = Field(description="`session.` happened to it, `keeper.` and `keepalive.` were done by the gateway")
    reason: str = Field(description="Why, for people")
