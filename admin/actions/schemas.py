"""What the routes of operators' actions take and give."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from admin.actions.models import Outcome
from admin.actions.verbs import Subject

LEAST_REASON, MOST_REASON = 3, 500
"""Characters."""
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=LEAST_REASON, max_length=MOST_REASON)]
_ASKED: dict[str, Any] = {
    "table": "campaign",
    "row": "01a1fb76-b031-7b43-9d8e-a57d616216a4",
    "action": "pause",
    "state": "running",
    "reason": "the shop asked for it",
}


class ActionIn(BaseModel):
    """What to do to which row, the state that it is in, and why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_ASKED]})

    table: Subject
    row: Annotated[str, Field(min_length=1, max_length=40)] = Field(
        description="The row's key; a session's `sender_id`"
    )
    action: Annotated[str, Field(min_length=1, max_length=16)] = Field(
        description="Of a campaign: pause, resume, retry, cancel. Of a message: resend, accept, retry, cancel. "
        "Of a session: start, restart, stop, logout"
    )
    state: Annotated[str, Field(min_length=1, max_length=24)] = Field(
        description="The state from which alone it is done"
    )
    reason: Reason = Field(description="Kept with it")


class ActionOut(BaseModel):
    """One line of the history."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01a1fb76-b031-7b43-9d8e-a57d616216a5",
                    "at": "2026-11-21T09:00:00Z",
                    "by": "operator",
                    "table": "campaign",
                    "row": "01a1fb76-b031-7b43-9d8e-a57d616216a4",
                    "action": "pause",
                    "before": "running",
                    "after": "paused",
                    "reason": "the shop asked for it",
                    "outcome": "done",
                    "detail": "",
                }
            ]
        }
    )

    id: str
    at: datetime
    by: str
    table: str
    row: str
    action: str
    before: str = Field(description="The state that was seen")
    after: str | None = Field(description="The state that came of it; null unless it was done")
    reason: str
    outcome: Outcome = Field(description="`begun` where the gateway ended before it could say what came of it")
    detail: str = Field(description="Why it was refused")
