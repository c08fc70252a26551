"""This API's six words for what becomes of a message. Pure."""

from enum import StrEnum

from campaigns.sending.models import MessageState


class MessageStatus(StrEnum):
    """A message's status as it is told here."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


_WORDS: dict[MessageState, MessageStatus] = {
    MessageState.QUEUED: MessageStatus.QUEUED,
    MessageState.SENDING: MessageStatus.SENDING,
    MessageState.UNCONFIRMED: MessageStatus.SENDING,  # nobody knows yet: neither sent nor failed would be true
    MessageState.SENT: MessageStatus.SENT,
    MessageState.DELIVERED: MessageStatus.DELIVERED,
    MessageState.READ: MessageStatus.READ,
    MessageState.FAILED: MessageStatus.FAILED,
    MessageState.SKIPPED: MessageStatus.FAILED,
    MessageState.CANCELLED: MessageStatus.FAILED,
}


def word_for(state: str) -> MessageStatus:
    """The word for a message's state."""
    return _WORDS[MessageState(state)]
