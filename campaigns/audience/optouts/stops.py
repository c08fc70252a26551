"""Numbers that are being stopped by this process just now: nothing that it has claimed for them is handed over.

An opt-out is in force for what is claimed after it, because claiming reads the table. What was claimed before waits in
the memory of a process for its moment. So an opt-out stands here before its transaction commits, and every message is
held against it when it is fired: of this process nothing starts after the commit. It stands a while longer, for a claim
whose statement ran before the commit and which comes to be fired after it. What other processes have claimed they ask
the database for (`campaigns/sending/last_look.py`).
"""

from collections.abc import Collection, Iterable, Mapping

from campaigns.audience.optouts.models import EVERY_ACCOUNT
from gateway.clock import Clock

KEEP_SECONDS = 10.0
"""Longer than a turn that claims may take (`gateway.db.waits.ANSWER_SECONDS`)."""
UNDER_WAY_SECONDS = 60.0
"""Longer than any transaction may take."""

Key = tuple[str, str]
"""An account and a person."""


class Stops:
    """Who is being stopped, in which account, and until when that has to be remembered (monotonic)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[Key, float] = {}

    def begin(self, keys: Collection[Key]) -> None:
        """Before the transaction that stores these opt-outs commits."""
        now = self._clock.monotonic()
        self._forget(now)
        for key in keys:
            self._until[key] = now + UNDER_WAY_SECONDS

    def end(self, keys: Collection[Key], *, kept: bool) -> None:
        """The transaction has ended; `kept` tells whether it may have stored them."""
        until = self._clock.monotonic() + KEEP_SECONDS
        for key in keys:
            if not kept:
                self._until.pop(key, None)
            elif key in self._until:
                self._until[key] = until

    def lift(self, keys: Collection[Key]) -> None:
        """They have opted in again."""
        for key in keys:
            self._until.pop(key, None)

    def holds(self, accounts: Iterable[str], person: str) -> bool:
        """Whether a message of these accounts to this person may not start any more."""
        if not self._until:
            return False
        return any((account, person) in self._until for account in (*accounts, EVERY_ACCOUNT))

    def _forget(self, now: float) -> None:
        old: Mapping[Key, float] = self._until
        self._until = {key: until for key, until in old.items() if until > now}
