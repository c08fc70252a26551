"""What columns and rows are, the same on both databases."""

from typing import Any, TypeAlias

from sqlalchemy import Double, Row, String, Table
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of whatever columns: their names are in the query beside it."""
ID = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
"""The type of our identifiers: 36 characters to us and to SQLite, a native UUID on PostgreSQL."""
SECONDS: Double[float] = Double()
"""The type of times and durations."""


def table_of(model: type[SQLModel]) -> Table:
    """The SQLAlchemy table behind a model, for Core statements."""
    return SQLModel.metadata.tables[str(model.__tablename__)]
