"""The operator adds, changes, drains and removes servers: /api/admin/servers, of old /api/admin/workers."""

from typing import Any

import pytest
from sqlalchemy import select

from gateway.auth.models import SenderToken
from gateway.db import table_of
from sessions import history
from sessions.models import Server
from tests.sessions.servers.conftest import MakeFleet
from tests.sessions.servers.fleet_world import KEY, FleetWorld, number_of

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(120)]

ALICE, BERT = number_of(1), number_of(2)
SERVERS = "/api/admin/servers"


def fields(refused: Any) -> list[str]:
    """The fields that a refusal names."""
    return [error["field"] for error in refused["errors"]]


# --- looking


async def test_the_list_tells_places_load_and_sessions_by_state(make_fleet: MakeFleet, database_url: str) -> None:
    world = await make_fleet(3, 4)
    await world.pair(ALICE)  # on waha2, which has more room
    await world.call("POST", "/api/sessions", {"phone_number": BERT})
    listed = await world.call("GET", SERVERS)
    assert (listed["total"], [item["name"] for item in listed["items"]]) == (2, ["waha1", "waha2"])
    first, second = listed["items"]
    assert (first["sessions"], first["free"], first["load"]) == (1, 2, 0.3333)
    assert (second["sessions"], second["free"], second["load"]) == (1, 3, 0.25)
    assert second["sessions_by_state"] == {"CONNECTED": 1}
    older = await world.call("GET", "/api/admin/workers")
    assert [item["sessions"] for item in older["items"]] == [1, 1]
    assert (await world.call("GET", f"{SERVERS}?per_page=1&page=2"))["items"][0]["name"] == "waha2"


async def test_a_key_is_never_told(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    answers = [
        await world.call("GET", SERVERS),
        await world.server(),
        await world.call("PATCH", f"{SERVERS}/waha1", {"api_key": KEY}),
    ]
    assert KEY not in str(answers)


async def test_a_server_that_is_not_there_is_404(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"capacity": 1}),
        ("POST", "/drain", None),
        ("POST", "/undrain", None),
        ("DELETE", "", None),
    ):
        await world.call(method, f"{SERVERS}/nobody{path}", body, status=404)


# --- adding


async def test_a_server_that_is_added_takes_sessions_at_once_on_every_replica(
    make_fleet: MakeFleet, postgres_url: str
) -> None:
    world = await make_fleet(1, replicas=2)
    await world.pair(ALICE)
    waha = world.simulate("waha2")
    world.wahas.append(waha)
    body = {"name": "waha2", "url": f"{waha.url}/", "api_key": KEY, "capacity": 2}
    added = await world.call("POST", SERVERS, body, status=201)
    assert (added["url"], added["capacity"], added["engine"]) == (waha.url, 2, "GOWS")
    # the other replica has not looked at the table since
    created = await world.replicas[1].call("POST", "/api/sessions", {"phone_number": BERT}, status=201)
    assert created["server"] == "waha2"
    await world.scan(BERT)


async def test_a_name_or_an_address_that_is_there_already_is_409(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    usual = {"url": "http://other.test", "check": False}
    refused = await world.call("POST", SERVERS, {"name": "waha1", **usual}, status=409)
    assert fields(refused) == ["name"]
    refused = await world.call("POST", SERVERS, {"name": "other", **usual, "url": "http://waha1.test/"}, status=409)
    assert fields(refused) == ["url"]
    assert len((await world.call("GET", SERVERS))["items"]) == 1


async def test_what_does_not_answer_as_a_waha_is_not_added_unless_it_is_not_checked(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    waha = world.simulate("waha2", api_key="another")
    body = {"name": "waha2", "url": waha.url, "api_key": KEY}
    refused = await world.call("POST", SERVERS, body, status=502)
    assert fields(refused) == ["api_key"]
    assert KEY not in str(refused)
    refused = await world.call("POST", SERVERS, body | {"url": "http://nobody.test"}, status=502)
    assert fields(refused) == ["url"]
    waha.way.hangs = True
    refused = await world.call("POST", SERVERS, body, status=502)
    assert "no answer in time" in refused["detail"]
    assert len((await world.call("GET", SERVERS))["items"]) == 1
    assert (await world.call("POST", SERVERS, body | {"check": False}, status=201))["engine"] == ""
    await world.until_up("waha2", up=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "ftp://waha2.test"),
        ("url", "http://user:secret@waha2.test"),
        ("url", "http://waha2.test?x=1"),
        ("url", "waha2.test"),
        ("url", "http://[::1"),
        ("name", "two words"),
        ("name", "../etc"),
        ("name", ".."),
        ("name", ""),
        ("capacity", 0),
        ("capacity", "many"),
        ("capacity", True),
        ("api_key", "not\nprintable"),
        ("api_key", "clé"),
        ("surprise", 1),
    ],
)
async def test_a_server_that_makes_no_sense_is_422(make_fleet: MakeFleet, field: str, value: Any) -> None:
    world = await make_fleet()
    body = {"name": "waha2", "url": "http://waha2.test", "check": False}
    refused = await world.call("POST", SERVERS, body | {field: value}, status=422)
    assert fields(refused) == [field]


# --- changing


