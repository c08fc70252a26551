"""A session that works and whose sends all fail: its messages wait, and it is told once in each row of failures."""

import pytest

from campaigns.sending.outcomes import Claim, Outcome, Result, Task
from campaigns.sending.retry import decide
from campaigns.sending.suspicion import FAILURES, Suspicions
from gateway.events import EventBus, SessionSuspected
from gateway.waha.errors import RecipientNotOnWhatsApp, SessionBusy, WahaError, WahaServerError, WhatsAppRefused
from tests.conftest import MakeWorld
from tests.harness.world import World

REFUSED = WhatsAppRefused("server returned error 400", status_code=500, code=400)


class Watched:
    """Suspicions of one sender, and what they told."""

    def __init__(self) -> None:
        self.bus = EventBus()
        self.told: list[SessionSuspected] = []
        self.bus.subscribe(SessionSuspected, self.told.append)
        self.suspicions = Suspicions(self.bus)

    def fail(self, message_id: str, error: WahaError = REFUSED, attempts: int = 1) -> Outcome:
        """A send of this message ended in `error`."""
        claim = Claim(
            task=Task.SEND,
            sender_id=1,
            epoch=1,
            message_id=message_id,
            campaign_id="c",
            wa_id="3EB0",
            phone="447700900100",
            text="hello",
            media_id=None,
            attempts=attempts,
            fire_at=0.0,
            started_at=0.0,
            turn=None,
            number="447700900000",
            session_name="447700900000",
            server_id="s",
            paired_at=None,
        )
        return self.suspicions.judge(claim, error, decide(error, attempts, 5, 0.0))


def test_one_message_that_is_refused_again_and_again_is_the_messages_own_fault() -> None:
    watched = Watched()
    outcomes = [watched.fail("a", attempts=attempts).result for attempts in range(1, 6)]
    assert outcomes == [Result.RETRY] * 4 + [Result.FAILED]
    assert watched.told == []


def test_the_third_of_three_different_ones_waits_uncounted_and_the_session_is_told_once() -> None:
    watched = Watched()
    outcomes = [watched.fail(message_id) for message_id in ("a", "b", "c", "d", "a")]
    assert [one.result for one in outcomes] == [Result.RETRY] * 2 + [Result.LATER] * 3
    assert {one.code for one in outcomes} == {"backoff"}
    assert [one.wait_seconds for one in outcomes[2:]] == [30.0, 60.0, 120.0]
    assert [one.sender_id for one in watched.told] == [1]


def test_even_at_its_last_attempt_a_message_does_not_fail_for_a_sick_session() -> None:
    watched = Watched()
    for message_id in ("a", "b"):
        watched.fail(message_id)
    assert watched.fail("c", attempts=5).result is Result.LATER


def test_a_success_ends_the_row() -> None:
    watched = Watched()
    for message_id in ("a", "b"):
        watched.fail(message_id)
    watched.suspicions.clear(1)
    assert [watched.fail(message_id).result for message_id in ("c", "d")] == [Result.RETRY] * 2
    assert watched.told == []
    watched.fail("e")
    assert len(watched.told) == 1


def test_errors_that_do_not_say_whether_it_left_count_too_and_stay_uncertain() -> None:
    watched = Watched()
    outcomes = [watched.fail("a", WahaServerError("500", status_code=500)).result for _ in range(FAILURES + 1)]
    assert set(outcomes) == {Result.UNCERTAIN}
    assert len(watched.told) == 1


@pytest.mark.parametrize(
    "error",
    [
        RecipientNotOnWhatsApp("no", status_code=500),
        SessionBusy("no", status_code=500),
        WhatsAppRefused("no", status_code=500, code=404),
    ],
)
def test_what_is_about_the_recipient_or_passes_by_itself_says_nothing_about_the_session(error: WahaError) -> None:
    watched = Watched()
    for index in range(10):
        watched.fail(str(index), error)
    assert watched.told == []


@pytest.mark.virtual_time
async def test_a_sick_session_fails_no_message_and_goes_on_after_its_restart(make_world: MakeWorld) -> None:
    world: World = await make_world(1, message_delay=0.1, max_attempts=2)
    number = world.senders[0]
    told: list[SessionSuspected] = []
    world.gateway.bus.subscribe(SessionSuspected, told.append)
    running = world.waha.lifecycle.running[number]
    world.waha.sender.fall_sick(running, 400)
    campaign_id = await world.submit(6)
    await world.until(lambda: bool(told))
    await world.clock.sleep(200.0)
    assert "failed" not in await world.states(campaign_id)
    await world.waha.lifecycle.restart(number)
    assert (await world.finish(campaign_id)).state == "completed"
    assert (len(told), world.sent) == (1, 6)
