"""Fault 19: texts that break whoever touches them. What the API refuses is in `tests/api/test_bad_input.py` too."""

import functools
import json
from typing import Any

import pytest

from gateway.waha.client import WahaClient
from gateway.waha.schemas import SentMessage
from tests.conftest import MakeWorld, Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.failpoints import die_of
from tests.faults.harness.stage import Stage, recipient_number

MAX_ATTEMPTS = 3
PHONE = f"+{recipient_number(9000)}"
POISONS: dict[str, dict[str, Any]] = {
    "NUL": {"template": "a\x00b"},
    "NUL in a value": {"template": "{{name}}", "variables": {"name": "a\x00b"}},
    "1 MB": {"template": "x" * 1_000_000},
    "missing variable": {"template": "Hello {{nobody}}"},
    "lone surrogate": {"template": "a\ud800b"},
    "lone surrogate in a value": {"template": "{{name}}", "variables": {"name": "a\udfffb"}},
}


async def test_poisoned_texts_are_refused_or_sent_and_the_service_lives(make_stage: MakeStage, record: Record) -> None:
    stage = await make_stage()
    await stage.serve()
    await stage.connect(1)
    statuses = {}
    for name, fields in POISONS.items():
        body = {"sender_number": f"+{stage.senders[0]}", "recipients": [PHONE], **fields}
        content = escaped(body)
        headers = {"Content-Type": "application/json"}
        statuses[name] = (await stage.gateway.http.post("/api/send", content=content, headers=headers)).status_code
    await stage.submit(5)
    await stage.finish()
    verdict = await stage.judge()
    record(**statuses, **verdict.record)
    assert statuses.pop("NUL in a value") == 201  # which is left out of it
    assert set(statuses.values()) == {422}, statuses
    assert verdict.perfect, verdict.report()


async def crash_loop(stage: Stage, most: int) -> int:
    """Start the gateway again whenever it dies of the poisoned text; how often it died, at most `most` times."""
    deaths = 0
    while deaths < most:
        replica = await stage.serve(preparations=[functools.partial(die_of, "poison")])
        if not stage.senders:
            await stage.connect(1)
            await stage.submit(3)
            await stage.submit(1, template="poison")
        if not await stage.finished_or_dead(replica):
            return deaths
        deaths += 1
    return deaths


async def test_a_message_that_kills_its_worker_is_given_up_and_the_lane_goes_on(
    make_stage: MakeStage, record: Record
) -> None:
    stage = await make_stage(max_attempts=MAX_ATTEMPTS, message_delay=0.5, hold_seconds=0.3, timeout_seconds=0.5)
    deaths = await crash_loop(stage, 2 * MAX_ATTEMPTS)
    verdict = await stage.judge()
    record(deaths=deaths, **verdict.record)
    assert deaths == MAX_ATTEMPTS
    assert verdict.clean, verdict.report()
    assert len(verdict.given_up) == 1


async def test_without_a_limit_it_would_be_a_crash_loop(make_stage: MakeStage) -> None:
    """The control."""
    stage = await make_stage(max_attempts=100, message_delay=0.5, hold_seconds=0.3, timeout_seconds=0.5)
    assert await crash_loop(stage, MAX_ATTEMPTS + 1) == MAX_ATTEMPTS + 1


@pytest.mark.virtual_time
async def test_a_message_that_makes_its_worker_raise_is_given_up_and_the_lane_goes_on(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_text, tries = WahaClient.send_text, 0

    async def send(client: WahaClient, session: str, chat_id: str, text: str, message_id: str) -> SentMessage:
        nonlocal tries
        if text == "poison":
            tries += 1
            raise RuntimeError(text)
        return await send_text(client, session, chat_id, text, message_id)

    monkeypatch.setattr(WahaClient, "send_text", send)
    world = await make_world(1, max_attempts=MAX_ATTEMPTS, hold_seconds=3, message_delay=0.1)
    poisoned = await world.submit(1, template="poison")
    healthy = await world.submit(3)
    assert (await world.finish(poisoned)).state == "failed"
    assert (await world.finish(healthy)).state == "completed"
    assert tries == MAX_ATTEMPTS
    await world.check_counters()


def escaped(body: dict[str, Any]) -> bytes:
    """JSON in ASCII: lone surrogates are written as escapes, as a careless client does."""
    return json.dumps(body).encode("ascii")
