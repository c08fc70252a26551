"""What can be asked about webhooks, and what they were told. As `calls.py`."""

from collections.abc import Sequence

from whatsapp_scheduler.calls import PER_PAGE, Call, given, listed, nothing, path_of
from whatsapp_scheduler.models import Delivery, Page, Webhook


def list_webhooks(*, page: int = 1, per_page: int = PER_PAGE) -> Call[Page[Webhook]]:
    """A page of webhooks."""
    return Call("GET", path_of("webhooks"), Page[Webhook].model_validate, query=given(page=page, per_page=per_page))


def create_webhook(
    *, url: str, events: Sequence[str], secret: str | None = None, description: str | None = None
) -> Call[Webhook]:
    """Have an address told of events; the answer has the secret, this once."""
    body = given(url=url, events=list(events), secret=secret, description=description)
    return Call("POST", path_of("webhooks"), Webhook.model_validate, body)


def get_webhook(webhook_id: str) -> Call[Webhook]:
    """One webhook."""
    return Call("GET", path_of("webhooks", webhook_id), Webhook.model_validate)


def change_webhook(
    webhook_id: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
    enabled: bool | None = None,
) -> Call[Webhook]:
    """Change what is given; one that is enabled again is sent at once what was not delivered."""
    body = given(url=url, events=listed(events), description=description, enabled=enabled)
    return Call("PATCH", path_of("webhooks", webhook_id), Webhook.model_validate, body)


def test_webhook(webhook_id: str) -> Call[Delivery]:
    """Have a `webhook.test` sent now and once; the answer says what came of it."""
    return Call("POST", path_of("webhooks", webhook_id, "test"), Delivery.model_validate)


def list_deliveries(
    webhook_id: str,
    *,
    state: str | None = None,
    event: str | None = None,
    page: int = 1,
    per_page: int = PER_PAGE,
) -> Call[Page[Delivery]]:
    """A page of what a webhook was told, newest first."""
    query = given(state=state, event=event, page=page, per_page=per_page)
    return Call("GET", path_of("webhooks", webhook_id, "deliveries"), Page[Delivery].model_validate, query=query)


def replay_delivery(webhook_id: str, delivery_id: str) -> Call[Delivery]:
    """Have an event sent again, as if it were new."""
    path = path_of("webhooks", webhook_id, "deliveries", delivery_id, "replay")
    return Call("POST", path, Delivery.model_validate)


def rotate_secret(webhook_id: str) -> Call[Webhook]:
    """A new secret, which the answer has; the old one counts for a day more."""
    return Call("POST", path_of("webhooks", webhook_id, "rotate-secret"), Webhook.model_validate)


def delete_webhook(webhook_id: str) -> Call[None]:
    """Have an address told nothing more."""
    return Call("DELETE", path_of("webhooks", webhook_id), nothing)
