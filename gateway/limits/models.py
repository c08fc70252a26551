"""How often somebody has asked in the present minute, where several replicas count together without a Redis."""

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from gateway.db import SECONDS


class RateLimit(SQLModel, table=True):
    """One window of one caller: `count` requests until `ends_at`. `key` is a hash: nobody's number is in it."""

    __tablename__ = "rate_limit"

    key: str = Field(primary_key=True, max_length=40)
    count: int
    ends_at: float = Field(sa_column=Column(SECONDS, nullable=False, index=True))
