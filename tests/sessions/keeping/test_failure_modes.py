"""Every way in which a WAHA is known to fail its clients, by name, and what becomes of it here.

Each is a test of its own, against the simulator, in virtual time; what is told in detail elsewhere is told here in
one breath, so that nobody has to look for it.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from campaigns.sending.models import MessageState
from campaigns.sending.pacing import Delays
from campaigns.sending.schemas import SendRequest
from campaigns.sending.tables import campaign, message
from gateway.db import AnyRow
from gateway.simulator.event_faults import EventFaults
from gateway.simulator.faults import parse_faults
from gateway.simulator.stored import SessionStore, Status
from sessions.models import SessionState
from tests.harness.world import FINAL, OPEN_CALLER, recipient_numbers, sender_number
from tests.sessions.keeping.conftest import HOUR, MINUTE, KeeperWorld, MakeKeeper

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(60)]

ALICE, BERT, CARA, DORA = (sender_number(index) for index in range(4))


async def submit(world: KeeperWorld, count: int, *senders: str) -> str:
    """Have these senders (Alice unless told) send one text to so many people, with two seconds between any two."""
    first, *others = senders or (ALICE,)
    request = SendRequest.model_validate(
        {
            "sender_number": f"+{first}",
            "sender_numbers": [f"+{number}" for number in others],
            "template": "hello",
            "recipients": [f"+{one}" for one in recipient_numbers(count)],
        }
    )
    answer = await world.gateway.campaigns.submit(OPEN_CALLER, request, None)
    return str(answer["campaign"]["id"])


async def begin_to_send(world: KeeperWorld) -> None:
    """What the service does when it starts, beside watching its servers."""
    await world.gateway.delays.seed(Delays(2.0, 0.0))
    world.gateway.receipts.start()
    world.gateway.dispatcher.start()


async def messages(world: KeeperWorld) -> Sequence[AnyRow]:
    """All messages, in the order of their recipients."""
    async with world.gateway.db.read() as connection:
        return (await connection.execute(select(message).order_by(message.c.phone))).all()


async def states(world: KeeperWorld) -> Counter[str]:
    """How many messages are in each state."""
    return Counter(row.state for row in await messages(world))


async def finish(world: KeeperWorld, campaign_id: str, within: float = 2 * HOUR) -> str:
    """Let time pass until a campaign has ended; its state."""

    async def ended() -> bool:
        async with world.gateway.db.read() as connection:
            query = select(campaign.c.state).where(campaign.c.id == campaign_id)
            return (await connection.execute(query)).scalar_one() in FINAL

    await world.until(ended, within)
    async with world.gateway.db.read() as connection:
        return str(
            (await connection.execute(select(campaign.c.state).where(campaign.c.id == campaign_id))).scalar_one()
        )


def repeats(world: KeeperWorld) -> list[str]:
    """The recipients whom WhatsApp delivered more than one message to."""
    shown = Counter(one.chat_id for site in world.sites for one in site.waha.ledger.transmissions if one.shown)
    return [chat_id for chat_id, count in shown.items() if count > 1]


# --- sessions that stop working


@pytest.mark.parametrize("version", ["2026.7.1", "2026.5.1"])
async def test_failed_and_start_does_nothing(make_keeper: MakeKeeper, version: str) -> None:
    """FAILED counts as running: `start` is answered well (or, by old versions, with 422), and changes nothing."""
    world = await make_keeper(version=version)
    await world.pair(ALICE)
    await world.grow_up()
    await world.waha.lifecycle.running[ALICE].force(Status.FAILED)
    await world.until_state(ALICE, SessionState.FAILED)
    await world.until_state(ALICE, SessionState.CONNECTED)
    assert world.sites[0].calls(ALICE) == ["create", "restart"]


async def test_failed_again_and_again_asks_for_a_new_pairing(make_keeper: MakeKeeper) -> None:
    """Twice in vain, and the login is gone: a person is asked, and scanning begins with a logout."""
    world = await make_keeper(engine="NOWEB")
    await world.pair(ALICE)
    await world.grow_up()
    world.log_out(ALICE)
    await world.until_state(ALICE, SessionState.EXPIRED)
    assert (await world.row(ALICE)).requires_auth
    tries = len(world.sites[0].calls(ALICE))
    await world.clock.sleep(3 * HOUR)
    assert len(world.sites[0].calls(ALICE)) == tries
    await world.gateway.opening.create(OPEN_CALLER, ALICE)
    await world.scan(ALICE)
    assert "logout" in world.sites[0].calls(ALICE)


async def test_noweb_gives_up_after_repeated_starting(make_keeper: MakeKeeper) -> None:
    """After 60 reconnects in vain NOWEB stays FAILED for good: each such session is restarted, not all at once."""
    world = await make_keeper(engine="NOWEB")
    numbers = [ALICE, BERT, CARA]
    await world.pair(*numbers)
    await world.grow_up()
    world.waha.disconnect(5 * MINUTE, None)
    await world.until(lambda: all(world.waha.lifecycle.running[one].status is Status.FAILED for one in numbers))
    await world.until(lambda: world.working(numbers), within=30 * MINUTE)
    restarts = [call for call in world.waha.lifecycle.journal.calls if call.verb == "restart"]
    moments = sorted(call.started_at for call in restarts)
    assert len(moments) >= 3
    assert all(later - former >= 1.0 for former, later in itertools.pairwise(moments))


async def test_working_but_deaf(make_keeper: MakeKeeper) -> None:
    """WORKING, sends are accepted, and nothing is heard of them: it is probed and restarted once."""
    world = await make_keeper()
    await world.pair(ALICE)
    await world.grow_up()
    await begin_to_send(world)
    world.waha.lifecycle.running[ALICE].deafen(deaf=True, incurable=False)
    campaign_id = await submit(world, 100)
    await world.until(lambda: "restart" in world.sites[0].calls(ALICE))
    assert await finish(world, campaign_id) == "completed"
    assert world.sites[0].calls(ALICE).count("restart") == 1
    assert repeats(world) == []


async def test_working_but_sends_all_fail(make_keeper: MakeKeeper) -> None:
    """WORKING, and every send is refused with 400 until a restart: no message is failed for it."""
    world = await make_keeper()
    await world.pair(ALICE)
    await world.grow_up()
    await begin_to_send(world)
    world.waha.sender.fall_sick(world.waha.lifecycle.running[ALICE], 400)
    campaign_id = await submit(world, 20)
    await world.until(lambda: "restart" in world.sites[0].calls(ALICE))
    assert await finish(world, campaign_id) == "completed"
    assert world.sites[0].calls(ALICE).count("restart") == 1
    assert repeats(world) == []
    assert len(world.waha.ledger.transmissions) == 20


# --- messages


async def test_accepted_but_never_delivered(make_keeper: MakeKeeper) -> None:
    """201 and no receipt, ever: the message stays `sent`, says so after some minutes, and is not sent again."""
    world = await make_keeper(engine="NOWEB")
    await world.pair(ALICE)
    await begin_to_send(world)
    world.waha.sender.faults = parse_faults({"no_receipts": 1.0})
    await finish(world, await submit(world, 3))
    await world.clock.sleep(10 * MINUTE)
    assert await states(world) == {MessageState.SENT: 3}
    assert len(world.waha.ledger.transmissions) == 3
    (first, *_) = await messages(world)
    sent_by = await world.gateway.steering.get(first.campaign_id, None)
    told = await world.gateway.status.message(sent_by, first.id)
    assert "WhatsApp has not said since" in str(told["note"])


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_duplicate_message(make_keeper: MakeKeeper, engine: str) -> None:
    """An answer that was lost is no reason to send again: the message's own id is looked up first."""
    world = await make_keeper(engine=engine)
    await world.pair(ALICE)
    await begin_to_send(world)
    world.waha.sender.faults = parse_faults({"cut_after": 0.3, "error_500_after": 0.3})
    assert await finish(world, await submit(world, 20)) == "completed"
    assert len(world.waha.ledger.transmissions) == 20
    assert repeats(world) == []


