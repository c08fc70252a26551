"""Reading a group's members some at a time: in their own order, or as it becomes time for each of them."""

from collections.abc import Sequence
from typing import Protocol

from campaigns.schedules import start_queries as queries
from gateway.db import AnyRow, Database


class People(Protocol):
    """Members that are read a slice at a time."""

    more: bool
    """Whether there may be another slice after those that were read."""

    async def read(self) -> Sequence[AnyRow]:
        """The next slice, which may be empty (columns: id, name, phone, grade, variables)."""


class InTurn:
    """The members of a group, oldest first."""

    def __init__(self, db: Database, group_id: str, size: int) -> None:
        self._db = db
        self._group_id = group_id
        self._size = size
        self._last: str | None = None
        self.more = True

    async def read(self) -> Sequence[AnyRow]:
        """The next slice."""
        async with self._db.read() as connection:
            members = await queries.members_after(connection, self._group_id, self._last, self._size)
        self.more = len(members) == self._size
        if members:
            self._last = members[-1].id
        return members


class InOrder:
    """Members in a given order of their ids; who has left the group meanwhile is not among them."""

    def __init__(self, db: Database, group_id: str, ids: Sequence[str], size: int) -> None:
        self._db = db
        self._group_id = group_id
        self._ids = ids
        self._size = size
        self._place = 0
        self.more = True

    async def read(self) -> Sequence[AnyRow]:
        """The next slice."""
        ids = self._ids[self._place : self._place + self._size]
        self._place += self._size
        self.more = self._place < len(self._ids)
        async with self._db.read() as connection:
            members = await queries.members_among(connection, self._group_id, ids)
        return [members[one] for one in ids if one in members]
