"""A client for the scheduler API of waha-gateway."""

from whatsapp_scheduler.client import AsyncClient, Client
from whatsapp_scheduler.errors import ApiError, FieldProblem
from whatsapp_scheduler.models import (
    Delivery,
    Group,
    Import,
    ImportRow,
    Message,
    Page,
    Recipient,
    Schedule,
    Webhook,
)
from whatsapp_scheduler.webhooks import verify_webhook

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "Delivery",
    "FieldProblem",
    "Group",
    "Import",
    "ImportRow",
    "Message",
    "Page",
    "Recipient",
    "Schedule",
    "Webhook",
    "verify_webhook",
]
