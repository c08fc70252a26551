"""Telling whether a webhook was sent by the gateway."""

import hashlib
import hmac


def verify_webhook(payload: bytes, signature: str, secret: str) -> bool:
    """Whether `X-Webhook-Signature` is right: the hex HMAC-SHA256 of the body, as it came, with the secret."""
    expected = hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.strip().lower().encode())
