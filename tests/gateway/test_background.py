"""Long work in a thread leaves room for others."""

import threading
import time

import pytest

from gateway.background import PAUSE_SECONDS, WORK_SECONDS, politely


class FakeTime:
    """A clock that only the test moves, and the pauses that were made."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[tuple[float, float]] = []

    def sleep(self, seconds: float) -> None:
        """Note a pause: when, and how long."""
        self.pauses.append((self.now, seconds))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The time that `politely` sees."""
    fake = FakeTime()
    monkeypatch.setattr(time, "perf_counter", lambda: fake.now)
    monkeypatch.setattr(time, "sleep", fake.sleep)
    return fake


def test_all_items_come_and_in_their_order() -> None:
    assert list(politely(range(1000))) == list(range(1000))
    assert list(politely([])) == []


def test_there_is_a_pause_after_each_millisecond_of_work(fake: FakeTime) -> None:
    for _ in politely(range(100)):
        fake.now += WORK_SECONDS / 10
    assert len(fake.pauses) in (9, 10)
    assert {seconds for _, seconds in fake.pauses} == {PAUSE_SECONDS}


def test_short_work_is_not_interrupted(fake: FakeTime) -> None:
    for _ in politely(range(9)):
        fake.now += WORK_SECONDS / 10
    assert fake.pauses == []


def test_another_thread_gets_its_turn_before_the_work_is_done() -> None:
    asked, answered = threading.Event(), threading.Event()

    def work() -> None:
        for _ in politely(iter(answered.is_set, True)):
            asked.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert asked.wait(10)
    answered.set()
    thread.join(10)
    assert not thread.is_alive()
