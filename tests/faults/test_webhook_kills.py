"""`kill -9` while events are delivered to somebody's webhook: each comes at least once, and again only as itself."""

import random
from collections import Counter

import pytest

from tests.conftest import Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.waiting import until
from tests.faults.test_kills import kill_again_and_again
from tests.harness.receiver import SECRET, Receiver

SEED = 20260102
MESSAGES = 60
WITHIN_SECONDS = 60.0


@pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
async def test_kills_lose_no_event_and_make_no_second_one(
    make_stage: MakeStage, record: Record, database_url: str
) -> None:
    stage = await make_stage(hold_seconds=1.2)
    stage.database_url = database_url
    stage.read_from(database_url)
    await stage.serve()
    await stage.connect(2)
    async with Receiver().listening() as receiver:
        body = {"url": receiver.url, "events": ["message.sent", "message.completed"], "secret": SECRET}
        await stage.gateway.post("/api/webhooks", body)
        submitted = await stage.submit(MESSAGES)
        await kill_again_and_again(stage, 4, random.Random(SEED), 0.6)
        await stage.finish()
        await until(lambda: "message.completed" in [one.event["event"] for one in receiver.taken], WITHIN_SECONDS)

    told = [one.event for one in receiver.taken]
    sent = [one for one in told if one["event"] == "message.sent"]
    record(seed=SEED, events=len(told), repeated=len(told) - len({one["id"] for one in told}))
    assert (await stage.judge()).perfect
    assert {one["data"]["recipient"][1:] for one in sent} == set(submitted.recipients)
    assert set(Counter(one["data"]["recipient"] for one in {one["id"]: one for one in sent}.values()).values()) == {1}
    firsts = list(dict.fromkeys(one["sequence"] for one in told))
    assert firsts == sorted(firsts), "in order, but for what came again"
