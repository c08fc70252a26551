"""What the groups' routes take and give."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from campaigns.audience.schemas import PersonName
from campaigns.sending.schemas import refuse_nul

MAX_MEMBERS = 10_000
"""So many recipients can be named in one request. A larger group is filled by several."""
MEMBERS_SHOWN = 1_000
"""So many members one group is shown with."""
MEMBERS_LISTED = 100
"""So many members each group of a list is shown with."""
GROUPS_WITH_MEMBERS = 100
"""So many groups a page may have that shows their members."""

_ID = "01a1fb76-b031-7b43-9d8e-a57d616216a3"
_TIMES: dict[str, Any] = {"created_at": "2026-11-21T09:00:00Z", "updated_at": "2026-11-21T09:00:00Z"}
_MEMBER: dict[str, Any] = {
    "id": "01a1fb76-b031-7b43-9d8e-a57d616216a2",
    "name": "Ada",
    "phone_number": "+447700900100",
}
_GROUP: dict[str, Any] = {"id": _ID, "name": "VIP Customers", "description": "Our most valued customers", **_TIMES}
_IDS: dict[str, Any] = {"recipient_ids": ["01a1fb76-b031-7b43-9d8e-a57d616216a2"]}

MemberIds = Annotated[list[UUID], Field(max_length=MAX_MEMBERS)]
Description = Annotated[str, StringConstraints(max_length=500), AfterValidator(refuse_nul)]


class GroupChange(BaseModel):
    """What a group is called."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "VIP Customers", "description": "Our most valued customers"}]},
    )

    name: PersonName = Field(description="What it is called; each name once, whatever its case")
    description: Description | None = Field(default=None, description="What it is for")


class GroupIn(GroupChange):
    """A group to make."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "New Customers", "description": "Customers who joined this month", "recipient_ids": []}
            ]
        },
    )

    recipient_ids: MemberIds = Field(
        default=[], description=f"Its first members, at most {MAX_MEMBERS} in one request; add others afterwards"
    )


class MembersIn(BaseModel):
    """Recipients of a group."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_IDS]})

    recipient_ids: MemberIds = Field(
        description=f"Recipients by their ids, at most {MAX_MEMBERS} in one request; more go by several"
    )


class Member(BaseModel):
    """A recipient in a group."""

    id: UUID
    name: str
    phone_number: str


class GroupCreated(BaseModel):
    """A group, and how large it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [_GROUP | {"recipient_count": 25}]})

    id: UUID
    name: str
    description: str | None
    created_at: datetime
    updated_at: datetime
    recipient_count: int = Field(description="All its members")


class GroupOut(GroupCreated):
    """A group in a list."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [_GROUP | {"recipient_count": 25, "recipients": [_MEMBER]}]}
    )

    recipients: list[Member] = Field(
        description=f"With include_recipients its newest {MEMBERS_LISTED} members, else empty; `recipient_count` tells "
        "how many there are, and `GET /api/recipients?group_id=` lists them all"
    )


class GroupDetails(GroupCreated):
    """One group with its members and its uses."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _GROUP | {"recipient_count": 25, "recipients": [_MEMBER], "scheduled_messages": 5, "sent_messages": 20}
            ]
        }
    )

    recipients: list[Member] = Field(
        description=f"Its newest {MEMBERS_SHOWN} members; `recipient_count` tells how many there are, and "
        "`GET /api/recipients?group_id=` lists them all"
    )
    scheduled_messages: int = Field(description="Schedules that will be sent to it")
    sent_messages: int = Field(description="Schedules that were sent to it")


class MembersChanged(BaseModel):
    """A group whose members were changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "name": "VIP Customers",
                    "recipient_count": 3,
                    "added": 1,
                    "removed": 0,
                    "updated_at": "2026-11-21T11:00:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    recipient_count: int = Field(description="All its members now")
    added: int = Field(description="Recipients that were not in it before")
    removed: int = Field(description="Recipients that are not in it any more")
    updated_at: datetime
