"""What the operator's routes about users take and give."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool

from gateway.auth.emails import Email
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.auth.passwords import MAX_LENGTH, MIN_LENGTH

ACCOUNT = r"^[a-z0-9][a-z0-9._-]{0,35}$"
Account = Annotated[str, Field(pattern=ACCOUNT, description="An account's name; it is made if it is new")]
NewPassword = Annotated[SecretStr, Field(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]


class UserIn(BaseModel):
    """A new user."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"email": "user@example.com", "password": "secure_password", "account": "local"}]
        },
    )

    email: Email
    password: NewPassword
    account: Account = LOCAL_ACCOUNT


class UserChangeIn(BaseModel):
    """What changes of a user; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"disabled": True}]})

    password: NewPassword | None = None
    disabled: StrictBool | None = None


class UserLoginOut(BaseModel):
    """A user, without their password."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019a5f3e-8f0b-7c3e-9d8e-0c2f6b7a1d42",
                    "email": "user@example.com",
                    "account": "local",
                    "disabled": False,
                    "created_at": "2026-01-02T10:00:00Z",
                    "last_login_at": None,
                }
            ]
        }
    )

    id: str
    email: str
    account: str = Field(description="Whose data and senders they see")
    disabled: bool
    created_at: datetime
    last_login_at: datetime | None