# --- events


async def test_duplicate_and_variant_events(make_keeper: MakeKeeper) -> None:
    """Each event twice, out of order, and under the recipient's hidden id too: each message is read once."""
    world = await make_keeper(lid_receipts=True)
    await world.pair(ALICE)
    await begin_to_send(world)
    world.waha.events.faults = EventFaults(repeat=1.0, lid_variant=1.0, reorder_seconds=5.0, foreign_acks=0.5)
    await finish(world, await submit(world, 10))

    async def all_read() -> bool:
        return await states(world) == {MessageState.READ: 10}

    await world.until(all_read)
    async with world.gateway.db.read() as connection:
        row = (await connection.execute(select(campaign))).one()
    assert (row.n_read, row.n_sent, row.n_delivered, row.total) == (10, 0, 0, 10)


async def test_events_are_lost(make_keeper: MakeKeeper) -> None:
    """Nothing is told any more: the sweep finds out what became of the sessions."""
    world = await make_keeper()
    await world.pair(ALICE, BERT)
    await world.grow_up()
    world.waha.events.faults = EventFaults(lose=1.0)
    await world.waha.lifecycle.running[ALICE].force(Status.FAILED)
    await world.until(lambda: world.sites[0].calls(ALICE) == ["create", "restart"], within=MINUTE)
    await world.until_state(ALICE, SessionState.CONNECTED)
    assert [kind for kind, _ in await world.lines(ALICE)].count("session.failed") == 1
    assert (await world.row(BERT)).state == SessionState.CONNECTED


# --- servers


async def test_restart_storm(make_keeper: MakeKeeper) -> None:
    """A server that brings its sessions back one by one gets no further starts from us."""
    world = await make_keeper()
    numbers = [ALICE, BERT, CARA, DORA]
    await world.pair(*numbers)
    await world.grow_up()
    await world.reboot(start_delay_seconds=15.0)
    await world.until(lambda: world.working(numbers))
    assert [world.sites[0].calls(number) for number in numbers] == [["create"]] * 4


