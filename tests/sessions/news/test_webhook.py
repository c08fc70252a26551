"""The webhook: who may speak, what is taken, what is passed over, and when it is answered."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending import receipt_writing, receipts
from campaigns.sending.models import MessageState
from campaigns.sending.receipt_writing import Key, Written, write_receipts
from campaigns.sending.tables import message
from gateway.app import build_gateway
from gateway.db import AnyRow, DatabaseAway
from gateway.log import configure_logging
from gateway.settings import LoggingSettings
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent
from gateway.web import create_app
from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, World, until
from tests.conftest import Record
from tests.sessions.news.conftest import (
    SECRET,
    WEBHOOK,
    Hooked,
    MakeHooked,
    ack,
    event,
    read_tables,
    sent,
    signed,
    status,
)

CANARY = "canary-text-of-a-message"
STRANGER = "+447700900999"
WA_ID = "3EB0AAAAAAAAAAAAAAAAAA"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def read_log(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Gives what was logged, debug lines too."""
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    path = tmp_path / "logs" / "gateway.log"
    configure_logging(LoggingSettings(file=str(path), level="DEBUG"), console=False)
    yield path.read_text
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configured)


async def state_of(world: World, row: AnyRow) -> str:
    """What a message is now."""
    async with world.db.read() as connection:
        return str((await connection.execute(select(message.c.state).where(message.c.id == row.id))).scalar_one())


# --- what is refused, and what is passed over -------------------------------------------------------------------


class Case:
    """What is posted, and what comes back."""

    def __init__(
        self,
        status_code: int,
        make: Callable[[str], Any] = lambda wa_id: ack(ALICE, wa_id, 3) | {"canary": CANARY},
        *,
        sign: Callable[[bytes], Mapping[str, str]] = signed,
        server: str | None = None,
        chunked: bool = False,
    ) -> None:
        self.status_code = status_code
        self.make = make
        self.sign = sign
        self.server = server
        self.chunked = chunked


def _huge(wa_id: str) -> Any:
    return ack(ALICE, wa_id, 3) | {"canary": CANARY * 50_000}


CASES = {
    "no HMAC": Case(401, sign=lambda _: {}),
    "an empty HMAC": Case(401, sign=lambda _: {"X-Webhook-Hmac": ""}),
    "the HMAC of another key": Case(401, sign=lambda body: signed(body, SECRET + "x")),
    "the HMAC of another body": Case(401, sign=lambda body: signed(body + b" ")),
    "an HMAC that is no ASCII": Case(401, sign=lambda _: {"X-Webhook-Hmac": "00\xe9"}),
    "another algorithm": Case(401, sign=lambda body: signed(body) | {"X-Webhook-Hmac-Algorithm": "sha256"}),
    "broken JSON without an HMAC": Case(401, lambda _: b'{"canary": "' + CANARY.encode(), sign=lambda _: {}),
    "an oversized body": Case(413, _huge),
    "an oversized body that does not say its length": Case(413, _huge, chunked=True),
    "broken JSON": Case(200, lambda _: b'{"canary": "' + CANARY.encode()),
    "no object": Case(200, lambda _: [CANARY]),
    "nothing": Case(200, lambda _: b""),
    "an event without its kind": Case(200, lambda _: {"id": "evt_1", "canary": CANARY}),
    "a receipt without a message": Case(200, lambda _: event("message.ack", ALICE, {"ack": 3, "canary": CANARY})),
    "a level that does not exist": Case(200, lambda wa_id: ack(ALICE, wa_id, 9) | {"canary": CANARY}),
    "an unknown kind of event": Case(200, lambda _: event("call.received", ALICE, {"canary": CANARY})),
    "a status of an unknown session": Case(200, lambda _: status(STRANGER, "FAILED", at=2e9) | {"canary": CANARY}),
    "a receipt of an unknown session": Case(200, lambda wa_id: ack(STRANGER, wa_id, 3) | {"canary": CANARY}),
    "a receipt of an unknown message": Case(200, lambda _: ack(ALICE, WA_ID, 3) | {"canary": CANARY}),
    "an unknown server": Case(200, server="01890000-0000-7000-8000-000000000000"),
    "no server": Case(200, server=""),
}


@pytest.mark.parametrize("name", CASES)
async def test_what_is_wrong_is_refused_or_ignored_with_a_log_line_without_contents_and_changes_nothing(
    at_rest: tuple[Hooked, AnyRow], read_log: Callable[[], str], name: str
) -> None:
    hooked, row = at_rest
    case = CASES[name]
    made = case.make(row.wa_id)
    body = made if isinstance(made, bytes) else orjson.dumps(made)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    before = await hooked.tables()
    answer = await hooked.world.client.post(
        WEBHOOK,
        content=chunks() if case.chunked else body,
        headers=[
            (name.encode(), value.encode("latin-1"))
            for name, value in {"Content-Type": "application/json", **case.sign(body)}.items()
        ],
        params={"server": hooked.server_id if case.server is None else case.server},
    )
    assert answer.status_code == case.status_code, answer.text
    assert await hooked.tables() == before
    logged = read_log()
    assert logged.count("\n") >= 1
    for secret in (CANARY, SECRET, row.wa_id, ALICE[1:], STRANGER[1:], row.phone):
        assert secret not in logged
    assert "INTERNAL_ERROR" not in logged


