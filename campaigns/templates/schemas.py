"""What the template routes take and give. Seed 002 calls a template a message."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from campaigns.sending.rendering import MAX_TEXT
from campaigns.sending.schemas import refuse_nul, trimmed

MAX_TITLE = 255

_TEMPLATE: dict[str, Any] = {
    "id": "01a1fb76-b031-7b43-9d8e-a57d616216a1",
    "title": "Welcome Message",
    "content": "Hello {{name}}! Welcome to our service.",
    "variables": ["name"],
    "created_at": "2026-11-21T09:00:00Z",
    "updated_at": "2026-11-21T09:00:00Z",
}


def _refuse_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("there is nothing but spaces in it")
    return text


class SortField(StrEnum):
    """What templates can be sorted by."""

    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    TITLE = "title"


class SortOrder(StrEnum):
    """Which end comes first."""

    ASC = "asc"
    DESC = "desc"


class TemplateIn(BaseModel):
    """A text to save."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"title": "Welcome Message", "content": "Hello {{name}}! Welcome to our service."}]
        },
    )

    title: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TITLE), AfterValidator(trimmed)] = Field(
        description="What it is called; titles may repeat"
    )
    content: Annotated[
        str,
        StringConstraints(min_length=1, max_length=MAX_TEXT),
        AfterValidator(refuse_nul),
        AfterValidator(_refuse_blank),
    ] = Field(description="The text, with {{name}} and {{ name | fallback }}")


class TemplateOut(BaseModel):
    """A saved text."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TEMPLATE]})

    id: UUID
    title: str
    content: str
    variables: list[str] = Field(description="The names in the text, in the order in which they appear")
    created_at: datetime
    updated_at: datetime


class TemplateDetails(TemplateOut):
    """A saved text, and how often it is used."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TEMPLATE | {"scheduled_count": 5, "sent_count": 3}]})

    scheduled_count: int = Field(description="Schedules that will send it")
    sent_count: int = Field(description="Schedules that have sent it")
