"""Who may hear which events: what a socket's first message asks for, and what its credential allows."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, true

from gateway.auth.access import Caller
from gateway.db import AnyRow
from gateway.errors import Unauthorized
from gateway.notifications.models import EVERYBODY
from gateway.notifications.tables import event


@dataclass(frozen=True, slots=True)
class Audience:
    """Whose events: an account's, those of one number of ours (digits), or both; neither is everybody's."""

    account_id: str | None = None
    number: str | None = None

    @property
    def key(self) -> str:
        """The key of the listener that stands for it; all sockets of an account share one, and so do a number's."""
        if self.account_id is None and self.number is not None:
            return f"ws +{self.number}"
        return f"ws {self.account_id or EVERYBODY}"

    def listener(self) -> dict[str, str | None]:
        """The columns of that listener."""
        if self.account_id is None and self.number is not None:
            return {"account_id": "", "sender_number": self.number}
        return {"account_id": self.account_id or EVERYBODY, "sender_number": None}

    def sees(self, row: AnyRow) -> bool:
        """Whether an event of the table is for it."""
        return self.account_id in (None, row.account_id) and self.number in (None, row.sender_number)

    def condition(self) -> ColumnElement[bool]:
        """The same in SQL."""
        account = true() if self.account_id is None else event.c.account_id == self.account_id
        return and_(account, true() if self.number is None else event.c.sender_number == self.number)


def audience_of(caller: Caller, number: str | None) -> Audience:
    """What a caller hears who asks for the events of `number` (digits), or for all that there are for them.

    Raises:
        Unauthorized: it is another sender's number.
    """
    if caller.is_admin:
        return Audience(number=number)
    if caller.number is not None:
        if number not in (None, caller.number):
            raise Unauthorized("the token is another number's")
        return Audience(number=caller.number)
    if caller.is_open and number is not None:
        return Audience(number=number)  # as for every other request of open mode
    return Audience(caller.account_id, number)


def keys_of(row: AnyRow) -> tuple[str, ...]:
    """The keys of all who may listen to an event."""
    keys = (Audience().key, Audience(row.account_id).key)
    return keys if row.sender_number is None else (*keys, Audience(number=row.sender_number).key)
