"""Fault 18: campaigns of very many recipients, beside which a small one wants its turn."""

import time
from pathlib import Path
from typing import Any

import pytest

from bench.numbers import recipient_number
from tests.conftest import Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.checker import Submitted
from tests.faults.harness.stage import Stage
from tests.faults.harness.waiting import last, until

ACCEPT_SECONDS = 10.0
FIRST_SEND_SECONDS = 5.0
MEMORY_MB = 400


async def accept(stage: Stage, recipients: int, number: int) -> tuple[Submitted, float]:
    """Submit one huge campaign, and the seconds until it was accepted."""
    body: dict[str, Any] = {
        "sender_number": f"+{stage.senders[0]}",
        "sender_numbers": [f"+{one}" for one in stage.senders[1:]],
        "template": f"huge {number}",
        "recipients": [f"+{recipient_number(index)}" for index in range(recipients)],
    }
    begun = time.monotonic()
    answer = await stage.gateway.http.post("/api/send", json=body, timeout=120)
    took = time.monotonic() - begun
    assert answer.status_code == 201, answer.text
    phones = tuple(number.removeprefix("+") for number in body["recipients"])
    told = Submitted(answer.json()["campaign_id"], str(body["template"]), tuple(stage.senders), phones)
    stage.submitted.append(told)
    return told, took


def peak_memory_mb(pid: int) -> float:
    """The most memory that a process has held."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


async def run_huge(stage: Stage, record: Record, campaigns: int, recipients: int) -> float:
    """All of it; gives the seconds until a small campaign, submitted last, sent its first message."""
    await stage.serve()
    await stage.connect(4)
    accepted = [await accept(stage, recipients, number) for number in range(campaigns)]
    await stage.until_sent(4)
    small = await stage.submit(4)
    begun = time.time()
    await until(lambda: any(one.text == small.text for one in stage.ledger.transmissions), within=120.0)
    first = time.time() - begun
    for told, _ in accepted:
        await stage.gateway.post(f"/api/campaigns/{told.campaign_id}/cancel")
    cancelled_at = time.time()
    await last(1.0)
    huge, rows = {told.campaign_id for told, _ in accepted}, await stage.rows()
    late = sum(at > cancelled_at and rows[key].campaign_id in huge for at, key in stage.starts)
    await stage.finish()
    verdict = await stage.judge()
    memory = peak_memory_mb(stage.gateway.pid)
    slowest = max(seconds for _, seconds in accepted)
    told_of = {"accepted": slowest, "first_send": first, "peak_mb": memory, "late": late}
    record(campaigns=campaigns, recipients=recipients, **told_of, **verdict.record)
    assert late == 0
    assert verdict.clean, verdict.report()
    assert verdict.doubtful == []
    assert slowest <= ACCEPT_SECONDS
    assert memory <= MEMORY_MB
    return first


@pytest.mark.alone
async def test_a_small_campaign_gets_its_turn_beside_a_large_one(make_stage: MakeStage, record: Record) -> None:
    assert await run_huge(await make_stage(message_delay=0.02), record, 1, 5_000) <= FIRST_SEND_SECONDS


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_small_campaign_gets_its_turn_beside_a_million_recipients(
    make_stage: MakeStage, record: Record
) -> None:
    """In 13 campaigns: there are not enough numbers of fiction for a single one."""
    assert await run_huge(await make_stage(message_delay=0.02), record, 13, 80_000) <= FIRST_SEND_SECONDS


async def test_if_campaigns_were_served_in_the_order_of_their_submission_a_small_one_would_wait(
    make_stage: MakeStage, record: Record
) -> None:
    """The control: the same, where the large one is urgent, so that it goes first."""
    stage = await make_stage(message_delay=0.02)
    await stage.serve()
    await stage.connect(1)
    large = await stage.submit(60, priority="urgent")
    small = await stage.submit(2)
    await stage.finish(small)
    texts = [one.text for one in stage.ledger.transmissions]
    assert texts.index(small.text) >= texts.count(large.text)
