"""The queue on its own, on both databases."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.harness.books import Books

OpenBooks = Callable[..., Awaitable[Books]]


@pytest.fixture
async def open_books(database_url: str) -> AsyncIterator[OpenBooks]:
    """Open `Books` on the test's database, with so many senders and these delays."""
    books = Books(database_url)

    async def make(senders: int = 1, **delays: float) -> Books:
        await books.open(senders, **delays)
        return books

    yield make
    await books.db.close()
