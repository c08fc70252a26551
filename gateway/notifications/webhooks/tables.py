"""The tables of webhooks, for Core statements."""

from gateway.db import table_of
from gateway.notifications.webhooks.models import WebhookDelivery, WebhookEndpoint

endpoint = table_of(WebhookEndpoint)
delivery = table_of(WebhookDelivery)
