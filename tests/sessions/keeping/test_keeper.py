"""The keeper before simulated servers, in virtual time: what it does, what it leaves alone, and what it tells."""

import itertools

import pytest

from campaigns.sending.pacing import Delays
from campaigns.sending.schemas import SendRequest
from gateway.errors import Conflict
from gateway.events import SessionSuspected
from gateway.simulator.faults import parse_faults
from gateway.simulator.stored import Status
from gateway.waha.schemas import SessionInfo
from sessions.keeping.decisions import ATTEMPTS, HEALTHY_SECONDS
from sessions.models import Desired, SessionState
from sessions.queries import change
from tests.harness.world import OPEN_CALLER, recipient_numbers, sender_number
from tests.sessions.keeping.conftest import DAY, HOUR, MINUTE, KeeperWorld, MakeKeeper

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(120)]

ENGINES = ("GOWS", "NOWEB", "WEBJS")
ALICE, BERT, CARA, DORA = (sender_number(index) for index in range(4))


async def wish(world: KeeperWorld, number: str, **values: object) -> None:
    """Write something into a session's row, as a process that died right after it would have left it."""
    row = await world.row(number)
    async with world.gateway.db.write() as tx:
        await change(tx, row.sender_id, **values)


# --- a login that is gone


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_phone_that_logs_out_is_told_after_few_attempts_and_may_scan_again(
    make_keeper: MakeKeeper, engine: str
) -> None:
    world = await make_keeper(engine=engine)
    await world.pair(ALICE)
    await world.grow_up()
    world.log_out(ALICE)
    await world.until_state(ALICE, SessionState.EXPIRED)
    row = await world.row(ALICE)
    assert row.requires_auth
    assert "scan again" in row.reason
    await world.clock.sleep(30 * MINUTE)
    assert (await world.row(ALICE)).state == SessionState.EXPIRED
    assert len(world.sites[0].calls(ALICE)) <= 3  # its creation, and two restarts at most
    await world.gateway.opening.create(OPEN_CALLER, ALICE)
    await world.scan(ALICE)
    assert not (await world.row(ALICE)).requires_auth


# --- WhatsApp is away


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_outage_of_whatsapp_is_survived_without_anybody_asked_for_a_phone(
    make_keeper: MakeKeeper, engine: str
) -> None:
    world = await make_keeper(engine=engine)
    numbers = [ALICE, BERT, CARA]
    await world.pair(*numbers)
    await world.grow_up()
    world.waha.disconnect(10 * MINUTE, None)
    await world.until(lambda: not world.working(numbers))
    await world.until(lambda: world.working(numbers), within=30 * MINUTE)
    for number in numbers:
        row = await world.row(number)
        assert not row.requires_auth
        restarts = world.sites[0].calls(number).count("restart")
        assert restarts <= (4 if engine == "NOWEB" else 1)
        await world.until_state(number, SessionState.CONNECTED)
    await world.clock.sleep(HEALTHY_SECONDS + MINUTE)
    assert [(await world.row(number)).repairs for number in numbers] == [0, 0, 0]


async def test_an_outage_of_hours_uses_up_nobodys_attempts(make_keeper: MakeKeeper) -> None:
    world = await make_keeper(engine="NOWEB", sweep_seconds=120)
    numbers = [ALICE, BERT]
    await world.pair(*numbers)
    await world.grow_up()
    world.waha.disconnect(6 * HOUR, None)
    await world.clock.sleep(6 * HOUR)
    assert len(world.sites[0].calls(ALICE)) > ATTEMPTS
    await world.until(lambda: world.working(numbers), within=HOUR, every=MINUTE)
    assert len(world.sites[0].calls(ALICE)) < 2 * ATTEMPTS
    assert not (await world.row(ALICE)).requires_auth


async def test_one_session_that_never_works_again_is_given_up_after_some_hours(make_keeper: MakeKeeper) -> None:
    world = await make_keeper(engine="NOWEB", sweep_seconds=120)
    await world.pair(ALICE, BERT)
    await world.grow_up()
    world.waha.disconnect(30 * DAY, [ALICE])

    async def given_up() -> bool:
        return bool((await world.row(ALICE)).requires_auth)

    started = world.clock.now()
    await world.until(given_up, within=12 * HOUR, every=5 * MINUTE)
    assert world.clock.now() - started > 3 * HOUR
    row = await world.row(ALICE)
    assert row.state == SessionState.FAILED
    assert "12 attempts in vain" in row.reason
    assert (await world.done(ALICE))[-1] == "gave_up"
    calls = len(world.sites[0].calls(ALICE))
    await world.clock.sleep(3 * HOUR)
    assert len(world.sites[0].calls(ALICE)) == calls


