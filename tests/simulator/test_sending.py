"""Sends: what is waited for, what is checked (nothing), what the ledger says."""

import asyncio
import base64
import hashlib

import httpx
import pytest

from tests.simulator.conftest import CHAT, MESSAGE_ID, RECIPIENT, SENDER, Simulate

PICTURE = b"\x89PNG not really"
FILE = {"mimetype": "image/png", "filename": "a.png", "data": base64.b64encode(PICTURE).decode()}


async def test_a_send_is_in_the_ledger_with_its_times_in_order(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    assert (await waha.send()).status_code == 201
    [sent] = await waha.ledger()
    told = {key: sent[key] for key in ("seq", "session", "chat_id", "id", "text", "kind", "repeat", "media")}
    assert told == {
        "seq": 1,
        "session": SENDER,
        "chat_id": CHAT,
        "id": MESSAGE_ID,
        "text": "hello",
        "kind": "text",
        "repeat": False,
        "media": None,
    }
    assert sent["received_at"] <= sent["time"] <= sent["answered_at"] <= waha.server.clock.now()
    assert sent["answer_status"] == 201


async def test_an_id_sent_again_is_transmitted_again_and_shows_one_bubble(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send()
    await waha.send()
    await waha.send(chatId="12125550102@c.us")
    assert [(one["repeat"], one["shown"]) for one in await waha.ledger()] == [
        (False, True),
        (True, False),
        (False, True),
    ]


async def test_a_repeat_shows_two_bubbles_when_told_so(simulate: Simulate) -> None:
    waha = await simulate(collapse_repeats=False)
    await waha.pair()
    await waha.send()
    await waha.send()
    assert [(one["repeat"], one["shown"]) for one in await waha.ledger()] == [(False, True), (True, True)]


async def test_the_ledger_can_be_read_from_a_number_on_and_cleared(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    for text in ("one", "two", "three"):
        await waha.send(text=text, id=None)
    later = (await waha.call("GET", "/sim/ledger?since=1")).json()["transmissions"]
    assert [(one["seq"], one["text"]) for one in later] == [(2, "two"), (3, "three")]
    assert (await waha.call("DELETE", "/sim/ledger")).status_code == 204
    assert await waha.ledger() == []
    await waha.send(text="four", id=None)
    assert [one["seq"] for one in await waha.ledger()] == [4]
    assert [one["text"] for one in (await waha.call("GET", "/sim/ledger?since=3")).json()["transmissions"]] == ["four"]


async def test_a_send_to_a_session_that_does_not_work_blocks_10_s_and_is_422(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.call("POST", f"/sim/sessions/{SENDER}/status", {"status": "FAILED"})
    before = waha.server.clock.elapsed()
    answer = await waha.send()
    assert waha.server.clock.elapsed() - before >= 10
    assert answer.status_code == 422
    assert answer.json() == {
        "error": "Session status is not as expected. Try again later or restart the session",
        "session": SENDER,
        "status": "FAILED",
        "expected": ["WORKING"],
    }
    assert await waha.ledger() == []


async def test_a_send_waits_for_a_session_that_is_about_to_work(simulate: Simulate) -> None:
    waha = await simulate(start_seconds=4)
    await waha.pair()
    await waha.call("POST", f"/api/sessions/{SENDER}/restart")
    assert (await waha.send()).status_code == 201


async def test_a_send_to_an_unknown_session_blocks_5_s_and_is_422(simulate: Simulate) -> None:
    waha = await simulate()
    before = waha.server.clock.elapsed()
    answer = await waha.send(session="nobody")
    assert waha.server.clock.elapsed() - before >= 5
    assert answer.status_code == 422
    assert answer.json() == {"error": 'Session "nobody" does not exist', "session": "nobody"}


async def test_a_send_without_a_session_is_422(simulate: Simulate) -> None:
    waha = await simulate()
    answer = await waha.send(session=None)
    assert (answer.status_code, answer.json()["message"]) == (422, "Session name is required")


async def test_a_missing_chat_is_a_type_error_whose_500_echoes_the_request(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    answer = await waha.send(chatId=None, text="a secret")
    body = answer.json()
    assert answer.status_code == 500
    assert body["statusCode"] == 500
    assert body["exception"]["name"] == "TypeError"
    assert body["request"] == {
        "path": "/api/sendText",
        "method": "POST",
        "body": {"session": SENDER, "text": "a secret", "id": MESSAGE_ID},
        "query": {},
    }
    assert body["version"]["engine"] == "GOWS"
    assert await waha.ledger() == []


async def test_unknown_fields_pass(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    assert (await waha.send(nonsense={"a": 1})).status_code == 201


@pytest.mark.parametrize("chat", [RECIPIENT, f"+{RECIPIENT}", f"{RECIPIENT}@s.whatsapp.net", CHAT])
async def test_every_way_to_write_a_chat_names_the_same_one(simulate: Simulate, chat: str) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send(chatId=chat)
    assert [one["chat_id"] for one in await waha.ledger()] == [CHAT]


@pytest.mark.parametrize(
    ("route", "kind"),
    [("sendImage", "image"), ("sendFile", "file"), ("sendVoice", "voice"), ("sendVideo", "video")],
)
async def test_a_file_is_in_the_ledger_by_type_name_size_and_hash(simulate: Simulate, route: str, kind: str) -> None:
    waha = await simulate()
    await waha.pair()
    body = {"session": SENDER, "chatId": CHAT, "file": FILE, "caption": "look", "id": MESSAGE_ID}
    assert (await waha.call("POST", f"/api/{route}", body)).status_code == 201
    [sent] = await waha.ledger()
    assert (sent["kind"], sent["text"], sent["id"]) == (kind, "look", MESSAGE_ID)
    assert sent["media"] == {
        "mimetype": "image/png",
        "filename": "a.png",
        "size": len(PICTURE),
        "sha256": hashlib.sha256(PICTURE).hexdigest(),
    }


async def test_a_media_send_without_a_file_is_a_type_error(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    answer = await waha.call("POST", "/api/sendImage", {"session": SENDER, "chatId": CHAT})
    assert (answer.status_code, answer.json()["exception"]["name"]) == (500, "TypeError")


async def test_a_file_by_address_is_fetched_by_the_server(simulate: Simulate) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=PICTURE))
    waha = await simulate(transport=transport)
    await waha.pair()
    file = {"mimetype": "image/png", "url": "http://files.test/a.png"}
    body = {"session": SENDER, "chatId": CHAT, "file": file}
    assert (await waha.call("POST", "/api/sendImage", body)).status_code == 201
    [sent] = await waha.ledger()
    assert sent["media"]["size"] == len(PICTURE)


async def test_an_address_without_a_file_is_an_axios_error_after_three_attempts(simulate: Simulate) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(404)

    waha = await simulate(transport=httpx.MockTransport(answer))
    await waha.pair()
    file = {"mimetype": "image/png", "url": "http://files.test/gone.png"}
    refused = await waha.call("POST", "/api/sendFile", {"session": SENDER, "chatId": CHAT, "file": file})
    assert refused.status_code == 500
    assert refused.json()["exception"]["name"] == "AxiosError"
    assert len(asked) == 3
    assert await waha.ledger() == []


async def test_gows_sends_of_one_session_go_one_after_the_other(simulate: Simulate) -> None:
    waha = await simulate(speed=100, latency_seconds=2, latency_jitter=False)
    await waha.pair()
    await asyncio.gather(*[waha.send(id=None, text=str(number)) for number in range(3)])
    first, second, third = [one["time"] for one in await waha.ledger()]
    assert second - first >= 0.0199
    assert third - second >= 0.0199


async def test_gows_sends_of_different_sessions_go_side_by_side(simulate: Simulate) -> None:
    waha = await simulate(speed=100, latency_seconds=20, latency_jitter=False)
    await waha.pair()
    await waha.pair("other", "447700900124")
    await asyncio.gather(waha.send(), waha.send(session="other"))
    first, second = [one["time"] for one in await waha.ledger()]
    assert second - first < 0.2


async def test_webjs_sends_of_one_session_go_side_by_side(simulate: Simulate) -> None:
    waha = await simulate(engine="WEBJS", speed=100, latency_seconds=20, latency_jitter=False)
    await waha.pair()
    await asyncio.gather(waha.send(), waha.send())
    first, second = [one["time"] for one in await waha.ledger()]
    assert second - first < 0.2


async def test_latency_has_the_median_that_was_asked_for_and_a_long_tail(simulate: Simulate) -> None:
    waha = await simulate(latency_seconds=3.0, speed=100_000)
    await waha.pair()
    draws = sorted(waha.server.sender.latency(waha.server.rng) for _ in range(4000))
    assert 2.7 < draws[2000] < 3.3
    assert 6 < draws[3960] / draws[2000] < 10.5


async def test_a_client_that_gives_up_does_not_stop_its_send(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    waha.server.clock.set_speed(1)
    await waha.faults(slow=3600)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waha.send(), timeout=0.01)
    assert await waha.ledger() == []
    waha.server.clock.set_speed(1e6)
    await waha.watch.next("message.any")
    [sent] = await waha.ledger()
    assert (sent["answered_at"], sent["answer_status"]) == (None, None)


async def test_a_send_whose_session_goes_away_meanwhile_is_refused(simulate: Simulate) -> None:
    waha = await simulate(latency_seconds=3000, latency_jitter=False)
    await waha.pair()
    sending = await waha.begin_sending()
    await waha.call("POST", f"/api/sessions/{SENDER}/stop")
    answer = await sending
    assert answer.status_code == 500
    assert answer.json()["exception"]["message"] == "2 UNKNOWN: websocket not connected"
    assert await waha.ledger() == []
    assert await waha.refusals() == ["session_not_working"]


async def test_equal_seeds_and_calls_give_equal_ids_and_faults(simulate: Simulate) -> None:
    runs = []
    for _ in range(2):
        waha = await simulate(seed=7)
        await waha.pair()
        await waha.faults(error_500=0.5)
        codes = [(await waha.send(id=None)).status_code for _ in range(30)]
        runs.append((codes, [one["id"] for one in await waha.ledger()]))
    assert runs[0] == runs[1]
    assert {201, 500} == set(runs[0][0])


async def test_another_seed_gives_another_run(simulate: Simulate) -> None:
    runs = []
    for seed in (1, 2):
        waha = await simulate(seed=seed)
        await waha.pair()
        await waha.faults(error_500=0.5)
        runs.append([(await waha.send(id=None)).status_code for _ in range(30)])
    assert runs[0] != runs[1]
