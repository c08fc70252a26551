"""What the routes of logins take and answer."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.auth.emails import Email
from gateway.auth.passwords import MAX_LENGTH

Password = Annotated[SecretStr, Field(min_length=1, max_length=MAX_LENGTH)]
RefreshToken = Annotated[SecretStr, Field(min_length=1, max_length=200)]


class LoginIn(BaseModel):
    """Who logs in."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "user@example.com", "password": "secure_password"}]}
    )

    email: Email
    password: Password


class RefreshIn(BaseModel):
    """The refresh token that was given last."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"refresh_token": "wgr_2qDgJh0y..."}]})

    refresh_token: RefreshToken


class TokensOut(BaseModel):
    """The tokens of a login."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "access_token": "eyJ0eXAiOiJKV1QiLCJhbGc...",
                    "refresh_token": "wgr_2qDgJh0y...",
                    "token_type": "bearer",
                    "expires_in": 3600,
                }
            ]
        }
    )

    access_token: str = Field(description="Send it as `Authorization: Bearer ...`")
    refresh_token: str = Field(description="Gives the next pair, once")
    token_type: Literal["bearer"]
    expires_in: int = Field(description="Seconds for which the access token is good")
