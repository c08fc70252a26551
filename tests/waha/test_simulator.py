"""The client against the simulated WAHA, on each engine: what it concludes must agree with the ledger."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple, get_args

import httpx
import pytest

from gateway.simulator.app import create_app
from gateway.simulator.config import EngineName, SimulatorConfig
from gateway.simulator.faults import Fault
from gateway.waha.client import WahaClient
from gateway.waha.errors import (
    ContactLimited,
    LookupUnavailable,
    RecipientNotOnWhatsApp,
    SessionAlreadyExists,
    SessionNotFound,
    SessionNotWorking,
    WahaError,
    WahaUnauthorized,
)
from gateway.waha.ids import make_chat_id, make_message_id
from gateway.waha.schemas import MediaKind, WahaStatus

SENDER = "447700900999"
CHAT = make_chat_id("447700900123")
STRANGER = "447700900666"
CONFIG = {"metadata": {"sender": "s1"}, "noweb": {"markOnline": True, "store": {"enabled": True}}}
ENGINES = get_args(EngineName)


class World(NamedTuple):
    """A client, and a way to the simulator's own controls."""

    client: WahaClient
    sim: httpx.AsyncClient

    async def transmissions(self) -> list[dict[str, Any]]:
        """What WhatsApp has got."""
        ledger: dict[str, Any] = (await self.sim.get("/sim/ledger")).json()
        transmissions: list[dict[str, Any]] = ledger["transmissions"]
        return transmissions

    async def pair(self, name: str, config: dict[str, Any]) -> None:
        """Create a session, scan its QR as SENDER, and wait until it works.

        At this speed all of its codes run out within half a second, so on a machine that stalls it is begun anew.
        """
        status = (await self.client.create_session(name, config)).status
        while status != WahaStatus.WORKING:
            if status == WahaStatus.SCAN_QR_CODE:
                await self.sim.post(f"/sim/sessions/{name}/scan", json={"phone": SENDER})
            elif status == WahaStatus.FAILED:
                await self.client.restart_session(name)
            await asyncio.sleep(0)  # nothing else here lets the simulator's own work go on
            status = (await self.client.get_session(name)).status


MakeWorld = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def make_world() -> MakeWorld:
    """Makes a simulated server of an engine, with time running a thousand times faster."""

    @asynccontextmanager
    async def make(engine: EngineName, api_key: str = "key", client_key: str = "key") -> AsyncIterator[World]:
        config = SimulatorConfig(
            engine=engine,
            api_key=api_key,
            speed=1000,
            latency_seconds=0,
            receipts=False,
            unregistered=frozenset({STRANGER}),
        )
        app = create_app(config)
        transport = httpx.ASGITransport(app=app)
        async with (
            WahaClient("http://waha.test", client_key, transport=transport) as client,
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://waha.test") as sim,
        ):
            yield World(client, sim)
        await app.state.waha.aclose()

    return make


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_session_lives_its_whole_life(engine: EngineName, make_world: MakeWorld) -> None:
    async with make_world(engine) as world:
        client = world.client
        await client.ping()
        assert (await client.server_version()).engine == engine
        assert (await client.server_status()).start_timestamp > 0
        assert await client.list_sessions() == []

        await world.pair("alice", CONFIG)

        me = await client.get_me("alice")
        session = await client.get_session("alice")
        assert me is not None
        assert me.id == make_chat_id(SENDER)
        assert (session.status, session.metadata) == (WahaStatus.WORKING, {"sender": "s1"})
        with pytest.raises(SessionAlreadyExists):
            await client.create_session("alice", CONFIG)

        await client.stop_session("alice")
        assert [one.status for one in await client.list_sessions()] == [WahaStatus.STOPPED]
        assert await client.list_sessions(all=False) == []
        with pytest.raises(SessionNotWorking) as stopped:
            await client.send_text("alice", CHAT, "Hello", make_message_id())
        assert stopped.value.surely_not_sent

        await client.start_session("alice")
        await client.restart_session("alice")
        await client.update_session("alice", CONFIG)
        await client.logout_session("alice")
        assert (await client.get_qr("alice")).value
        await client.delete_session("alice")
        with pytest.raises(SessionNotFound):
            await client.get_session("alice")


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_text_and_each_kind_of_media_arrive(engine: EngineName, make_world: MakeWorld) -> None:
    async with make_world(engine) as world:
        await world.pair("alice", CONFIG)

        text = await world.client.send_text("alice", CHAT, "Hello", make_message_id())
        sent = [text.message_id]
        for kind in MediaKind:
            media = await world.client.send_media(
                "alice", CHAT, kind=kind, data=b"x", mimetype="a/b", message_id=make_message_id()
            )
            sent.append(media.message_id)

        assert text.chat_id == CHAT
        assert text.accepted is (engine == "GOWS")
        assert [one["id"] for one in await world.transmissions()] == sent


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_a_sent_message_is_found_by_our_id_and_another_is_not(engine: EngineName, make_world: MakeWorld) -> None:
    async with make_world(engine) as world:
        await world.pair("alice", CONFIG)
        message_id = make_message_id()

        await world.client.send_text("alice", CHAT, "Hello", message_id)

        found = await world.client.find_message("alice", CHAT, message_id)
        assert found is not None
        assert (found.message_id, found.from_me) == (message_id, True)
        assert await world.client.find_message("alice", CHAT, make_message_id()) is None


async def test_noweb_without_its_store_cannot_look_up(make_world: MakeWorld) -> None:
    async with make_world("NOWEB") as world:
        await world.pair("alice", {})

        with pytest.raises(LookupUnavailable):
            await world.client.find_message("alice", CHAT, make_message_id())


async def test_gows_says_when_a_recipient_has_no_whatsapp(make_world: MakeWorld) -> None:
    async with make_world("GOWS") as world:
        await world.pair("alice", CONFIG)

        assert not (await world.client.check_number("alice", STRANGER)).exists
        with pytest.raises(RecipientNotOnWhatsApp):
            await world.client.send_text("alice", make_chat_id(STRANGER), "Hello", make_message_id())


async def test_gows_says_when_whatsapp_allows_no_new_contacts(make_world: MakeWorld) -> None:
    async with make_world("GOWS") as world:
        await world.pair("alice", CONFIG)
        await world.sim.put("/sim/faults", json={"error_463": 1})

        with pytest.raises(ContactLimited):
            await world.client.send_text("alice", CHAT, "Hello", make_message_id())


async def test_a_wrong_key_is_told(make_world: MakeWorld) -> None:
    async with make_world("GOWS", api_key="right", client_key="wrong") as world:
        await world.client.ping()

        with pytest.raises(WahaUnauthorized):
            await world.client.list_sessions()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fault", list(Fault))
async def test_what_is_called_surely_not_sent_never_reached_whatsapp_and_what_is_accepted_did(
    fault: Fault, engine: EngineName, make_world: MakeWorld
) -> None:
    """The promise of the error tree, held against the simulator's ledger for every fault that it knows."""
    async with make_world(engine) as world:
        await world.pair("alice", CONFIG)
        await world.sim.put("/sim/faults", json={"next": [fault.value]})

        accepted = surely_not_sent = False
        try:
            sent = await world.client.send_text("alice", CHAT, "Hello", make_message_id())
            accepted = sent.accepted
        except WahaError as exc:
            surely_not_sent = exc.surely_not_sent

        transmitted = len(await world.transmissions())
        assert transmitted == 1 or not accepted
        assert transmitted == 0 or not surely_not_sent
