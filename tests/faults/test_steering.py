"""Pause, resume and cancel, hammered by ten clients while campaigns are sent: nothing starts after the answer."""

import asyncio
import random
import time
from dataclasses import dataclass

from tests.conftest import Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.checker import Submitted
from tests.faults.harness.failpoints import take_nothing_back
from tests.faults.harness.runner import Preparation
from tests.faults.harness.stage import Stage
from tests.faults.harness.waiting import last, until

SEED = 20260303
CLIENTS = 10


@dataclass(frozen=True, slots=True)
class Deed:
    """One call that was answered with 200: when it was begun and answered (epoch seconds)."""

    campaign_id: str
    action: str
    begun_at: float
    answered_at: float


async def steer(stage: Stage, told: Submitted, action: str, deeds: list[Deed]) -> None:
    """One call; a campaign that is in no state for it says so, and nothing else is wrong."""
    begun_at = time.time()
    answer = await stage.gateway.http.post(f"/api/campaigns/{told.campaign_id}/{action}")
    assert answer.status_code in (200, 409), answer.text
    if answer.status_code == 200:
        deeds.append(Deed(told.campaign_id, action, begun_at, time.time()))


async def hammer(stage: Stage, seconds: float, deeds: list[Deed], client: int) -> None:
    """One client's calls, for so long; in the second half of the time it cancels every other campaign, too."""
    rng = random.Random(f"{SEED} {client}")
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        told = rng.choice(stage.submitted)
        to_be_cancelled = told in stage.submitted[::2] and time.monotonic() > ends - seconds / 2
        actions = ["pause", "resume", "resume"] + ["cancel"] * to_be_cancelled
        await steer(stage, told, rng.choice(actions), deeds)
        await last(rng.uniform(0.0, 0.15))


async def run(stage: Stage, *preparations: Preparation) -> list[tuple[float, str]]:
    """Hammer, cancel the others, finish; gives the sends that were started while they were forbidden."""
    await stage.serve(preparations=preparations)
    await stage.connect(5)
    for number in stage.senders:
        await stage.submit(200, [number])
    await stage.until_sent(10)
    deeds: list[Deed] = []
    await asyncio.gather(*(hammer(stage, 3.0, deeds, client) for client in range(CLIENTS)))
    cancelled = {deed.campaign_id for deed in deeds if deed.action == "cancel"}
    assert cancelled == {told.campaign_id for told in stage.submitted[::2]}
    await asyncio.gather(*(steer(stage, told, "resume", deeds) for told in stage.submitted))
    states = [(await stage.gateway.get(f"/api/status/{campaign_id}"))["status"] for campaign_id in cancelled]
    assert set(states) == {"cancelled"}  # whatever was asked for after it
    sent = stage.sent
    await until(lambda: stage.sent >= sent + 10)
    await asyncio.gather(*(steer(stage, told, "cancel", deeds) for told in stage.submitted for _ in range(2)))
    await stage.finish()
    await last(0.5)  # what would still be armed would be fired by now
    campaign_of = {key: row.campaign_id for key, row in (await stage.rows()).items()}
    return [
        (at, key)
        for at, key in stage.starts
        if any(begin < at < end for begin, end in forbidden(deeds, campaign_of[key]))
    ]


def forbidden(deeds: list[Deed], campaign_id: str) -> list[tuple[float, float]]:
    """When nothing of a campaign may be started: after a cancel, and from a pause until somebody resumes."""
    ours = [deed for deed in deeds if deed.campaign_id == campaign_id]
    resumes = [deed for deed in ours if deed.action == "resume"]
    spans = []
    for deed in ours:
        if deed.action == "cancel":
            spans.append((deed.answered_at, float("inf")))
        elif deed.action == "pause":
            at = deed.answered_at
            if not any(one.begun_at < at < one.answered_at or deed.begun_at < one.answered_at < at for one in resumes):
                spans.append((at, min((one.begun_at for one in resumes if one.begun_at > at), default=float("inf"))))
    return spans


async def test_nothing_starts_after_the_answer_to_pause_or_cancel(make_stage: MakeStage, record: Record) -> None:
    stage = await make_stage(message_delay=0.15)
    late = await run(stage)
    verdict = await stage.judge()
    record(seed=SEED, late=len(late), **verdict.record)
    assert late == []
    assert verdict.perfect, f"seed {SEED}: {verdict.report()}"


async def test_if_nothing_were_taken_back_sends_would_start_after_the_answer(make_stage: MakeStage) -> None:
    """The control."""
    stage = await make_stage(message_delay=0.15)
    assert await run(stage, take_nothing_back)
