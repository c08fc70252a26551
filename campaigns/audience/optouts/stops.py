"""Numbers that are being stopped by this process just now: nothing that it has claimed for them is handed over.

An opt-out is in force for what is claimed after it, because claiming reads the table. What was claimed before waits in
the memory of a process for its moment. So an opt-out stands here before its transaction commits, and every message is
held against it when it is fired: of this process nothing starts after the commit. It stands a while longer, for a claim
whose statement ran before the commit and which comes to be fired after it. What other processes have claimed, and what
was claimed longer ago, is asked of the database (`campaigns/sending/last_look.py`).
"""

from collections import Counter
from collections.abc import Collection, Iterable

from campaigns.audience.optouts.models import EVERY_ACCOUNT
from gateway.clock import Clock

KEEP_SECONDS = 10.0
"""Longer than a turn that claims may take (`gateway.db.waits.ANSWER_SECONDS`)."""

Key = tuple[str, str]
"""An account and a person."""


class Stops:
    """Who is being stopped, in which account: by how many transactions, and who was, and until when (monotonic)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way: Counter[Key] = Counter()
        self._stopped_until: dict[Key, float] = {}

    def begin(self, keys: Collection[Key]) -> None:
        """Before the transaction that stores these opt-outs commits."""
        self._forget(self._clock.monotonic())
        self._under_way.update(keys)

    def end(self, keys: Collection[Key], *, kept: bool) -> None:
        """The transaction has ended; `kept` tells whether it may have stored them.

        One that has not, because they are stored already, takes nothing away from the one that has.
        """
        until = self._clock.monotonic() + KEEP_SECONDS
        for key in keys:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]
            if kept:
                self._stopped_until[key] = until

    def lift(self, keys: Collection[Key]) -> None:
        """They have opted in again."""
        for key in keys:
            self._stopped_until.pop(key, None)

    def holds(self, accounts: Iterable[str], person: str) -> bool:
        """Whether a message of these accounts to this person may not start any more."""
        if not self._under_way and not self._stopped_until:
            return False
        keys = [(account, person) for account in (*accounts, EVERY_ACCOUNT)]
        return any(key in self._under_way or key in self._stopped_until for key in keys)

    def _forget(self, now: float) -> None:
        self._stopped_until = {key: until for key, until in self._stopped_until.items() if until > now}
