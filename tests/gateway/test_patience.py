"""What a replica does at its start while another one holds a lock that it needs."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

import gateway.db.waits
import gateway.patience
from gateway.db import Database, LockWaitEnded
from gateway.patience import write_patiently

pytestmark = pytest.mark.postgres

LOCK = text("LOCK TABLE server IN SHARE ROW EXCLUSIVE MODE")


@pytest.fixture
async def pair(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Database, Database]]:
    """Two replicas' databases, that do not wait long for a lock."""
    monkeypatch.setattr(gateway.db.waits, "LOCK_SECONDS", 0.05)
    databases = Database(postgres_url), Database(postgres_url)
    yield databases
    for database in databases:
        await database.close()


async def test_a_lock_is_asked_for_until_its_holder_lets_go_and_the_log_says_what_waits(
    pair: tuple[Database, Database],
) -> None:
    attempts = 0
    async with pair[1].dedicated() as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(LOCK.text)

        async def work(tx: AsyncConnection) -> str:
            nonlocal attempts
            attempts += 1
            if attempts == 3:
                await transaction.rollback()
            await tx.execute(LOCK)
            return "done"

        with capture_logs() as logs:
            assert await write_patiently(pair[0], work, "taking over servers") == "done"
    assert [(one["event"], one["doing"]) for one in logs] == [("start_waits_for_a_lock", "taking over servers")] * 2


async def test_patience_has_an_end(pair: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.patience, "PATIENCE_SECONDS", 0.1)

    async def work(tx: AsyncConnection) -> None:
        await tx.execute(LOCK)

    async with pair[1].write() as holder:
        await holder.execute(LOCK)
        with pytest.raises(LockWaitEnded):
            await write_patiently(pair[0], work, "taking over servers")
