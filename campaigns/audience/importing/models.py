"""Imports of recipients: what became of a file, as a whole and row by row."""

from enum import StrEnum

from sqlalchemy import Column, ForeignKey, Index, Text
from sqlmodel import Field, SQLModel

from gateway.db import ID

KEEP_SECONDS = 7 * 86_400
"""How long an import can be asked for, as long as an idempotency key."""


class ImportState(StrEnum):
    """Where an import is: it runs, or it has ended in one of two ways."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class RowFate(StrEnum):
    """What became of a row; in a dry run, what would."""

    CREATED = "created"
    UPDATED = "updated"
    EXISTING = "existing"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    BLANK = "blank"


class ImportProblem(StrEnum):
    """Why an import failed, for programs."""

    NOT_A_LIST = "not_a_list"
    BAD_ROWS = "bad_rows"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class RecipientImport(SQLModel, table=True):
    """One file, and how far it is. The six counts add up to the rows that have their fate.

    `group_ids` is a JSON list. `beat_at` is when the process that reads it was last heard of. Times are epoch seconds.
    """

    __tablename__ = "recipient_import"
    __table_args__ = (
        Index("ix_recipient_import_account", "account_id", "id"),
        Index("ix_recipient_import_state", "state", "beat_at"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(foreign_key="account.id", max_length=36)
    state: str = Field(max_length=7)
    dry_run: bool
    on_duplicate: str = Field(max_length=6)
    on_bad_row: str = Field(max_length=7)
    group_ids: str = Field(sa_column=Column(Text, nullable=False))
    rows_read: int
    rows_total: int | None = None
    created: int
    updated: int
    existing: int
    duplicate: int
    invalid: int
    blank: int
    error_code: str | None = Field(default=None, max_length=12)
    error: str | None = Field(default=None, sa_column=Column(Text))
    created_at: float
    finished_at: float | None = None
    beat_at: float


class RecipientImportRow(SQLModel, table=True):
    """What became of the row that begins at a line of the file; rows without any content are not here."""

    __tablename__ = "recipient_import_row"
    __table_args__ = (Index("ix_recipient_import_row_fate", "import_id", "fate", "line"),)

    import_id: str = Field(
        sa_column=Column(ID, ForeignKey("recipient_import.id", ondelete="CASCADE"), primary_key=True)
    )
    line: int = Field(primary_key=True)
    fate: str = Field(max_length=9)
    phone: str = Field(max_length=100)
    name: str = Field(max_length=100)
    reason: str = Field(sa_column=Column(Text, nullable=False))
