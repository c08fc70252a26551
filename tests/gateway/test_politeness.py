"""Loops over very many things let others have their turn."""

import asyncio

from gateway.politeness import politely


async def test_others_get_a_turn_after_so_many() -> None:
    seen: list[object] = []

    async def other() -> None:
        for turn in "abc":
            seen.append(turn)
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    async for item in politely(range(6), at_once=2):
        seen.append(item)
    await waiting

    assert seen == [0, 1, "a", 2, 3, "b", 4, 5, "c"]


async def test_a_short_loop_does_not_wait_for_anybody() -> None:
    other = asyncio.create_task(asyncio.sleep(0))

    assert [item async for item in politely([1, 2], at_once=2)] == [1, 2]
    assert not other.done()

    await other