async def test_a_replayed_body_is_answered_and_changes_nothing(
    at_rest: tuple[Hooked, AnyRow], read_log: Callable[[], str]
) -> None:
    hooked, row = at_rest
    told = [ack(ALICE, row.wa_id, 3), status(ALICE, "STARTING", at=hooked.world.gateway.clock.now())]
    for one in told:
        await hooked.tell(one)
    before = await hooked.tables()
    for one in told * 3:
        assert (await hooked.tell(one)).json() == {"status": "ok"}
    assert await hooked.tables() == before
    assert read_log().count("event_repeated") == 6


async def test_a_refusal_does_not_say_what_was_wrong(at_rest: tuple[Hooked, AnyRow]) -> None:
    hooked, row = at_rest
    bad = [{"X-Webhook-Hmac": "0" * 128}, {"X-Webhook-Hmac": ""}, {"X-Webhook-Hmac-Algorithm": "md5"}]
    answers = [await hooked.tell(ack(ALICE, row.wa_id, 3), status=401, headers=headers) for headers in bad]
    assert len({answer.text for answer in answers}) == 1


async def test_without_a_secret_there_is_no_webhook(make_world: MakeWorld) -> None:
    world = await make_world()
    body = orjson.dumps(ack(ALICE, WA_ID, 3))
    for key in ("", SECRET):
        headers = {"Content-Type": "application/json", **signed(body, key)}
        await world.call("POST", WEBHOOK, content=body, headers=headers, status=404)


# --- who may come in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "gateway.internal:8000"},
        {"Forwarded": "for=192.0.2.1"},
        {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"},
    ],
)
async def test_waha_may_call_by_any_name_and_through_a_proxy(
    at_rest: tuple[Hooked, AnyRow], headers: dict[str, str]
) -> None:
    hooked, row = at_rest
    await hooked.tell(ack(ALICE, row.wa_id, 2), headers=headers)
    assert await state_of(hooked.world, row) == "delivered"
    answer = await hooked.world.call("GET", "/health", headers=headers)
    assert answer.status_code in (400, 403)  # nothing else may


# --- what is taken ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "state"),
    [
        ([1], "sent"),
        ([2], "delivered"),
        ([2, 3], "read"),
        ([3, 2, 1, -1], "read"),  # never back
        ([4], "read"),
        ([2, 2, 2], "delivered"),
    ],
)
async def test_receipts_move_a_message_forward_only(
    at_rest: tuple[Hooked, AnyRow], levels: list[int], state: str
) -> None:
    hooked, row = at_rest
    for level in levels:
        await hooked.tell(ack(ALICE, row.wa_id, level))
    assert await state_of(hooked.world, row) == state


