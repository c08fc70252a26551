"""Clients: other systems with keys of their own, an account of their own, a daily limit and a balance."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, text
from sqlmodel import Field, SQLModel

from gateway.db import ID
from gateway.folding import FOLDED

_THERE = text("removed_at IS NULL")


class Client(SQLModel, table=True):
    """Another system. All that it owns belongs to its account, which is made with it.

    `folded_name` tells clients apart (`gateway/folding.py`). Without a `daily_limit` it may send any number of messages
    a day, and without `messages_per_minute` the general number holds. `balance`, and the `price` of one message, are
    whole millionths of a unit of `currency` (ISO 4217). `sent_today` is what has left, or may have, until
    `day_ends_at`, the midnight of its `timezone` (IANA). One that was removed keeps its row, for what is told of its
    messages later.
    """

    __table_args__ = (
        Index("uq_client_name", "folded_name", unique=True, sqlite_where=_THERE, postgresql_where=_THERE),
        Index("uq_client_account", "account_id", unique=True),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    name: str = Field(max_length=255)
    folded_name: str = Field(sa_column=Column(FOLDED, nullable=False))
    account_id: str = Field(foreign_key="account.id", max_length=36)
    timezone: str = Field(default="UTC", max_length=64)
    daily_limit: int | None = None
    messages_per_minute: int | None = None
    balance: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    price: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    currency: str = Field(max_length=3)
    disabled: bool = False
    day_ends_at: float = 0
    sent_today: int = 0
    created_at: float
    removed_at: float | None = None


class ApiKey(SQLModel, table=True):
    """A client's credential, by its hash; `prefix` are its first characters, to recognise it by.

    `scopes` are the words of `ApiScope` that it has, with spaces between. `last_used_at` is written at most once a
    minute.
    """

    __tablename__ = "api_key"

    id: str = Field(sa_column=Column(ID, primary_key=True))
    client_id: str = Field(sa_column=Column(ID, ForeignKey("client.id"), nullable=False, index=True))
    key_hash: str = Field(unique=True, max_length=64)
    prefix: str = Field(max_length=16)
    scopes: str = Field(max_length=40)
    name: str = Field(default="", max_length=255)
    expires_at: float | None = None
    last_used_at: float | None = None
    created_at: float
    revoked_at: float | None = None
