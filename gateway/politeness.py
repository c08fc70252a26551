"""Loops over very many things, on an event loop that others wait for."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

AT_ONCE = 50
"""How many are looked at before others get their turn: at some 20 microseconds each, about a millisecond."""

Item = TypeVar("Item")


async def politely(items: Iterable[Item], at_once: int = AT_ONCE) -> AsyncIterator[Item]:
    """The items one by one; after each `at_once` of them everybody else who can go on gets a turn."""
    for place, item in enumerate(items):
        if place and place % at_once == 0:
            await asyncio.sleep(0)
        yield item
