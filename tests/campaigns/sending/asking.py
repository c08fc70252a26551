"""What people are told when they ask why something has not been sent yet."""

from typing import Any

from sqlalchemy import update

from campaigns.sending.outcomes import Claim, Result
from campaigns.sending.status import StatusReader
from tests.harness.books import Books

HOLD = 160.0


class Told:
    """What a campaign says, and each of its messages: the reason and the seconds from now (None: not known)."""

    def __init__(self, books: Books, status: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        self._now = books.clock.now()
        self.campaign = [self._read(wait) for wait in status["waiting"]]
        self.messages = [self._read(one["waiting"]) if one["waiting"] else None for one in messages]

    def _read(self, wait: dict[str, Any]) -> tuple[str, float | None]:
        assert wait["message"]
        return wait["reason"], None if wait["until"] is None else round(wait["until"].timestamp() - self._now, 3)


async def ask(books: Books, campaign_id: str) -> Told:
    """By the status, by its details, and message by message: all must say the same."""
    status = StatusReader(books.db, books.forecaster, lambda _engine: HOLD)
    row = await books.campaign(campaign_id)
    page, _ = await status.messages(row, [], 0, 100)
    for one in page:
        assert await status.message(row, one["id"]) == one
    return Told(books, await status.of(row), page)


async def send_one(books: Books, result: Result = Result.SENT, **outcome: Any) -> Claim:
    """Take a turn that brings one claim, and settle it."""
    [claim] = (await books.turn()).claims
    await books.settle(claim, result, **outcome)
    return claim


async def put(books: Books, table: Any, where: Any, **values: Any) -> None:
    """Change rows behind the product's back."""
    async with books.db.write() as tx:
        await tx.execute(update(table).where(where).values(**values))
