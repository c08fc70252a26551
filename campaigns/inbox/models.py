"""What people write to our senders, in threads, and by which names WhatsApp knows each of them."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text
from sqlmodel import Field, SQLModel

from gateway.db import ID
from gateway.folding import FOLDED
from sessions.models import one_of

MAX_TEXT = 65_536
"""As long as a text of WhatsApp's can be, in characters."""
MAX_NAME = 100


class Kind(StrEnum):
    """What somebody sent. `other` is what has neither text nor file, place or card: often a notice of WhatsApp's."""

    TEXT = "text"
    MEDIA = "media"
    LOCATION = "location"
    CONTACT = "contact"
    OTHER = "other"


class InboxContact(SQLModel, table=True):
    """Somebody who has written to senders of an account: one person, whatever names WhatsApp uses.

    `phone` (digits) is None while only a hidden id is known. `name` is what they call themselves at WhatsApp;
    `search_text` is it folded, and the digits.
    """

    __tablename__ = "inbox_contact"
    __table_args__ = (Index("ix_inbox_contact_account", "account_id", "phone"),)

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(foreign_key="account.id", max_length=36)
    phone: str | None = Field(default=None, max_length=15)
    name: str = Field(default="", max_length=MAX_NAME)
    search_text: str = Field(sa_column=Column(FOLDED, nullable=False))
    created_at: float


class ContactIdentity(SQLModel, table=True):
    """One name of a contact: a chat id, of the number (`...@c.us`) or hidden (`...@lid`). One person has each name."""

    __tablename__ = "contact_identity"
    __table_args__ = (Index("ix_contact_identity_contact", "contact_id"),)

    account_id: str = Field(primary_key=True, foreign_key="account.id", max_length=36)
    name: str = Field(primary_key=True, max_length=40)
    contact_id: str = Field(sa_column=Column(ID, ForeignKey("inbox_contact.id"), nullable=False))


class Conversation(SQLModel, table=True):
    """The thread of one sender with one contact. It begins with the first message that comes in.

    `last_message_at` and `last_text` are of the newest message that came in; `unread` counts those since they were
    marked as read.
    """

    __table_args__ = (
        Index("uq_conversation_sender_contact", "sender_id", "contact_id", unique=True),
        Index("ix_conversation_account_last", "account_id", "last_message_at", "id"),
        Index("ix_conversation_sender_last", "sender_id", "last_message_at", "id"),
        Index("ix_conversation_contact", "contact_id"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(foreign_key="account.id", max_length=36)
    sender_id: int = Field(foreign_key="sender.id")
    contact_id: str = Field(sa_column=Column(ID, ForeignKey("inbox_contact.id"), nullable=False))
    last_message_at: float
    last_text: str = Field(default="", max_length=200)
    unread: int = 0
    created_at: float


class IncomingMessage(SQLModel, table=True):
    """A message that came in, stored once by what WhatsApp calls it.

    `at` is when it was written, by WhatsApp's clock; `received_at` is ours. `answers_id` is the message of ours that it
    answers, and `campaign_id` that one's campaign. `search_text` is the folded text.
    """

    __tablename__ = "incoming_message"
    __table_args__ = (
        CheckConstraint(one_of("kind", Kind), name="kind"),
        Index("uq_incoming_message_wa_id", "sender_id", "wa_id", unique=True),
        Index("ix_incoming_message_thread", "conversation_id", "at", "id"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    conversation_id: str = Field(sa_column=Column(ID, ForeignKey("conversation.id"), nullable=False))
    sender_id: int = Field(foreign_key="sender.id")
    wa_id: str = Field(max_length=128)
    kind: str = Field(max_length=8)
    text: str = Field(sa_column=Column(Text, nullable=False))
    search_text: str = Field(sa_column=Column(FOLDED, nullable=False))
    at: float
    received_at: float
    quoted_wa_id: str | None = Field(default=None, max_length=128)
    answers_id: str | None = Field(default=None, sa_column=Column(ID))
    campaign_id: str | None = Field(default=None, sa_column=Column(ID))


class ConversationReply(SQLModel, table=True):
    """A campaign of one message that was sent as a reply: it shows in its thread also before it has left."""

    __tablename__ = "conversation_reply"
    __table_args__ = (Index("ix_conversation_reply_conversation", "conversation_id"),)

    campaign_id: str = Field(sa_column=Column(ID, primary_key=True))
    conversation_id: str = Field(sa_column=Column(ID, ForeignKey("conversation.id"), nullable=False))
