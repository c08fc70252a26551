"""What the routes of pairing take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PASSKEY_HINT = (
    "WhatsApp asks for this account's passkey, until 2026-11-21 09:01:00 UTC: sign the challenge of "
    "GET /api/sessions/+42108077/passkey in a browser on https://web.whatsapp.com, and POST the answer there"
)


class QrOut(BaseModel):
    """The current QR code, or that none is needed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "WAITING_FOR_SCAN", "qr_code": "iVBORw0KGgo...", "expires_at": "2026-11-21T09:01:00Z"},
                {"status": "CONNECTED"},
                {"status": "SCANNED", "reason": PASSKEY_HINT},
            ]
        }
    )

    status: str = Field(description="CONNECTED, WAITING_FOR_SCAN, or what the session is still busy with")
    qr_code: str | None = Field(default=None, description="PNG as base64")
    expires_at: datetime | None = Field(default=None, description="When the code is replaced by the next")
    reason: str | None = Field(
        default=None, description="Why, where there is something to say: who scanned wrongly, or what is to be done"
    )


class CodeOut(BaseModel):
    """A code to type on the phone instead of scanning."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "ABCD-EFGH",
                    "expires_at": "2026-11-21T09:02:40Z",
                    "message": "On the phone: Linked devices, Link with phone number. Or scan the code of "
                    "GET /api/sessions/+42108077/qr.",
                }
            ]
        }
    )

    code: str = Field(description="To be typed in WhatsApp; one that was asked for before is void")
    expires_at: datetime | None = Field(description="When the pairing runs out, and this code with it")
    message: str = Field(description="Where to type it, and the other way")


Base64Url = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]

_CHALLENGE: dict[str, Any] = {
    "challenge": "uQ5m0Zc2nDqkC2cJmWm8x2cQvQe0u1b0k5y2bXxXx0o",
    "timeout": 60000,
    "rpId": "web.whatsapp.com",
    "allowCredentials": [{"id": "AbCdEf0123", "type": "public-key", "transports": ["internal", "hybrid"]}],
    "userVerification": "required",
}


class PasskeyOut(BaseModel):
    """The passkey step that a pairing waits for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "step": "challenge",
                    "challenge": _CHALLENGE,
                    "expires_at": "2026-11-21T09:01:00Z",
                    "message": PASSKEY_HINT,
                },
                {
                    "step": "confirmation",
                    "code": "1234",
                    "expires_at": "2026-11-21T09:02:00Z",
                    "message": "Compare the code with the one on the phone, until 2026-11-21 09:02:00 UTC; if they "
                    "are the same, POST /api/sessions/+42108077/passkey/confirm",
                },
            ]
        }
    )

    step: Literal["challenge", "confirmation"] = Field(description="To sign a challenge, or to compare a code")
    challenge: dict[str, Any] | None = Field(
        default=None, description="For navigator.credentials.get({publicKey: ...}) on https://web.whatsapp.com"
    )
    code: str | None = Field(default=None, description="To be compared with the one on the phone")
    expires_at: datetime = Field(description="When WhatsApp gives up")
    message: str = Field(description="What is to be done")


class AssertionData(BaseModel):
    """What the authenticator has signed, each part base64url."""

    model_config = ConfigDict(extra="allow")

    clientDataJSON: Base64Url  # noqa: N815 - WebAuthn's names
    authenticatorData: Base64Url  # noqa: N815
    signature: Base64Url
    userHandle: Base64Url | None = None  # noqa: N815


class PasskeyAssertion(BaseModel):
    """What `navigator.credentials.get(...)` gave, by its `toJSON()`; it is passed on as it is."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "id": "AbCdEf0123",
                    "rawId": "AbCdEf0123",
                    "type": "public-key",
                    "response": {
                        "clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0",
                        "authenticatorData": "SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAA",
                        "signature": "MEUCIQDexample",
                    },
                }
            ]
        },
    )

    id: Base64Url
    rawId: Base64Url  # noqa: N815 - WebAuthn's name
    type: Literal["public-key"]
    response: AssertionData


class PasskeyDone(BaseModel):
    """A passkey step was handed over to WhatsApp."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "SCANNED", "message": "handed over; WhatsApp may ask for more"}]}
    )

    status: str = Field(description="The session's state as it was last told")
    message: str
