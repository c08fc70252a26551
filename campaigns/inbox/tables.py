"""The tables of the inbox, for SQLAlchemy Core."""

from campaigns.inbox.models import ContactIdentity, Conversation, ConversationReply, InboxContact, IncomingMessage
from gateway.db import table_of

contact = table_of(InboxContact)
identity = table_of(ContactIdentity)
conversation = table_of(Conversation)
incoming_message = table_of(IncomingMessage)
conversation_reply = table_of(ConversationReply)