async def test_a_change_names_what_to_change(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    await world.call("PATCH", f"{SERVERS}/waha1", {}, status=422)
    assert fields(await world.call("PATCH", f"{SERVERS}/waha1", {"name": "other"}, status=422)) == ["name"]


async def test_a_key_that_the_server_does_not_take_is_not_stored(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    refused = await world.call("PATCH", f"{SERVERS}/waha1", {"api_key": "wrong"}, status=502)
    assert fields(refused) == ["api_key"]
    await world.pass_time(60)
    assert (await world.server())["up"] is True


async def test_another_address_must_have_the_sessions_of_the_server(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    await world.pair(ALICE, BERT)
    empty = world.simulate("empty")
    refused = await world.call("PATCH", f"{SERVERS}/waha1", {"url": empty.url}, status=409)
    assert "2 of the 2 sessions of waha1 are not there" in refused["detail"]
    refused = await world.call("PATCH", f"{SERVERS}/waha1", {"url": empty.url, "check": False}, status=409)
    assert "were not looked for" in refused["detail"]
    same = world.simulate("same", store=world.wahas[0].server.store)
    assert (await world.call("PATCH", f"{SERVERS}/waha1", {"url": same.url}))["url"] == same.url
    forced = await world.call("PATCH", f"{SERVERS}/waha1", {"url": empty.url, "force": True})
    assert forced["url"] == empty.url


async def test_another_address_is_watched_at_once(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    await world.until_up()
    other = world.simulate("other", engine="NOWEB")
    await world.call("PATCH", f"{SERVERS}/waha1", {"url": other.url})
    await world.until(lambda: len(other.way.asked_at) > 5, within=5)
    begin = len(world.wahas[0].way.asked_at)
    await world.pass_time(30)
    assert len(world.wahas[0].way.asked_at) == begin
    assert (await world.server())["engine"] == "NOWEB"


async def test_less_capacity_than_sessions_only_stops_new_ones(make_fleet: MakeFleet) -> None:
    world = await make_fleet(5)
    await world.pair(ALICE, BERT)
    told = await world.call("PATCH", f"{SERVERS}/waha1", {"capacity": 1})
    assert (told["sessions"], told["free"], told["load"]) == (2, 0, 1.0)
    refused = await world.call("POST", "/api/sessions", {"phone_number": number_of(3)}, status=503)
    assert refused["error_code"] == "NO_CAPACITY"
    assert (await world.session(ALICE))["status"] == "CONNECTED"


async def test_a_draining_server_keeps_its_sessions_and_gets_no_new_ones(
    make_fleet: MakeFleet, database_url: str
) -> None:
    world = await make_fleet(5)
    await world.pair(ALICE)
    assert (await world.call("POST", f"{SERVERS}/waha1/drain"))["draining"] is True
    refused = await world.call("POST", "/api/sessions", {"phone_number": BERT}, status=503)
    assert refused["error_code"] == "NO_CAPACITY"
    await world.finish(await world.submit([ALICE], 3))
    assert world.wahas[0].sent == 3
    assert (await world.call("POST", f"{SERVERS}/waha1/undrain"))["draining"] is False
    await world.pair(BERT)


# --- removing


async def test_a_server_with_sessions_is_not_removed_and_how_many_it_has_is_told(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    await world.pair(ALICE, BERT)
    refused = await world.call("DELETE", f"{SERVERS}/waha1", status=409)
    assert "waha1 has 2 sessions" in refused["detail"]
    assert (await world.server())["sessions"] == 2


async def test_a_server_without_sessions_is_forgotten_and_asked_no_more(
    make_fleet: MakeFleet, database_url: str
) -> None:
    world = await make_fleet(100, 100)
    await world.until_up("waha1")
    await world.call("DELETE", "/api/admin/workers/waha1")
    await world.pass_time(1)
    begin = len(world.wahas[0].way.asked_at)
    await world.pass_time(60)
    assert len(world.wahas[0].way.asked_at) == begin
    await world.call("GET", f"{SERVERS}/waha1", status=404)


async def test_by_force_its_sessions_are_forgotten_here_and_their_messages_wait(
    make_fleet: MakeFleet, database_url: str
) -> None:
    world = await make_fleet()
    await world.pair(ALICE)
    campaign_id = await world.submit([ALICE], 20)
    await world.until(lambda: world.wahas[0].sent >= 5)
    sender_id = await sender_of(world)
    removed = await world.call("DELETE", f"{SERVERS}/waha1?force=true")
    assert removed["forgotten"] == [ALICE]
    await world.call("GET", f"/api/sessions/{ALICE}", status=404)
    await world.pass_time(120)
    # WAHA was not asked to do anything, and nothing of the campaign has failed
    assert world.wahas[0].status(ALICE) == "WORKING"
    assert "delete" not in world.wahas[0].verbs(ALICE)
    states = [row.state for row in await world.messages(campaign_id)]
    assert "failed" not in states
    assert states.count("queued") >= 14
    status = await world.call("GET", f"/api/status/{campaign_id}")
    assert [wait["reason"] for wait in status["waiting"]] == ["session_not_connected"]
    async with world.db.read() as connection:
        lines, _ = await history.page(connection, sender_id, 0, 10)
        tokens = (await connection.execute(select(table_of(SenderToken)))).all()
        assert (await connection.execute(select(table_of(Server)))).all() == []
    assert lines[0].kind == "session.forgotten"
    assert "waha1 was removed" in lines[0].reason
    assert tokens == []


async def sender_of(world: FleetWorld) -> int:
    """The id of the only sender with a session."""
    row = await world.replicas[0].gateway.sessions.get(ALICE[1:])
    return int(row.sender_id)
