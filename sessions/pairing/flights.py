"""One flight for many callers: whoever asks for what is under way already waits for the same answer.

A flight belongs to nobody who waits for it. When a caller's patience is over, or the caller goes away, it goes on, so
that a lifecycle call of WAHA is never cut off in the middle; the next who asks finds it landed.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

import structlog

from gateway.errors import GatewayError, ServiceUnavailable
from gateway.waha.errors import WahaError

log = structlog.get_logger()

T = TypeVar("T")


class StillUnderWay(Exception):
    """The caller's patience is over; what was asked for goes on without it."""


class Flights(Generic[T]):
    """What is under way, by a key; at most one flight for each."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._flying: dict[Hashable, asyncio.Task[T]] = {}
        self._closed = False

    async def join(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]], patience: float) -> T:
        """The answer of the flight of `key`, which begins with `work()` where none is under way.

        Raises:
            StillUnderWay: no answer after `patience` seconds.
            ServiceUnavailable: the gateway is ending.
            Exception: whatever `work` raised.
        """
        if self._closed:
            raise ServiceUnavailable("the gateway is ending; ask again in some seconds")
        flight = self._flying.get(key)
        if flight is None:
            flight = asyncio.create_task(work(), name=self._name)
            self._flying[key] = flight
            flight.add_done_callback(lambda landed: self._land(key, landed))
        done, _ = await asyncio.wait({flight}, timeout=patience)
        if not done:
            raise StillUnderWay
        if flight.cancelled():
            raise ServiceUnavailable("the gateway is ending; ask again in some seconds")
        return flight.result()

    async def stop(self, grace_seconds: float) -> None:
        """Begin nothing more, and give what is under way some seconds to land."""
        self._closed = True
        flights = set(self._flying.values())
        if not flights:
            return
        _, late = await asyncio.wait(flights, timeout=grace_seconds)
        for flight in late:
            flight.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _land(self, key: Hashable, flight: asyncio.Task[T]) -> None:
        del self._flying[key]
        if flight.cancelled() or (error := flight.exception()) is None:
            return
        known = isinstance(error, GatewayError | WahaError)
        if known:
            log.info("flight_failed", flight=self._name, error=str(error))
        else:
            log.error("flight_failed", flight=self._name, exc_info=error)
