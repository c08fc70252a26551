"""Whose data it is, and the tokens that paired numbers carry."""

from sqlmodel import Field, SQLModel

LOCAL_ACCOUNT = "local"
"""The account of open mode, made by the first migration."""


class Account(SQLModel, table=True):
    """Who owns rows: every owned row carries an `account_id`."""

    id: str = Field(primary_key=True, max_length=36)
    name: str = Field(max_length=255)
    created_at: float


class SenderToken(SQLModel, table=True):
    """A paired number's credential. Only its hash is kept; it works once its pairing has succeeded.

    `stranger` was given to somebody without a credential: until the scan it is a claim that nothing speaks for.
    """

    __tablename__ = "sender_token"

    token_hash: str = Field(primary_key=True, max_length=64)
    number: str = Field(index=True, max_length=15)
    account_id: str = Field(foreign_key="account.id", max_length=36)
    valid: bool = False
    stranger: bool = False
    created_at: float
