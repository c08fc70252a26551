"""Whose rows a query is about: the scope is part of the query, never an `if` after it."""

from sqlalchemy import ColumnElement, Table, true


def owned(table: Table, account_id: str | None) -> ColumnElement[bool]:
    """The condition on rows that an account owns; None is everybody's (`Caller.account_scope`)."""
    return true() if account_id is None else table.c.account_id == account_id
