"""What somebody who writes to one of our numbers says about being written to, and what follows from it.

Whoever takes a message in calls `Listening.hear` in the transaction that stores it, and after it, where the reaction
says so, has one confirmation sent (`campaigns/sending/confirming.py`).
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.optouts import queries
from campaigns.audience.optouts.keywords import Keywords, Wish
from campaigns.audience.optouts.models import Action, Source
from campaigns.audience.optouts.people import person_of
from campaigns.audience.optouts.stops import Stops
from campaigns.audience.optouts.storing import Change, add_history, opt_in, opt_out
from gateway.db import read_now

CONFIRMED_ONCE_SECONDS = 86_400.0
CONTACT = "contact"
"""Who asked, in the history."""


class Effect(StrEnum):
    """What a message changed."""

    NONE = "none"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody (`phone`: digits) wrote to one of our numbers (digits) of an account, at a time (epoch seconds)."""

    account_id: str
    sender_number: str
    phone: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Reaction:
    """What followed. `confirm` tells that one confirmation is to be sent, after the transaction."""

    effect: Effect = Effect.NONE
    confirm: bool = False


NOTHING = Reaction()


class Listening:
    """Hears opt-outs in what people write."""

    def __init__(self, keywords: Keywords, stops: Stops, *, confirms: bool) -> None:
        """`confirms` tells whether opt-outs are confirmed at all."""
        self._keywords = keywords
        self._stops = stops
        self._confirms = confirms

    async def hear(self, tx: AsyncConnection, said: Said) -> Reaction:
        """Store what a message asks for, for all senders of the account; most messages ask for nothing.

        A second STOP changes nothing, and is confirmed only if none was within a day. A word that was written before
        another one that has been heeded, and comes after it, changes nothing either.
        """
        wish = self._keywords.wish_in(said.text)
        if wish is None:
            return NOTHING
        heard_at = await queries.last_heard_at(tx, said.account_id, person_of(said.phone))
        if heard_at is not None and heard_at > said.at:
            return NOTHING
        now = await read_now(tx)
        change = Change(said.phone, Source.KEYWORD, CONTACT, "", said.text.strip(), said.sender_number, said.at)
        if wish is Wish.START:
            row = await opt_in(tx, self._stops, said.account_id, change, now)
            return NOTHING if row is None else Reaction(Effect.OPTED_IN)
        return await self._stop(tx, said.account_id, change, now)

    async def _stop(self, tx: AsyncConnection, account_id: str, change: Change, now: float) -> Reaction:
        added = await opt_out(tx, self._stops, account_id, [change], now)
        person = person_of(change.phone)
        if self._confirms and not added:  # of two at the same time only one may see that there was no confirmation
            await queries.lock_suppression(tx, account_id, person)
        since = now - CONFIRMED_ONCE_SECONDS
        confirm = self._confirms and not await queries.was_confirmed_since(tx, account_id, person, since)
        if added or confirm:
            await add_history(tx, account_id, Action.OPTED_OUT, [change], now, confirmed=confirm)
        return Reaction(Effect.OPTED_OUT, confirm)