async def test_without_their_rules_a_late_receipt_would_take_a_message_back(
    at_rest: tuple[Hooked, AnyRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    hooked, row = at_rest
    told = {2: MessageState.DELIVERED, 3: MessageState.READ}
    monkeypatch.setattr(receipt_writing, "stronger", lambda _known, level: level)
    monkeypatch.setattr(receipt_writing, "after_receipt", lambda _state, level, *_, **__: told[level])
    for level in (3, 2):
        await hooked.tell(ack(ALICE, row.wa_id, level))
    assert await state_of(hooked.world, row) == "delivered"


@pytest.mark.parametrize("chat", ["447700900100@c.us", "99887766554433@lid", "447700900100@s.whatsapp.net"])
async def test_a_receipt_counts_under_whatever_id_the_recipient_has(at_rest: tuple[Hooked, AnyRow], chat: str) -> None:
    hooked, row = at_rest
    await hooked.tell(ack(ALICE, row.wa_id, 3, chat=chat))
    assert await state_of(hooked.world, row) == "read"


async def test_the_answer_comes_after_the_commit(
    at_rest: tuple[Hooked, AnyRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked, row = at_rest
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(tx: AsyncConnection, acks: Mapping[Key, int]) -> Written:
        reached.set()
        await go_on.wait()
        return await write_receipts(tx, acks)

    monkeypatch.setattr(receipts, "write_receipts", slow)
    told = ack(ALICE, row.wa_id, 2)
    first = asyncio.create_task(hooked.tell(told))
    await reached.wait()
    repeat = asyncio.create_task(hooked.tell(told))
    done, _ = await asyncio.wait({first, repeat}, timeout=0.05)
    assert not done
    go_on.set()
    await asyncio.gather(first, repeat)
    assert await state_of(hooked.world, row) == "delivered"


async def test_while_the_database_is_away_waha_is_asked_to_tell_it_again(
    at_rest: tuple[Hooked, AnyRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked, row = at_rest

    async def away(tx: AsyncConnection, acks: Mapping[Key, int]) -> Written:
        raise DatabaseAway("gone")

    told = ack(ALICE, row.wa_id, 2)
    with monkeypatch.context() as patch:
        patch.setattr(receipts, "write_receipts", away)
        await hooked.tell(told, status=503)
    await hooked.tell(told)
    assert await state_of(hooked.world, row) == "delivered"


async def test_while_too_much_waits_for_the_database_nothing_more_is_taken(
    at_rest: tuple[Hooked, AnyRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked, row = at_rest
    with monkeypatch.context() as patch:
        patch.setattr(hooked.world.gateway.receipts, "most", 0)
        await hooked.tell(ack(ALICE, row.wa_id, 2), status=503)
    assert await state_of(hooked.world, row) == "sent"


# --- with a WAHA that does all this -----------------------------------------------------------------------------


async def test_a_session_is_paired_and_a_campaign_is_read_by_webhooks_alone(hooked: Hooked) -> None:
    world = hooked.world
    await world.pair(ALICE)
    rows = await sent(world, 3)

    async def all_are_read() -> bool:
        return {await state_of(world, row) for row in rows} == {"read"}

    await until(all_are_read)
    assert {request.url.params["server"] for request in hooked.post.passed} == {hooked.server_id}


async def test_events_that_are_repeated_and_out_of_order_end_in_the_truth(
    make_hooked: MakeHooked, record: Record
) -> None:
    hooked = await make_hooked(sweep_seconds=0.5)
    world = hooked.world
    world.waha.server.events.faults = type(world.waha.server.events.faults)(repeat=0.5, reorder_seconds=5.0)
    await world.pair(ALICE)
    rows = await sent(world, 10)

    async def all_are_read() -> bool:
        return {await state_of(world, row) for row in rows} == {"read"}

    await until(all_are_read)
    ids = [orjson.loads(request.content)["id"] for request in hooked.post.passed]
    record(seed=world.waha.server.config.seed, events=len(set(ids)), repeated=len(ids) - len(set(ids)))
    assert len(ids) > len(set(ids))
    assert (await world.get(f"/api/sessions/{ALICE}"))["status"] == "CONNECTED"


async def test_all_of_it_again_after_a_restart_changes_nothing(hooked: Hooked) -> None:
    world = hooked.world
    await world.pair(ALICE)
    rows = await sent(world, 3)

    async def all_are_read() -> bool:
        return {await state_of(world, row) for row in rows} == {"read"}

    await until(all_are_read)
    await world.waha.server.webhooks.drained()
    await world.gateway.stop()
    again = build_gateway(world.gateway.settings)
    try:
        await again.fleet.refresh()
        again.receipts.start()
        before = await read_tables(again.db)
        requests = [*hooked.post.passed, *hooked.post.passed]
        random.Random(7).shuffle(requests)
        transport = httpx.ASGITransport(create_app(again))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            for request in requests:
                headers = {name: value for name, value in request.headers.items() if name.startswith("x-webhook")}
                answer = await client.post(
                    WEBHOOK,
                    content=request.content,
                    params=request.url.params,
                    headers={"Content-Type": "application/json", **headers},
                )
                assert answer.status_code == 200
        assert await read_tables(again.db) == before
    finally:
        await again.receipts.stop()
        await again.fleet.close()
        await again.db.close()


async def test_the_same_events_over_both_ways_count_once(
    make_hooked: MakeHooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked = await make_hooked(events="websocket")
    world = hooked.world
    await world.pair(ALICE)
    world.waha.server.lifecycle.stored[ALICE[1:]].config["webhooks"] = [
        {
            "url": f"http://gateway.internal:8000{WEBHOOK}?server={hooked.server_id}",
            "events": ["session.status", "message.ack", "message.any"],
            "hmac": {"key": SECRET},
        }
    ]
    heard: list[str] = []
    note = world.gateway.receipts.note

    def counting(told: MessageAckEvent | MessageAnyEvent) -> None:
        heard.append(told.event_id)
        note(told)

    monkeypatch.setattr(world.gateway.receipts, "note", counting)
    rows = await sent(world, 5)

    async def all_are_read() -> bool:
        return {await state_of(world, row) for row in rows} == {"read"}

    await until(all_are_read)
    await world.waha.server.webhooks.drained()
    posted = {orjson.loads(request.content)["id"] for request in hooked.post.passed}
    assert posted
    assert posted <= set(heard)
    assert len(heard) == len(set(heard))
