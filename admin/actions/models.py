"""What operators have done to single rows, and why."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, Index, Text
from sqlmodel import Field, SQLModel

from gateway.db import ID, SECONDS
from sessions.models import one_of


class Outcome(StrEnum):
    """What came of it. `begun` stays where nobody was there any more to say so: the row itself tells."""

    BEGUN = "begun"
    DONE = "done"
    REFUSED = "refused"


class AdminAction(SQLModel, table=True):
    """One change of a state that an operator asked for, with the reason that they gave. These rows are kept for good.

    `table_name` and `row_id` say of what, `by` who asked. `before` is the state that they saw, and from which alone it
    was to be changed; `after` is the one that came of it. `detail` says why it was refused.
    """

    __tablename__ = "admin_action"
    __table_args__ = (
        CheckConstraint(one_of("outcome", Outcome), name="outcome"),
        Index("ix_admin_action_row", "table_name", "row_id", "id"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    at: float = Field(sa_column=Column(SECONDS, nullable=False))
    by: str = Field(max_length=320)
    table_name: str = Field(max_length=40)
    row_id: str = Field(max_length=40)
    action: str = Field(max_length=16)
    before: str = Field(max_length=24)
    after: str | None = Field(default=None, max_length=24)
    reason: str = Field(sa_column=Column(Text, nullable=False))
    outcome: str = Field(default=Outcome.BEGUN, max_length=8)
    detail: str = Field(default="", sa_column=Column(Text, nullable=False))
