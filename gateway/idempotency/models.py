"""The answers that were given to idempotency keys."""

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel


class IdempotencyKey(SQLModel, table=True):
    """The answer that was given to a key, so that the same request again gets the same one.

    `scope` is whose key it is. `status_code` is None where the route's own was answered. An empty `response` is seen by
    nobody but the transaction that is making one, or stands for a request that is under way (`steps.py`). The hash is
    keyed with the data folder's key, because a request may hold a secret that could be guessed.
    """

    __tablename__ = "idempotency_key"

    scope: str = Field(primary_key=True, max_length=80)
    key: str = Field(primary_key=True, max_length=255)
    request_hash: str = Field(max_length=64)
    response: str = Field(sa_column=Column(Text, nullable=False))
    status_code: int | None = None
    created_at: float
