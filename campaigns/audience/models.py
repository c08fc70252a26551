"""The people we write to: recipients and groups, whether a number is on WhatsApp, and who has written to us."""

from sqlalchemy import Column, ForeignKey, Index, Text
from sqlmodel import Field, SQLModel

from gateway.db import ID
from gateway.folding import FOLDED


class NumberCheck(SQLModel, table=True):
    """WhatsApp's answer on a number (digits), at `checked_at`: whether it has an account, and under which chat id."""

    __tablename__ = "number_check"

    phone: str = Field(primary_key=True, max_length=15)
    exists: bool
    chat_id: str | None = Field(default=None, max_length=64)
    checked_at: float = Field(index=True)


class Correspondent(SQLModel, table=True):
    """Somebody (digits) who has written to a sender of ours, last at `wrote_at`."""

    sender_id: int = Field(primary_key=True, foreign_key="sender.id")
    phone: str = Field(primary_key=True, max_length=15)
    wrote_at: float


class Recipient(SQLModel, table=True):
    """Somebody whom an account writes to: a number (digits) once per account.

    `variables` is a JSON object of values for templates. `search_text` is the folded name and the digits, which are
    searched through the index alone: what is beside them in the row may be long. Times are epoch seconds.
    """

    __table_args__ = (
        Index("uq_recipient_account_phone", "account_id", "phone", unique=True),
        Index("ix_recipient_search", "account_id", "id", "search_text"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(foreign_key="account.id", max_length=36)
    name: str = Field(max_length=100)
    phone: str = Field(max_length=15)
    grade: str = Field(max_length=8)
    created_at: float
    updated_at: float
    search_text: str = Field(sa_column=Column(FOLDED, nullable=False))
    variables: str = Field(sa_column=Column(Text, nullable=False))


class RecipientGroup(SQLModel, table=True):
    """Recipients under one name, which an account gives once, whatever its case."""

    __tablename__ = "recipient_group"
    __table_args__ = (
        Index("uq_recipient_group_account_name", "account_id", "folded_name", unique=True),
        Index("ix_recipient_group_account", "account_id", "id"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(foreign_key="account.id", max_length=36)
    name: str = Field(max_length=100)
    folded_name: str = Field(sa_column=Column(FOLDED, nullable=False))
    description: str | None = Field(default=None, max_length=500)
    created_at: float
    updated_at: float


class GroupMember(SQLModel, table=True):
    """One recipient in one group, both of the same account. It goes with either of them."""

    __tablename__ = "group_member"
    __table_args__ = (Index("ix_group_member_recipient", "recipient_id", "group_id"),)

    group_id: str = Field(sa_column=Column(ID, ForeignKey("recipient_group.id", ondelete="CASCADE"), primary_key=True))
    recipient_id: str = Field(sa_column=Column(ID, ForeignKey("recipient.id", ondelete="CASCADE"), primary_key=True))