# --- servers that restart


async def test_a_server_that_brings_its_sessions_back_is_left_alone(make_keeper: MakeKeeper) -> None:
    world = await make_keeper()
    numbers = [ALICE, BERT, CARA, DORA]
    await world.pair(*numbers)
    await world.grow_up()
    await world.reboot(start_delay_seconds=20.0)
    await world.clock.sleep(10 * MINUTE)
    assert world.working(numbers)
    assert [world.sites[0].calls(number) for number in numbers] == [["create"]] * 4


@pytest.mark.parametrize(
    "plan", [{"hang_session": ALICE}, {"keep_sessions_stopped": True}], ids=["one hangs", "all stay stopped"]
)
async def test_sessions_that_a_server_leaves_stopped_are_started_one_after_the_other(
    make_keeper: MakeKeeper, plan: dict[str, object]
) -> None:
    world = await make_keeper(version="2026.7.1")
    numbers = [ALICE, BERT, CARA, DORA]
    await world.pair(*numbers)
    await world.grow_up()
    await world.reboot(**plan)
    back_at = world.clock.now() - 1_800_000_000.0 + 30.0
    await world.until(lambda: world.working(numbers))
    starts = [call for call in world.waha.lifecycle.journal.calls if call.verb in ("start", "restart")]
    assert {call.session for call in starts} >= {BERT, CARA, DORA}
    assert min(call.started_at for call in starts) >= back_at + 120.0
    moments = sorted(call.started_at for call in starts)
    assert all(later - former >= 1.0 for former, later in itertools.pairwise(moments))
    assert "started" in await world.done(DORA)


async def test_sessions_that_an_old_server_has_forgotten_are_created_again_with_their_configuration(
    make_keeper: MakeKeeper,
) -> None:
    world = await make_keeper(version="2026.5.1")
    await world.pair(ALICE, BERT)
    await world.grow_up()
    await world.reboot(forget_config=True)
    await world.until(lambda: world.working([ALICE, BERT]))
    assert world.waha.lifecycle.stored[ALICE].config["metadata"]["number"] == ALICE
    await world.until_state(ALICE, SessionState.CONNECTED)
    assert "recreated" in await world.done(ALICE)


async def test_sessions_whose_login_was_lost_too_ask_for_a_scan(make_keeper: MakeKeeper) -> None:
    world = await make_keeper()
    await world.pair(ALICE)
    await world.grow_up()
    await world.reboot(forget_config=True, forget_logins=True)
    await world.until_state(ALICE, SessionState.EXPIRED)
    assert (await world.row(ALICE)).requires_auth


# --- configuration


async def test_lost_configuration_is_given_again_once_a_day(make_keeper: MakeKeeper) -> None:
    world = await make_keeper(sweep_seconds=120)
    await world.pair(ALICE)
    await world.grow_up()
    stored = world.waha.lifecycle.stored[ALICE]
    ours = dict(stored.config)
    stored.config = {"proxy": {"server": "proxy.test:3128"}}
    await world.until(lambda: stored.config.get("metadata") == ours["metadata"])
    assert stored.config["proxy"] == {"server": "proxy.test:3128"}
    await world.until_state(ALICE, SessionState.CONNECTED)
    assert await world.done(ALICE) == ["reconfigured"]
    stored.config = {}
    await world.clock.sleep(23 * HOUR)
    assert world.sites[0].calls(ALICE).count("update") == 1
    await world.until(lambda: "metadata" in stored.config, within=2 * HOUR)


# --- what is wanted


async def test_what_should_be_stopped_and_runs_is_stopped(make_keeper: MakeKeeper) -> None:
    world = await make_keeper()
    await world.pair(ALICE)
    await wish(world, ALICE, desired=Desired.STOPPED)
    await world.until_state(ALICE, SessionState.STOPPED)
    assert ALICE not in world.waha.lifecycle.running
    assert await world.done(ALICE) == ["stopped"]


