"""Signatures, as receivers check them: by the plain recipe, and by the library of Standard Webhooks."""

import base64
import hashlib
import hmac
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gateway.notifications.webhooks.signing import make_secret, sign, signing_secret

BODY = b'{"event": "message.sent"}'
EVENT = "01a1fb76-b031-7b43-9d8e-a57d616216a1"
A_KEY = base64.b64encode(bytes(range(32))).decode()
SECRETS = ["your-webhook-secret", "geheim, mit Ümläuten", A_KEY, f"whsec_{A_KEY}", "whsec_not base64", "c2hvcnQ="]


@pytest.mark.parametrize("secret", [*SECRETS, ""])
def test_both_signatures_are_accepted_by_those_who_have_the_secret(secret: str) -> None:
    secret = secret or make_secret()
    headers = sign(BODY, EVENT, time.time(), secret)
    assert headers["X-Webhook-Signature"] == hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()
    Webhook(signing_secret(secret)).verify(BODY, headers)
    assert headers["webhook-id"] == EVENT


@pytest.mark.parametrize("secret", [A_KEY, f"whsec_{A_KEY}", A_KEY.rstrip("=")])
def test_a_secret_in_base64_is_taken_by_the_library_as_it_is(secret: str) -> None:
    Webhook(secret).verify(BODY, sign(BODY, EVENT, time.time(), secret))
    assert signing_secret(secret) == f"whsec_{A_KEY}"


def test_a_secret_that_is_no_base64_stands_for_its_bytes() -> None:
    assert signing_secret("your-webhook-secret") == "whsec_" + base64.b64encode(b"your-webhook-secret").decode()


def test_what_was_changed_or_is_old_is_not_accepted() -> None:
    secret = make_secret()
    now = time.time()
    for body, headers in (
        (BODY + b" ", sign(BODY, EVENT, now, secret)),
        (BODY, sign(BODY, EVENT, now, make_secret())),
        (BODY, sign(BODY, EVENT, now - 3600, secret)),
        (BODY, sign(BODY, EVENT, now, secret) | {"webhook-id": "another"}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers)


def test_while_a_secret_is_changed_both_are_accepted_and_the_plain_signature_is_by_the_new_one() -> None:
    new, old = make_secret(), "your-webhook-secret"
    headers = sign(BODY, EVENT, time.time(), new, [old])
    Webhook(new).verify(BODY, headers)
    Webhook(signing_secret(old)).verify(BODY, headers)
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert headers["X-Webhook-Signature"] == hmac.new(new.encode(), BODY, hashlib.sha256).hexdigest()


def test_secrets_are_random_and_long() -> None:
    secrets = {make_secret() for _ in range(10)}
    assert len(secrets) == 10
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"))) == 32 for secret in secrets)