async def test_container_restart_leaves_sessions_stopped(make_keeper: MakeKeeper) -> None:
    """What a restarted server has left STOPPED is started, after its time, one session after the other."""
    world = await make_keeper()
    numbers = [ALICE, BERT, CARA]
    await world.pair(*numbers)
    await world.grow_up()
    await world.reboot(keep_sessions_stopped=True)
    await world.until(lambda: world.working(numbers))
    starts = sorted(call.started_at for call in world.waha.lifecycle.journal.calls if call.verb == "start")
    assert len(starts) == 3
    assert all(later - former >= 1.0 for former, later in itertools.pairwise(starts))


async def test_config_gone_after_restart(make_keeper: MakeKeeper) -> None:
    """Old versions forget sessions with their configuration: ours is in our database, and given again."""
    world = await make_keeper(version="2026.5.1")
    await world.pair(ALICE)
    await world.grow_up()
    await world.reboot(forget_config=True)
    await world.until(lambda: world.working([ALICE]))
    config: Any = world.waha.lifecycle.stored[ALICE].config
    assert config["noweb"]["store"]["enabled"] is True
    assert config["metadata"]["number"] == ALICE


async def test_config_that_is_right_is_not_given_again(make_keeper: MakeKeeper) -> None:
    """Giving a configuration restarts the session: only where something of ours is missing."""
    world = await make_keeper()
    await world.pair(ALICE)
    await world.grow_up()
    await world.reboot()
    await world.clock.sleep(HOUR)
    assert world.sites[0].calls(ALICE) == ["create"]


async def test_async_lock_500(make_keeper: MakeKeeper) -> None:
    """WAHA's lock runs out while it goes on working: nothing else is asked of the session until that must be over."""
    world = await make_keeper()
    await world.pair(ALICE)
    await world.grow_up()
    world.waha.sender.faults = parse_faults({"lifecycle_slow": 40.0})
    await world.waha.lifecycle.running[ALICE].force(Status.FAILED)
    await world.until_state(ALICE, SessionState.FAILED)
    await world.until_state(ALICE, SessionState.CONNECTED)
    await world.clock.sleep(5 * MINUTE)
    assert world.sites[0].calls(ALICE) == ["create", "restart"]


async def test_ghost_session(make_keeper: MakeKeeper) -> None:
    """A session that we did not create is reported, and never touched: deleting it would unpair somebody's phone."""
    world = await make_keeper()
    await world.waha.lifecycle.create("somebody", {}, apps=None, start=True)
    await world.clock.sleep(HOUR)
    assert world.gateway.fleet.members[0].ghosts == '["somebody"]'
    assert world.sites[0].calls("somebody") == ["create"]


async def test_delete_of_a_failed_session_crashed_the_service(make_keeper: MakeKeeper) -> None:
    """Versions before 2026.1.1 die of it on GOWS: so a session is stopped before it is removed."""
    world = await make_keeper(version="2025.12.3")
    await world.pair(ALICE)
    await world.waha.lifecycle.running[ALICE].force(Status.FAILED)
    await world.gateway.sessions.delete(ALICE)
    assert world.waha.boot == 1
    assert ALICE not in world.waha.lifecycle.stored
    assert world.sites[0].calls(ALICE)[-2:] == ["stop", "delete"]


async def test_same_credentials_on_two_servers(make_keeper: MakeKeeper) -> None:
    """One login that runs on two servers throws itself out again and again: the stray one is stopped."""
    world = await make_keeper(servers=2, store=SessionStore())
    await world.pair(ALICE)
    await world.grow_up()
    home = (await world.row(ALICE)).server_name
    there, elsewhere = sorted(world.sites, key=lambda site: site.name != home)
    await elsewhere.waha.lifecycle.start(ALICE)
    await world.until(lambda: ALICE not in elsewhere.waha.lifecycle.running)
    await world.until(lambda: there.waha.lifecycle.running[ALICE].status is Status.WORKING, within=HOUR)
    await world.until_state(ALICE, SessionState.CONNECTED)
    assert ALICE not in elsewhere.waha.lifecycle.running


async def test_463_and_timelock(make_keeper: MakeKeeper) -> None:
    """WhatsApp stops new contacts for a while: its word is taken from a refusal or from the session, and obeyed."""
    world = await make_keeper()
    await world.pair(ALICE, BERT)
    await begin_to_send(world)
    stored = world.waha.lifecycle.running[ALICE].stored
    world.waha.limits.lock(stored, 600.0, told=True, enforcement="DEFAULT", lengthen=600.0)

    async def known() -> bool:
        return bool((await world.row(ALICE)).locked_until > world.clock.now())

    await world.until(known, within=MINUTE)  # before anything was tried
    assert await finish(world, await submit(world, 10, ALICE, BERT)) == "completed"
    assert {one.session for one in world.waha.ledger.transmissions} == {BERT}
    assert world.waha.ledger.refusals == []
    await world.clock.sleep(700.0)
    assert not await known()
