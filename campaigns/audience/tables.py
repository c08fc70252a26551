"""The tables of recipients and groups, for SQLAlchemy Core."""

from campaigns.audience.models import GroupMember, Recipient, RecipientGroup
from gateway.db import table_of

recipient = table_of(Recipient)
recipient_group = table_of(RecipientGroup)
group_member = table_of(GroupMember)
