"""What the routes of the suppression list take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from campaigns.audience.optouts.models import Action, Source
from campaigns.sending.schemas import PhoneText, refuse_nul, trimmed

Why = Annotated[str, StringConstraints(max_length=500), AfterValidator(refuse_nul)]
AccountName = Annotated[str, StringConstraints(min_length=1, max_length=36), AfterValidator(refuse_nul)]
WhyItIsSo = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(trimmed)]

_SUPPRESSION: dict[str, Any] = {
    "phone_number": "+447700900100",
    "all_accounts": False,
    "account": "local",
    "reason": "",
    "source": "keyword",
    "said": "STOP",
    "sender_number": "+447700900001",
    "created_at": "2026-11-21T09:00:00Z",
}
_STEP: dict[str, Any] = {
    "phone_number": "+447700900100",
    "all_accounts": False,
    "account": "local",
    "action": "opted_out",
    "reason": "",
    "source": "keyword",
    "by": "contact",
    "said": "STOP",
    "sender_number": "+447700900001",
    "at": "2026-11-21T09:00:00Z",
}


class SuppressionIn(BaseModel):
    """Somebody who is not to be written to."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"phone_number": "+44 7700 900100", "reason": "asked on the phone"}]},
    )

    phone_number: PhoneText = Field(description="With country code, written in any way")
    reason: Why = Field(default="", description="Why, for those who look at it later")
    source: Literal[Source.API, Source.CONSOLE] = Field(default=Source.API, description="Who says so")
    all_accounts: StrictBool = Field(default=False, description="For every account; an operator's to say")
    account: AccountName | None = Field(default=None, description="For this account; an operator's to say")


class SuppressionOut(BaseModel):
    """Somebody who is not written to."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUPPRESSION]})

    phone_number: str
    all_accounts: bool = Field(description="An operator has stopped it for every account")
    account: str | None = Field(description="Whose list it is on; null: everybody's")
    reason: str
    source: Source
    said: str | None = Field(description="What they wrote")
    sender_number: str | None = Field(description="To which of our numbers")
    created_at: datetime


class StepOut(BaseModel):
    """One step in the history of somebody's wish."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STEP]})

    phone_number: str
    all_accounts: bool
    account: str | None = Field(description="On whose list; null: everybody's")
    action: Action
    reason: str
    source: Source
    by: str = Field(description="contact, operator, account, or the user's email")
    said: str | None
    sender_number: str | None
    at: datetime


class BadLine(BaseModel):
    """A row of a list that holds no number."""

    line: int = Field(description="Where it begins in the file, from 1")
    phone_number: str = Field(description="What stands there")
    reason: str


class ImportedOut(BaseModel):
    """What became of the rows of a list; the numbers add up to its rows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rows": 4,
                    "added": 1,
                    "existing": 1,
                    "duplicate": 0,
                    "invalid": 1,
                    "blank": 1,
                    "bad_rows": [{"line": 3, "phone_number": "ask Bert", "reason": "there are letters in it"}],
                }
            ]
        }
    )

    rows: int
    added: int
    existing: int = Field(description="On the list before")
    duplicate: int = Field(description="Repeated in the file")
    invalid: int
    blank: int
    bad_rows: list[BadLine] = Field(description="The invalid ones, the first 100")


class CapOut(BaseModel):
    """The account's limit; both are null where there is none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"messages": 3, "days": 7}]})

    messages: int | None
    days: int | None
