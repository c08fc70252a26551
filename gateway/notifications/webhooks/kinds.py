"""The kinds of events that a webhook can ask for, one by one or by their families."""

from enum import StrEnum


class EventKind(StrEnum):
    """What has happened; `*` is whatever it is."""

    ANY = "*"
    MESSAGE_SCHEDULED = "message.scheduled"
    MESSAGE_PROCESSING = "message.processing"
    MESSAGE_SENT = "message.sent"
    MESSAGE_FAILED = "message.failed"
    MESSAGE_COMPLETED = "message.completed"
    MESSAGE_RECEIVED = "message.received"
    SESSION_PAIRING = "session.pairing"
    SESSION_CONNECTED = "session.connected"
    SESSION_DISCONNECTED = "session.disconnected"
    SESSION_DELETED = "session.deleted"
    SESSION_EXPIRING = "session.expiring"
    SESSION_EXPIRED = "session.expired"
    CONTACT_OPTED_OUT = "contact.opted_out"
    CONTACT_OPTED_IN = "contact.opted_in"
    WEBHOOK_TEST = "webhook.test"
    WEBHOOK_DISABLED = "webhook.disabled"


class EventFamily(StrEnum):
    """All events of a kind whose names begin alike."""

    MESSAGE = "message.*"
    SESSION = "session.*"
    CONTACT = "contact.*"
    WEBHOOK = "webhook.*"

    @property
    def kinds(self) -> list[EventKind]:
        """Its events."""
        return [kind for kind in EventKind if kind.startswith(self.removesuffix("*"))]
