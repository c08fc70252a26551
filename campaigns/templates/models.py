"""Saved texts."""

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel

from gateway.db import ID
from gateway.folding import FOLDED


class Template(SQLModel, table=True):
    """A saved text with `{{variables}}`, whose names are in `variables` as a JSON list.

    Times are epoch seconds. The `folded_` columns are what is searched and sorted. Titles may repeat.
    """

    __table_args__ = (Index("ix_template_account_created", "account_id", "created_at"),)

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(foreign_key="account.id", max_length=36)
    title: str = Field(max_length=255)
    content: str = Field(sa_column=Column(Text, nullable=False))
    variables: str = Field(sa_column=Column(Text, nullable=False))
    created_at: float
    updated_at: float
    folded_title: str = Field(sa_column=Column(FOLDED, nullable=False))
    folded_content: str = Field(sa_column=Column(FOLDED, nullable=False))
