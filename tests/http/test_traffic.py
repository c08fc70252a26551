"""Requests are counted by the second, over the last minute."""

from starlette.types import Message, Receive, Scope, Send

from gateway.clock import Clock
from gateway.http.traffic import CountRequests, Traffic


class Stopped(Clock):
    """Time passes only by hand."""

    def __init__(self) -> None:
        self.at = 1000.25

    def monotonic(self) -> float:
        """As set."""
        return self.at


def test_a_request_counts_for_a_minute_and_no_longer() -> None:
    clock = Stopped()
    traffic = Traffic(clock)
    for _ in range(30):
        traffic.note()
        clock.at += 1
    assert traffic.per_minute == 30
    clock.at += 45
    assert traffic.per_minute == 14  # the first sixteen are over a minute old
    clock.at += 14
    assert traffic.per_minute == 0


def test_after_a_long_pause_nothing_is_left() -> None:
    clock = Stopped()
    traffic = Traffic(clock)
    traffic.note()
    clock.at += 100_000
    assert traffic.per_minute == 0
    traffic.note()
    assert traffic.per_minute == 1


async def test_only_requests_count() -> None:
    traffic = Traffic(Stopped())
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    async def send(message: Message) -> None:
        raise AssertionError("nobody answers")

    for kind in ("http", "websocket", "lifespan", "http"):
        await CountRequests(app, traffic=traffic)({"type": kind, "method": "GET"}, receive, send)
    assert traffic.per_minute == 2
    assert seen == ["http", "websocket", "lifespan", "http"]
