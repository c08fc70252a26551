"""What people who write ask about being written to: heard in the transaction that stores it, confirmed after it."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.optouts.listening import Reaction, Said

Hear = Callable[[AsyncConnection, Said], Awaitable[Reaction]]
Confirm = Callable[[Said, Reaction], Awaitable[None]]
Confirmable = tuple[Said, Reaction]


@dataclass(frozen=True, slots=True)
class Wishes:
    """Who hears opt-outs in what comes in, and who confirms them."""

    hear: Hear
    confirm: Confirm

    async def confirm_all(self, heard: Iterable[Confirmable]) -> None:
        """Have confirmed what is to be confirmed; to be called when the transaction is committed."""
        for said, reaction in heard:
            await self.confirm(said, reaction)


async def hear_all(tx: AsyncConnection, hear: Hear, said: Iterable[Said]) -> tuple[Confirmable, ...]:
    """Hear what was written, oldest first; what of it is to be confirmed."""
    heard = [(one, await hear(tx, one)) for one in sorted(said, key=lambda one: one.at)]
    return tuple((one, reaction) for one, reaction in heard if reaction.confirm)