async def test_a_removal_is_finished_also_when_its_server_was_away_for_long(make_keeper: MakeKeeper) -> None:
    world = await make_keeper()
    await world.pair(ALICE)
    world.waha.sender.faults = parse_faults({"down": True})
    await world.clock.sleep(MINUTE)
    await wish(world, ALICE, desired=Desired.DELETED)
    with pytest.raises(Conflict, match="being removed"):
        await world.gateway.sessions.start(ALICE)
    await world.clock.sleep(HOUR)
    assert not await world.is_gone(ALICE)
    world.waha.sender.faults = parse_faults({})
    await world.until(lambda: world.is_gone(ALICE))
    assert ALICE not in world.waha.lifecycle.stored


async def test_sessions_of_others_are_reported_and_left_alone(make_keeper: MakeKeeper) -> None:
    world = await make_keeper()
    ours = {"metadata": {"managed_by": "waha-gateway", "number": BERT}}
    await world.waha.lifecycle.create("somebody", {}, apps=None, start=True)
    await world.waha.lifecycle.create(BERT, ours, apps=None, start=True)
    await world.clock.sleep(HOUR)
    assert world.gateway.fleet.members[0].ghosts == f'["{BERT}","somebody"]'
    assert [call.verb for call in world.waha.lifecycle.journal.calls] == ["create", "create"]


async def test_a_session_that_runs_where_it_does_not_live_is_stopped_there(make_keeper: MakeKeeper) -> None:
    world = await make_keeper(servers=2)
    await world.pair(ALICE)
    home = (await world.row(ALICE)).server_name
    there, elsewhere = sorted(world.sites, key=lambda site: site.name != home)
    config = there.waha.lifecycle.stored[ALICE].config
    await elsewhere.waha.lifecycle.create(ALICE, config, apps=None, start=True)
    await world.until(lambda: ALICE not in elsewhere.waha.lifecycle.running)
    assert elsewhere.calls(ALICE) == ["create", "stop"]
    assert ALICE in there.waha.lifecycle.running
    assert there.calls(ALICE) == ["create"]
    assert ("keeper.stopped", f"it ran on {elsewhere.name} too, and lives on {there.name}") in await world.lines(ALICE)


# --- pairing


async def test_a_pairing_that_ran_out_is_not_begun_again(make_keeper: MakeKeeper) -> None:
    world = await make_keeper()
    await world.gateway.opening.create(OPEN_CALLER, ALICE)
    await world.until_state(ALICE, SessionState.FAILED)
    row = await world.row(ALICE)
    assert (row.requires_auth, row.reason) == (True, "the QR codes ran out; ask for a new one")
    await world.clock.sleep(HOUR)
    assert world.sites[0].calls(ALICE) == ["create"]


# --- ill, although WAHA says WORKING


async def test_a_sick_session_is_restarted_once_an_hour(make_keeper: MakeKeeper) -> None:
    world = await make_keeper()
    await world.pair(ALICE)
    row = await world.row(ALICE)
    suspected = SessionSuspected(row.sender_id, "its sends fail one after the other")
    for _ in range(3):
        world.gateway.bus.publish(suspected)
        await world.clock.sleep(5 * MINUTE)
    assert world.sites[0].calls(ALICE).count("restart") == 1
    kinds = dict(await world.lines(ALICE))
    assert "WhatsApp answers well" in kinds["session.sick"]
    assert kinds["keeper.restarted"] == "its sends fail one after the other"
    await world.clock.sleep(HOUR)
    world.gateway.bus.publish(suspected)
    await world.until(lambda: world.sites[0].calls(ALICE).count("restart") == 2)


# --- WAHA itself


async def test_a_call_that_waha_does_not_finish_in_time_is_not_repeated_while_it_may_be_at_work(
    make_keeper: MakeKeeper,
) -> None:
    world = await make_keeper()
    await world.pair(ALICE)
    await world.grow_up()
    world.waha.sender.faults = parse_faults({"lifecycle_slow": 45.0})
    await world.waha.lifecycle.running[ALICE].force(Status.FAILED)
    await world.until_state(ALICE, SessionState.FAILED)
    await world.until_state(ALICE, SessionState.CONNECTED)
    await world.clock.sleep(5 * MINUTE)
    assert world.sites[0].calls(ALICE) == ["create", "restart"]
    (failure,) = [reason for kind, reason in await world.lines(ALICE) if kind == "keeper.failed"]
    assert "Maximum execution time" in failure


