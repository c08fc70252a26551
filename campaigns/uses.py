"""What uses a template or a group: asked before one is deleted, and for the counts that are shown with it.

Templates and groups do not know who refers to them. Whoever does gives their services a function of the type `UsesOf`,
in `gateway/app.py`. It is asked in the transaction that deletes, when the row is locked, so nobody can begin to use it
between the question and the deletion; whatever refers to the row by a foreign key has to be in its answer.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import FieldError, InUse


@dataclass(frozen=True, slots=True)
class Uses:
    """Who refers to one template or group.

    `users` are those that stop its deletion, each in words that a person knows it by ("schedule 0199..."), or the first
    of them; `count` is how many there are. `scheduled` and `sent` are how many sends of it are to come, and are done.
    """

    users: tuple[str, ...] = ()
    count: int = 0
    scheduled: int = 0
    sent: int = 0


UsesOf: TypeAlias = Callable[[AsyncConnection, str], Awaitable[Uses]]
"""Tells the uses of the row with an id."""


def refuse_in_use(what: str, uses: Uses) -> None:
    """Stop a deletion.

    Raises:
        InUse: naming who uses it.
    """
    if not uses.users:
        return
    others = uses.count - len(uses.users)
    named = ", ".join(uses.users) + (f" and {others} more" if others > 0 else "")
    raise InUse(f"the {what} is used by {named}", errors=[FieldError("id", user, "in_use") for user in uses.users])
