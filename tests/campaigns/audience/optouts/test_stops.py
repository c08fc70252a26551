"""Who is being stopped in this process, and for how long that is remembered."""

import pytest

from campaigns.audience.optouts.models import EVERY_ACCOUNT
from campaigns.audience.optouts.people import person_of
from campaigns.audience.optouts.stops import KEEP_SECONDS, Stops
from gateway.clock import Clock
from gateway.db import Database, after

ADA, BERT = ("local", "447700900100"), ("local", "447700900101")


class HandClock(Clock):
    """A clock that a test moves by hand."""

    at = 100.0

    def monotonic(self) -> float:
        """The time that was set."""
        return self.at


def test_what_is_begun_is_held_for_its_account_and_its_person_only() -> None:
    stops = Stops(HandClock())
    stops.begin([ADA])
    assert stops.holds(["local"], ADA[1])
    assert stops.holds(["acme", "local"], ADA[1])
    assert not stops.holds(["acme"], ADA[1])
    assert not stops.holds(["local"], BERT[1])
    assert not stops.holds(["local"], "")


def test_what_is_stopped_for_every_account_is_held_for_each() -> None:
    stops = Stops(HandClock())
    stops.begin([(EVERY_ACCOUNT, ADA[1])])
    assert stops.holds(["acme"], ADA[1])


def test_what_was_rolled_back_or_taken_back_is_not_held() -> None:
    stops = Stops(HandClock())
    stops.begin([ADA, BERT])
    stops.end([ADA], kept=False)
    stops.end([BERT], kept=True)
    stops.lift([BERT])
    assert not stops.holds(["local"], ADA[1])
    assert not stops.holds(["local"], BERT[1])


def test_a_second_opt_out_that_comes_to_nothing_takes_nothing_away_from_the_first() -> None:
    stops = Stops(HandClock())
    stops.begin([ADA])
    stops.begin([ADA])
    stops.end([ADA], kept=False)
    assert stops.holds(["local"], ADA[1]), "the other one is under way"
    stops.end([ADA], kept=True)
    stops.begin([ADA])
    stops.end([ADA], kept=False)
    assert stops.holds(["local"], ADA[1])


def test_it_is_forgotten_some_time_after_it_was_stored_and_not_while_it_is_being_stored() -> None:
    clock = HandClock()
    stops = Stops(clock)
    stops.begin([ADA])
    clock.at += 1000.0
    stops.begin([BERT])
    assert stops.holds(["local"], ADA[1])
    stops.end([ADA], kept=True)
    clock.at += KEEP_SECONDS - 0.1
    stops.begin([BERT])
    assert stops.holds(["local"], ADA[1])
    clock.at += 0.2
    stops.begin([BERT])
    assert not stops.holds(["local"], ADA[1])


def test_the_two_spellings_of_a_brazilian_mobile_number_are_one_person_and_others_are_as_they_are() -> None:
    assert person_of("551161555501") == person_of("5511961555501") == "5511961555501"
    assert person_of("551121555501") == "551121555501"
    assert person_of("447700900100") == "447700900100"


async def test_the_end_of_a_transaction_is_told_and_how_it_ended(database_url: str) -> None:
    db = Database(database_url)
    told: list[bool] = []
    async with db.write() as tx:
        after(tx, told.append)
        assert told == []
    assert told == [True]
    await _roll_back(db, told)
    assert told == [True, False]
    async with db.write():
        pass
    assert told == [True, False], "and nobody is told of another one's end"
    await db.close()


async def _roll_back(db: Database, told: list[bool]) -> None:
    with pytest.raises(RuntimeError):
        await _fail(db, told)


async def _fail(db: Database, told: list[bool]) -> None:
    async with db.write() as tx:
        after(tx, told.append)
        raise RuntimeError
