"""Who is logged in at the console, the links that let somebody in once, and how much was sent lately.

Times are epoch seconds.
"""

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel

from gateway.db import ID


class ConsoleLogin(SQLModel, table=True):
    """One browser that is logged in; of its cookie only the hash is kept.

    An operator's has no `login_id`; a user's is good for as long as their login is, too. `seen_at` moves on while
    somebody clicks, and not while a page only listens.
    """

    __tablename__ = "console_login"

    token_hash: str = Field(primary_key=True, max_length=64)
    user_id: str | None = Field(default=None, sa_column=Column(ID))
    login_id: str | None = Field(default=None, sa_column=Column(ID))
    created_at: float
    seen_at: float = Field(index=True)


class ConsoleLink(SQLModel, table=True):
    """A link that logs an operator in, once; using it removes it."""

    __tablename__ = "console_link"

    code_hash: str = Field(primary_key=True, max_length=64)
    created_at: float
    expires_at: float


class Throughput(SQLModel, table=True):
    """How many messages of an account were sent, delivered and failed in the time before `at`: the console's curve.

    `at` is a multiple of the distance between two rows, so that of several replicas one writes it.
    """

    at: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    account_id: str = Field(primary_key=True, max_length=36)
    sent: int
    delivered: int
    failed: int
