"""What a turn leaves behind."""

import gc

import pytest

from tests.campaigns.sending.conftest import OpenBooks

pytestmark = pytest.mark.virtual_time


async def test_turns_leave_nothing_that_only_the_garbage_collector_can_find(open_books: OpenBooks) -> None:
    books = await open_books(4)
    await books.submit(8)
    await books.send_all(8)  # what is made once is made now
    await books.submit(20, rotation="fastest")
    await books.submit(20)
    gc.collect()
    gc.disable()
    try:
        await books.send_all(40)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        circles = {type(item).__qualname__ for item in gc.garbage if type(item).__module__.startswith("campaigns.")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert circles == set()
