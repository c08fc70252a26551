"""People who write to a session: when, under which name, how often told, and what they quote."""

from typing import Any

import pytest

from tests.simulator.conftest import CHAT, RECIPIENT, SENDER, Simulate

PATH = f"/sim/sessions/{SENDER}/incoming"


async def say(simulate: Simulate, engine: str = "GOWS", **fields: Any) -> list[dict[str, Any]]:
    """The recipient writes; gives the `message.any` events."""
    waha = await simulate(engine=engine)
    await waha.pair()
    answer = await waha.call("POST", PATH, {"from": RECIPIENT, "text": "hello", **fields})
    assert answer.status_code == 200, answer.text
    return [event for event in waha.watch.heard() if event["event"] == "message.any"]


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_the_author_is_in_the_engines_own_message(simulate: Simulate, engine: str) -> None:
    (event,) = await say(simulate, engine, author="Ada")
    data = event["payload"]["_data"]
    assert "Ada" in (data.get("notifyName"), data.get("pushName"), data.get("Info", {}).get("PushName"))


async def test_a_message_can_be_told_many_times_under_its_one_id(simulate: Simulate) -> None:
    told = await say(simulate, times=3, id="3EB0FEED")
    assert {event["payload"]["id"] for event in told} == {f"false_{CHAT}_3EB0FEED"}
    assert len({event["id"] for event in told}) == 3


async def test_somebody_may_be_told_under_the_hidden_id_alone(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.call("POST", PATH, {"from": RECIPIENT, "text": "hello", "hidden": True})
    lid = (await waha.call("GET", f"/api/{SENDER}/lids/pn/{RECIPIENT}")).json()["lid"]
    assert {event["payload"]["from"] for event in waha.watch.heard()} == {lid}


async def test_a_message_may_quote_another_and_be_older_than_its_event(simulate: Simulate) -> None:
    (event,) = await say(simulate, reply_to="3EB0BEEF", seconds_ago=3600)
    assert event["payload"]["replyTo"]["id"] == "3EB0BEEF"
    assert event["timestamp"] / 1000 - event["payload"]["timestamp"] == pytest.approx(3600, abs=5)


@pytest.mark.parametrize("wrong", [{"times": 0}, {"times": 1.5}, {"times": 101}, {"hidden": "yes"}, {"author": ""}])
async def test_what_cannot_be_played_is_refused(simulate: Simulate, wrong: dict[str, Any]) -> None:
    waha = await simulate()
    await waha.pair()
    answer = await waha.call("POST", PATH, {"from": RECIPIENT, "text": "hello", **wrong})
    assert answer.status_code == 422
