"""Looking messages, numbers and hidden ids up."""

from typing import Any

import pytest

from tests.simulator.conftest import CHAT, MESSAGE_ID, RECIPIENT, SENDER, Simulate, Simulated

STORE: dict[str, Any] = {"noweb": {"store": {"enabled": True, "fullSync": False}}}
MESSAGES = f"/api/{SENDER}/chats/{CHAT}/messages"


async def exists(waha: Simulated, phone: str) -> Any:
    """The body of check-exists."""
    query = f"session={SENDER}&phone={phone}"
    return (await waha.call("GET", f"/api/contacts/check-exists?{query}")).json()


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
@pytest.mark.parametrize("given", [MESSAGE_ID, f"true_{CHAT}_{MESSAGE_ID}"])
@pytest.mark.parametrize("chat", [CHAT, "all"])
async def test_a_message_is_found_by_its_bare_and_its_serialized_id(
    simulate: Simulate, engine: str, given: str, chat: str
) -> None:
    waha = await simulate(engine=engine)
    await waha.pair(**STORE)
    await waha.send()
    answer = await waha.call("GET", f"/api/{SENDER}/chats/{chat}/messages/{given}?downloadMedia=false")
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["body"]) == (f"true_{CHAT}_{MESSAGE_ID}", "hello")


async def test_webjs_finds_serialized_ids_only(simulate: Simulate) -> None:
    waha = await simulate(engine="WEBJS")
    await waha.pair()
    made = (await waha.send()).json()["id"]
    assert (await waha.call("GET", f"{MESSAGES}/{made['_serialized']}")).status_code == 200
    assert (await waha.call("GET", f"{MESSAGES}/{made['id']}")).status_code == 404


