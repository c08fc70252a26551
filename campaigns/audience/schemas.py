"""What the recipients' routes take and give."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from campaigns.audience.variables import GivenVariable
from campaigns.sending.schemas import MAX_VARIABLES, PhoneText, Variables, VariableValue, trimmed

MAX_GROUPS = 1_000
"""So many groups can be named for a recipient at once."""
GROUPS_SHOWN = 100
"""So many of a recipient's groups are listed."""

_RECIPIENT: dict[str, Any] = {
    "id": "01a1fb76-b031-7b43-9d8e-a57d616216a2",
    "name": "Ada",
    "phone_number": "+447700900100",
    "grade": "possible",
    "variables": {"company": "Analytical Engines", "visits": 3},
    "created_at": "2026-11-21T09:00:00Z",
    "updated_at": "2026-11-21T09:00:00Z",
}
_GROUP: dict[str, Any] = {"id": "01a1fb76-b031-7b43-9d8e-a57d616216a3", "name": "VIP Customers"}

PersonName = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(trimmed)]


class RecipientIn(BaseModel):
    """Somebody to write to. Every field beside these is a variable for templates."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [{"name": "Ada", "phone_number": "+44 7700 900100", "company": "Analytical Engines"}]
        },
    )
    __pydantic_extra__: dict[str, VariableValue]

    name: PersonName = Field(description="Whom a person would know by it")
    phone_number: PhoneText = Field(description="With country code, written in any way")
    group_ids: list[UUID] | None = Field(
        default=None, max_length=MAX_GROUPS, description="The groups to be in; left out when changing: as before"
    )

    variables: Variables = Field(
        default={}, max_length=MAX_VARIABLES, description="Variables, beside those that come as fields of their own"
    )

    def given_variables(self) -> list[GivenVariable]:
        """The variables, of both kinds."""
        extra = self.__pydantic_extra__ or {}
        return [
            *(GivenVariable(name, name, value) for name, value in extra.items()),
            *(GivenVariable(f"variables.{name}", name, value) for name, value in self.variables.items()),
        ]


class GroupName(BaseModel):
    """A group that a recipient is in."""

    id: UUID
    name: str


class GroupLabel(GroupName):
    """A group that a recipient is in, with what it is for."""

    description: str | None


class _RecipientBase(BaseModel):
    id: UUID
    name: str
    phone_number: str = Field(description="With country code and +")
    grade: str = Field(description="What libphonenumber thinks of the number: valid, possible or invalid")
    variables: dict[str, VariableValue] = Field(description="Values for templates")
    created_at: datetime
    updated_at: datetime


class RecipientOut(_RecipientBase):
    """Somebody to write to."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RECIPIENT | {"groups": [_GROUP]}]})

    groups: list[GroupName] = Field(description=f"The groups it is in, the first {GROUPS_SHOWN} by name")


class RecipientDetails(_RecipientBase):
    """Somebody to write to, and what they were sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _RECIPIENT
                | {
                    "groups": [_GROUP | {"description": "Our most valued customers"}],
                    "message_count": 10,
                    "last_message_date": "2026-11-21T14:30:00Z",
                }
            ]
        }
    )

    groups: list[GroupLabel] = Field(description=f"The groups it is in, the first {GROUPS_SHOWN} by name")
    message_count: int = Field(description="Messages of this account that have left to the number; 10000 is the most")
    last_message_date: datetime | None = Field(description="When the last one left")
