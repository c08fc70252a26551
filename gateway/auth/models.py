"""Whose data it is, the tokens that paired numbers carry, and the users who log in."""

from sqlalchemy import Column, ForeignKey
from sqlmodel import Field, SQLModel

from gateway.db import ID

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


class User(SQLModel, table=True):
    """Somebody who logs in with email and password, and acts for one account.

    `email` is folded (`emails.fold`), so that equal means the same person. `password_hash` is argon2's own text, which
    says how it was made.
    """

    __tablename__ = "app_user"  # `user` is a word of SQL

    id: str = Field(sa_column=Column(ID, primary_key=True))
    email: str = Field(unique=True, max_length=254)
    password_hash: str = Field(max_length=255)
    account_id: str = Field(foreign_key="account.id", index=True, max_length=36)
    disabled: bool = False
    created_at: float
    last_login_at: float | None = None


class Login(SQLModel, table=True):
    """One login of a user: the family of all tokens that come from it. Without its row none of them is of any use.

    `expires_at` moves on with every refresh.
    """

    id: str = Field(sa_column=Column(ID, primary_key=True))
    user_id: str = Field(
        sa_column=Column(ID, ForeignKey("app_user.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    created_at: float
    expires_at: float = Field(index=True)


class RefreshToken(SQLModel, table=True):
    """A refresh token of a login, by its hash. Of one login exactly one was not used yet."""

    __tablename__ = "refresh_token"

    token_hash: str = Field(primary_key=True, max_length=64)
    login_id: str = Field(sa_column=Column(ID, ForeignKey("login.id", ondelete="CASCADE"), nullable=False, index=True))
    created_at: float
    used_at: float | None = None


class KeptSecret(SQLModel, table=True):
    """A secret that all replicas share, encrypted with the key file of the data folder."""

    __tablename__ = "kept_secret"

    name: str = Field(primary_key=True, max_length=40)
    value_encrypted: str
