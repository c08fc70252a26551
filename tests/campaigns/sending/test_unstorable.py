"""An outcome that the database does not take: every other lane goes on, and nothing is lost or sent twice."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from campaigns.sending import dispatcher
from campaigns.sending.outcomes import Claim, Outcome, Turn, TurnRequest
from campaigns.sending.queue import take_turn
from campaigns.sending.tables import campaign
from tests.conftest import MakeWorld
from tests.harness.ledger import duplicated, lost, short_gaps
from tests.harness.world import World, recipient_numbers

pytestmark = pytest.mark.virtual_time


def refuse(monkeypatch: pytest.MonkeyPatch, poison: Callable[[Claim, Outcome], bool], times: float) -> list[int]:
    """Let turns fail that bring a poisonous outcome, so often; gives how many outcomes each of these turns brought."""
    refused: list[int] = []

    async def take(tx: Any, settings: Any, asked: TurnRequest, *args: Any) -> Turn:
        if len(refused) < times and any(poison(claim, outcome) for claim, outcome in asked.outcomes):
            refused.append(len(asked.outcomes))
            raise IntegrityError("UPDATE", None, ValueError("a row that nobody foresaw"))
        return await take_turn(tx, settings, asked, *args)

    monkeypatch.setattr(dispatcher, "take_turn", take)
    return refused


async def finish(world: World, campaign_id: str, count: int) -> None:
    await world.finish(campaign_id)
    assert lost(world.ledger, "hello", recipient_numbers(count)) == []
    assert duplicated(world.ledger) == []
    assert short_gaps(world.ledger, 2.0) == []
    await world.check_counters()


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_one_outcome_that_is_refused_keeps_no_other_from_being_stored(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    world = await make_world(3, message_delay=2.0)
    poison = recipient_numbers(9)[4]
    refused = refuse(monkeypatch, lambda claim, _outcome: claim.phone == poison, times)
    await finish(world, await world.submit(9), 9)
    assert len(refused) == times
    assert set(refused[1:]) <= {1}  # it was told from the others at once


async def test_an_outcome_that_is_never_taken_holds_up_its_own_lane_only(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(3, message_delay=2.0)
    poison = recipient_numbers(30)[4]
    refuse(monkeypatch, lambda claim, _outcome: claim.phone == poison, math.inf)
    await world.submit(30)
    await world.until_sent(30)
    assert lost(world.ledger, "hello", recipient_numbers(30)) == []
    assert duplicated(world.ledger) == []


async def test_what_was_sent_for_sure_stays_sent_whatever_else_cannot_be_stored(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This WAHA cannot be asked: as uncertain it would be left to a person, who may send it twice."""
    world = await make_world(3, message_delay=2.0, waha={"engine": "WEBJS"})
    world.hears = False
    poison = recipient_numbers(9)[4]
    refused = refuse(monkeypatch, lambda claim, outcome: claim.phone == poison and not outcome.reason, math.inf)
    campaign_id = await world.submit(9)
    await finish(world, campaign_id, 9)
    assert refused
    assert await world.states(campaign_id) == ["sent"] * 9


async def test_a_campaign_whose_file_is_gone_fails_and_its_lane_goes_on(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=2.0)
    without = await world.submit(2)
    async with world.gateway.db.write() as tx:
        await tx.execute(update(campaign).where(campaign.c.id == without).values(media_id="gone"))
    campaign_id = await world.submit(recipient_numbers(5)[2:])
    await world.finish(without)
    await world.finish(campaign_id)
    assert {(row.state, row.error_code) for row in await world.messages(without)} == {("failed", "media_gone")}
    assert lost(world.ledger, "hello", recipient_numbers(5)[2:]) == []
