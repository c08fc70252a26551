"""Faults 5, 8 and 9: the network between the gateway and its WAHA servers loses answers, freezes, and is gone.

What each broken connection is read as is in `tests/waha/test_sockets.py`; that an uncertain message is looked up, held
and sent again only when it is absent is in `tests/campaigns/sending/test_faults.py`, in virtual time.
"""

import time
from collections.abc import Sequence
from itertools import pairwise

import pytest

from gateway.waha.errors import WahaConnectionLost
from tests.conftest import MakeWorld, Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.failpoints import send_one_at_a_time, wait_for_ever
from tests.faults.harness.runner import Preparation
from tests.faults.harness.stage import Stage
from tests.faults.harness.waiting import last, until
from tests.harness.ledger import duplicated

SEND = b"POST /api/send"
LOOK_SECONDS = 1.0
"""How often an uncertain message is looked for, at most."""


@pytest.mark.alone
async def test_answers_that_are_lost_are_found_out_by_looking(make_stage: MakeStage, record: Record) -> None:
    stage = await make_stage()
    await stage.serve()
    await stage.connect(2)
    proxy = stage.wahas[0].proxy
    stage.wahas[0].tell_nothing()
    proxy.cut_response(6, only=SEND)
    await stage.submit(30)
    await stage.finish()
    rows, taken = await stage.rows(), {one.id: one for one in stage.ledger.transmissions}
    looked_up = {sight.id for sight in stage.sights if not sight.is_send}
    settled = max(rows[key].sent_at - one.time for key, one in taken.items())
    verdict = await stage.judge()
    record(cut=proxy.cuts, looked_up=len(looked_up), slowest_settled=settled, **verdict.record)
    assert proxy.cuts == len(looked_up) == 6
    assert verdict.perfect, verdict.report()
    assert len(stage.sends) == 30
    assert settled <= 3.0


@pytest.mark.alone
@pytest.mark.parametrize("fault", ["hang_then_deliver", "hang_before"])
async def test_a_hung_send_goes_out_once_and_holds_up_its_lane_no_longer_than_the_hold(
    make_stage: MakeStage, record: Record, fault: str
) -> None:
    """The control is in `tests/campaigns/sending/test_faults.py`: without the hold what comes late goes out twice."""
    stage = await make_stage(timeout_seconds=0.5, hold_seconds=2.0)
    await stage.serve()
    await stage.connect(2)
    hung, other = stage.senders
    stage.wahas[0].tell_nothing()
    stage.wahas[0].faults(session=hung, next=["none", fault], hang_seconds=1.2)
    await stage.submit(20)
    await stage.finish()
    stalls = {number: max(distances(stage, number)) for number in stage.senders}
    verdict = await stage.judge()
    record(fault=fault, stall=stalls[hung], longest_gap_elsewhere=stalls[other], **verdict.record)
    assert verdict.perfect, verdict.report()
    assert len(stage.sends) == 20 + (fault == "hang_before")
    assert (1.0 if fault == "hang_then_deliver" else 2.0) < stalls[hung] <= 2.0 + LOOK_SECONDS
    assert stalls[other] < 1.0


def distances(stage: Stage, session: str) -> list[float]:
    """Seconds between the sends of one session, as they came to WAHA's door."""
    return [after - before for before, after in pairwise(one.at for one in stage.sends if one.session == session)]


@pytest.mark.virtual_time
@pytest.mark.parametrize("believed", [False, True])
async def test_a_lost_connection_taken_for_not_sent_sends_twice(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, believed: bool
) -> None:
    """The control of the reading of errors: believed to be not sent, it goes again at once."""
    if believed:
        monkeypatch.setattr(WahaConnectionLost, "surely_not_sent", True)
    world = await make_world(1, message_delay=0.5, hold_seconds=3)
    world.hears = False
    world.faults(next=["none", "cut_after"])
    await world.finish(await world.submit(3))
    assert bool(duplicated(world.ledger)) is believed