async def test_an_answer_of_waha_that_an_event_has_outrun_is_not_acted_upon(
    make_keeper: MakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_keeper()
    await world.pair(ALICE)
    await world.grow_up()
    client, lifecycle = world.gateway.fleet.members[0].client, world.waha.lifecycle
    list_sessions = client.list_sessions

    async def outrun(*, all: bool = True) -> list[SessionInfo]:
        monkeypatch.setattr(client, "list_sessions", list_sessions)
        await lifecycle.running[ALICE].force(Status.STARTING)
        await world.until_state(ALICE, SessionState.STARTING)
        world.waha.store.logins[ALICE] = lifecycle.stored.pop(ALICE)
        return []

    monkeypatch.setattr(client, "list_sessions", outrun)
    await world.clock.sleep(5 * MINUTE)
    kinds = [kind for kind, _ in await world.lines(ALICE)]
    assert kinds.index("session.failed") < kinds.index("keeper.recreated")


async def test_two_processes_that_want_to_help_one_session_call_waha_once(make_keeper: MakeKeeper) -> None:
    world = await make_keeper()
    await world.pair(ALICE)
    await world.grow_up()
    await world.waha.lifecycle.running[ALICE].force(Status.FAILED)
    row = await world.row(ALICE)
    start = world.gateway.sessions.start(ALICE)
    suspect = SessionSuspected(row.sender_id, "its sends fail one after the other")
    world.gateway.bus.publish(suspect)
    await start
    await world.until_state(ALICE, SessionState.CONNECTED)
    await world.clock.sleep(MINUTE)
    assert world.sites[0].calls(ALICE).count("restart") == 1


# --- deaf


async def send(world: KeeperWorld, count: int) -> None:
    """Have Alice send a campaign, one message each two seconds."""
    request = SendRequest.model_validate(
        {
            "sender_number": f"+{ALICE}",
            "template": "hello",
            "recipients": [f"+{one}" for one in recipient_numbers(count)],
        }
    )
    await world.gateway.campaigns.submit(OPEN_CALLER, request, None)


async def seed_and_send(world: KeeperWorld, count: int) -> None:
    """Begin to send, as the service does when it starts."""
    await world.gateway.delays.seed(Delays(2.0, 0.0))
    world.gateway.receipts.start()
    world.gateway.dispatcher.start()
    await send(world, count)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_deaf_session_is_probed_restarted_once_and_hears_again(make_keeper: MakeKeeper, engine: str) -> None:
    world = await make_keeper(engine=engine)
    await world.pair(ALICE)
    await world.grow_up()
    world.waha.lifecycle.running[ALICE].deafen(deaf=True, incurable=False)
    await seed_and_send(world, 200)
    await world.until(lambda: "restart" in world.sites[0].calls(ALICE))
    await world.until_state(ALICE, SessionState.CONNECTED)
    await world.clock.sleep(5 * MINUTE)
    assert world.sites[0].calls(ALICE).count("restart") == 1
    lines = dict(await world.lines(ALICE))
    assert "sends were accepted, and for" in lines["session.deaf"]
    assert "WhatsApp answers well" in lines["session.deaf"]
    assert (await world.row(ALICE)).deaf_at is not None


async def test_a_session_that_stays_deaf_is_told_about_and_not_restarted_again(make_keeper: MakeKeeper) -> None:
    world = await make_keeper()
    await world.pair(ALICE)
    await world.grow_up()
    world.waha.lifecycle.running[ALICE].deafen(deaf=True, incurable=True)
    await seed_and_send(world, 400)
    await world.clock.sleep(15 * MINUTE)
    assert world.sites[0].calls(ALICE).count("restart") == 1
    assert [kind for kind, _ in await world.lines(ALICE)].count("session.deaf") == 1


async def test_a_session_that_hears_is_not_suspected_nor_one_while_the_stream_is_away(
    make_keeper: MakeKeeper,
) -> None:
    world = await make_keeper()
    await world.pair(ALICE)
    await world.grow_up()
    await seed_and_send(world, 300)
    await world.clock.sleep(3 * MINUTE)
    world.waha.receipts.enabled = False
    for _ in range(8):
        world.waha.events.disconnect_all()
        await world.clock.sleep(20.0)
    await world.clock.sleep(3 * MINUTE)
    assert world.sites[0].calls(ALICE) == ["create"]