async def test_a_message_that_is_not_there_is_404(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send(chatId="12125550102@c.us")
    answer = await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")
    assert answer.status_code == 404
    assert answer.json() == {"message": "Message not found", "error": "Not Found", "statusCode": 404}


async def test_gows_can_be_told_to_answer_with_its_grpc_error_instead(simulate: Simulate) -> None:
    waha = await simulate(missing_is_500=True)
    await waha.pair()
    answer = await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")
    assert answer.status_code == 500
    assert (answer.json()["exception"]["code"], answer.json()["exception"]["details"]) == (5, "message not found")
    await waha.send()
    assert (await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")).status_code == 200


async def test_a_message_that_whatsapp_refused_by_receipt_is_found_as_an_error(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB")
    await waha.pair(**STORE)
    await waha.faults(error_463=1)
    await waha.send()
    await waha.watch.next("message.ack", ack=-1)
    found = (await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")).json()
    assert (found["ack"], found["ackName"]) == (-1, "ERROR")


async def test_a_refused_message_cannot_be_found(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(error_500=1)
    await waha.send()
    assert (await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")).status_code == 404


@pytest.mark.parametrize("path", [MESSAGES, f"{MESSAGES}/{MESSAGE_ID}"])
async def test_noweb_without_its_store_is_400(simulate: Simulate, path: str) -> None:
    waha = await simulate(engine="NOWEB")
    await waha.pair()
    await waha.send()
    answer = await waha.call("GET", path)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Enable NOWEB store")


async def test_gows_without_message_storage_remembers_nothing(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair(gows={"storage": {"messages": False}})
    await waha.send()
    assert (await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")).status_code == 404


async def test_a_message_is_found_after_a_restart_and_not_after_a_logout(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send()
    await waha.call("POST", f"/api/sessions/{SENDER}/restart")
    assert (await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")).status_code == 200
    await waha.call("POST", f"/api/sessions/{SENDER}/logout")
    await waha.watch.next("session.status", status="SCAN_QR_CODE")
    await waha.scan()
    assert (await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")).status_code == 404


async def test_a_lookup_tells_the_highest_receipt(simulate: Simulate) -> None:
    waha = await simulate(receipts=False)
    await waha.pair()
    await waha.send()
    before = (await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")).json()
    assert (before["ack"], before["ackName"]) == (1, "SERVER")
    for ack in (3, 2):
        receipt = {"chat_id": CHAT, "id": MESSAGE_ID, "ack": ack}
        assert (await waha.call("POST", f"/sim/sessions/{SENDER}/ack", receipt)).status_code == 200
    after = (await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")).json()
    assert (after["ack"], after["ackName"]) == (3, "READ")


async def test_a_list_is_the_newest_ten_first_unless_told_otherwise(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    for number in range(12):
        await waha.send(text=str(number), id=None)
    texts = [one["body"] for one in (await waha.call("GET", MESSAGES)).json()]
    assert texts == [str(number) for number in range(11, 1, -1)]
    page = await waha.call("GET", f"{MESSAGES}?limit=2&offset=1")
    assert [one["body"] for one in page.json()] == ["10", "9"]
    oldest = await waha.call("GET", f"{MESSAGES}?limit=2&sortOrder=asc")
    assert [one["body"] for one in oldest.json()] == ["0", "1"]


async def test_a_list_filters_by_side_and_time(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send(text="ours")
    body = {"from": RECIPIENT, "text": "theirs"}
    await waha.call("POST", f"/sim/sessions/{SENDER}/incoming", body)
    mine = await waha.call("GET", f"{MESSAGES}?filter.fromMe=true")
    assert [one["body"] for one in mine.json()] == ["ours"]
    theirs = await waha.call("GET", f"{MESSAGES}?filter.fromMe=false")
    assert [one["body"] for one in theirs.json()] == ["theirs"]
    future = int(waha.server.clock.now()) + 100
    assert (await waha.call("GET", f"{MESSAGES}?filter.timestamp.gte={future}")).json() == []
    assert len((await waha.call("GET", f"{MESSAGES}?filter.timestamp.lte={future}")).json()) == 2


@pytest.mark.parametrize(
    ("engine", "known", "unknown"),
    [
        (
            "GOWS",
            {"numberExists": True, "chatId": CHAT, "pn": CHAT},
            {"numberExists": False, "chatId": None, "pn": None},
        ),
        ("NOWEB", {"numberExists": True, "chatId": CHAT}, {"numberExists": False}),
        ("WEBJS", {"numberExists": True, "chatId": CHAT}, {"numberExists": False}),
    ],
)
async def test_check_exists_answers_in_each_engines_shape(
    simulate: Simulate, engine: str, known: dict[str, object], unknown: dict[str, object]
) -> None:
    waha = await simulate(engine=engine, unregistered=frozenset({"12125550199"}))
    await waha.pair()
    assert await exists(waha, RECIPIENT) == known
    assert await exists(waha, f"%2B{RECIPIENT}") == known
    assert await exists(waha, "12125550199") == unknown


async def test_check_exists_needs_a_working_session(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.show_qr()
    answer = await waha.call("GET", f"/api/contacts/check-exists?session={SENDER}&phone={RECIPIENT}")
    assert answer.status_code == 422


NINE, OLD = "5511900000000", "551100000000"
"""One Brazilian number with and without its ninth digit."""


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_old_brazilian_numbers_exist_without_the_ninth_digit_only(simulate: Simulate, engine: str) -> None:
    waha = await simulate(engine=engine)
    await waha.pair()
    assert (await exists(waha, NINE))["chatId"] == f"{NINE}@c.us"
    told = await waha.call("PUT", "/sim/numbers", {"brazil_without_nine": True})
    assert told.json()["brazil_without_nine"] is True
    for form in (NINE, f"+{NINE}", OLD):
        assert (await exists(waha, form))["chatId"] == f"{OLD}@c.us"
    assert (await waha.send(chatId=f"{OLD}@c.us")).status_code == 201
    assert [one["shown"] for one in await waha.ledger()] == [True]


async def test_gows_knows_no_hidden_id_for_the_wrong_form_of_a_brazilian_number(simulate: Simulate) -> None:
    waha = await simulate(brazil_without_nine=True)
    await waha.pair()
    answer = await waha.send(chatId=f"{NINE}@c.us")
    message = f"2 UNKNOWN: no LID found for {NINE}@s.whatsapp.net from server"
    assert (answer.status_code, answer.json()["exception"]["message"]) == (500, message)
    assert await waha.ledger() == []


@pytest.mark.virtual_time
@pytest.mark.parametrize("engine", ["NOWEB", "WEBJS"])
async def test_other_engines_take_the_wrong_form_and_whatsapp_delivers_it_to_nobody(
    simulate: Simulate, engine: str
) -> None:
    waha = await simulate(engine=engine, brazil_without_nine=True)
    await waha.pair()
    assert (await waha.send(chatId=f"{NINE}@c.us")).status_code == 201
    await waha.server.clock.sleep(3600)
    acks = [event["payload"]["ack"] for event in waha.watch.heard() if event["event"] == "message.ack"]
    assert acks == [1]
    assert [one["shown"] for one in await waha.ledger()] == [False]
    assert await waha.refusals() == []


async def test_numbers_can_leave_whatsapp_and_come_back(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    told = await waha.call("PUT", "/sim/numbers", {"unregistered": [f"+{RECIPIENT}"]})
    assert told.json() == {"unregistered": [RECIPIENT], "brazil_without_nine": False}
    assert (await waha.send()).status_code == 500
    await waha.call("PUT", "/sim/numbers", {"unregistered": []})
    assert (await waha.send()).status_code == 201


async def test_a_number_and_its_hidden_id_map_to_each_other(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    by_number = (await waha.call("GET", f"/api/{SENDER}/lids/pn/{RECIPIENT}")).json()
    assert by_number["pn"] == CHAT
    by_lid = (await waha.call("GET", f"/api/{SENDER}/lids/{by_number['lid']}")).json()
    assert by_lid == by_number
    bare = by_number["lid"].removesuffix("@lid")
    assert (await waha.call("GET", f"/api/{SENDER}/lids/{bare}")).json() == by_number


async def test_an_unknown_hidden_id_and_an_unregistered_number_map_to_null(simulate: Simulate) -> None:
    waha = await simulate(unregistered=frozenset({RECIPIENT}))
    await waha.pair()
    assert (await waha.call("GET", f"/api/{SENDER}/lids/1@lid")).json() == {"lid": "1@lid", "pn": None}
    by_number = (await waha.call("GET", f"/api/{SENDER}/lids/pn/{RECIPIENT}")).json()
    assert by_number == {"lid": None, "pn": CHAT}


async def test_a_message_sent_to_a_number_is_found_under_its_hidden_id(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send()
    lid = (await waha.call("GET", f"/api/{SENDER}/lids/pn/{RECIPIENT}")).json()["lid"]
    answer = await waha.call("GET", f"/api/{SENDER}/chats/{lid}/messages/{MESSAGE_ID}")
    assert answer.status_code == 200
