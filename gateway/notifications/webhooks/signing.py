"""Signatures of what we tell, in two manners at once, both HMAC-SHA256.

`X-Webhook-Signature` is the plain one: in hex, over the body, with the secret as it is written. The other one is that
of Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`): over id, time and body, so that an old
request cannot be sent again by somebody else. Its key is what the secret stands for in base64, with or without `whsec_`
before it; a secret that is no base64 stands for itself.

Pure: texts in, headers out.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
"""So long are keys of Standard Webhooks; what decodes to less or more was not meant as base64."""


def make_secret() -> str:
    """A new secret, of 32 random bytes."""
    return signing_secret(base64.b64encode(secrets.token_bytes(32)).decode())


def signing_secret(secret: str) -> str:
    """A secret as libraries of Standard Webhooks take it: `whsec_` and base64."""
    return PREFIX + base64.b64encode(_key(secret)).decode()


def sign(body: bytes, event_id: str, at: float, secret: str, older: Sequence[str] = ()) -> dict[str, str]:
    """The headers of a request with `body` at `at` (epoch seconds).

    `older` are secrets that still count. Each adds a signature to `webhook-signature`; `X-Webhook-Signature` has room
    for one, which is the newest.
    """
    told = f"{event_id}.{int(at)}.".encode() + body
    signatures = (hmac.new(_key(one), told, hashlib.sha256).digest() for one in (secret, *older))
    return {
        "X-Webhook-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures),
    }


def _key(secret: str) -> bytes:
    """The bytes that a secret stands for."""
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()
    return key if len(key) in _KEY_BYTES else secret.encode()