async def half_open(stage: Stage, *preparations: Preparation) -> float:
    """Fault 8: the link freezes without an end while connections are kept; gives seconds until that was noticed."""
    await stage.serve(preparations=preparations)
    await stage.connect(3)
    first = await stage.submit(3)
    await stage.finish(first)  # now there are idle connections
    proxy = stage.wahas[0].proxy
    proxy.freeze()
    frozen_at = time.monotonic()
    await stage.submit(6)

    async def noticed() -> bool:
        answer = await stage.gateway.get(f"/api/status/{stage.submitted[-1].campaign_id}")
        return any(
            wait["reason"] in ("server_down", "unconfirmed", "session_not_connected") for wait in answer["waiting"]
        )

    await until(noticed, within=8.0)
    return time.monotonic() - frozen_at


@pytest.mark.alone
async def test_half_open_connections_are_noticed_and_left_without_a_restart(
    make_stage: MakeStage, record: Record
) -> None:
    stage = await make_stage(hold_seconds=2.5)
    noticed = await half_open(stage)
    proxy = stage.wahas[0].proxy
    proxy.reset()  # what was under way is lost for good
    proxy.thaw()
    thawed_at = time.time()
    await stage.finish()
    verdict = await stage.judge()
    recovery = max(stage.first_signs(thawed_at).values(), default=0.0)
    record(noticed=noticed, recovery=recovery, **verdict.record)
    assert noticed <= stage.dispatch["timeout_seconds"] + 2.0
    assert verdict.perfect, verdict.report()


async def test_without_a_timeout_a_half_open_connection_is_never_noticed(make_stage: MakeStage) -> None:
    """The control."""
    stage = await make_stage(hold_seconds=2.5)
    with pytest.raises(AssertionError, match="did not come true"):
        await half_open(stage, wait_for_ever)


async def lose_a_server(stage: Stage, seconds: float, *preparations: Preparation) -> tuple[float, float]:
    """Fault 9: one server of three freezes for a while, then is back.

    Gives the longest gap of a lane elsewhere meanwhile, and the seconds until all lanes of that server sent again.
    """
    await stage.serve(preparations=preparations)
    await stage.connect(6)
    for number in stage.senders:
        await stage.submit(45, [number])
    await stage.until_sent(30)
    gone = stage.wahas[1]
    theirs = {sight.session for sight in gone.sights}
    begun = time.time()
    gone.proxy.freeze()
    await last(seconds)
    gone.proxy.reset()
    gone.proxy.thaw()
    back_at = time.time()
    await until(lambda: theirs <= set(stage.first_sends(back_at)))
    elsewhere = [number for number in stage.senders if number not in theirs]
    assert len(theirs) == 2
    return max(longest_gap(stage, number, begun, back_at) for number in elsewhere), max(
        stage.first_sends(back_at)[number] for number in theirs
    )


def longest_gap(stage: Stage, session: str, begin: float, end: float) -> float:
    """The longest time without a send of a session's between two times, in seconds."""
    times: Sequence[float] = [
        begin,
        *(sight.at for sight in stage.sends if sight.session == session and begin < sight.at < end),
        end,
    ]
    return max(after - before for before, after in pairwise(times))


@pytest.mark.alone
async def test_a_server_that_is_gone_holds_up_nobody_elsewhere_and_goes_on_when_it_is_back(
    make_stage: MakeStage, record: Record
) -> None:
    stage = await make_stage(servers=3, timeout_seconds=3.0, hold_seconds=4.0)
    gap, resumed = await lose_a_server(stage, 3.5)
    await stage.finish()
    verdict = await stage.judge()
    record(longest_gap_elsewhere=gap, resumed=resumed, **verdict.record)
    assert verdict.perfect, verdict.report()
    assert gap < 1.5
    assert resumed < 15.0


async def test_if_lanes_waited_for_each_other_a_server_that_is_gone_would_hold_them_up(make_stage: MakeStage) -> None:
    """The control."""
    stage = await make_stage(servers=3, timeout_seconds=3.0, hold_seconds=4.0, message_delay=0.0)
    gap, _ = await lose_a_server(stage, 3.5, send_one_at_a_time)
    assert gap >= 1.5
