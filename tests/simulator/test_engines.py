"""Where the three engines differ: answers, ids, unknown numbers, receipts."""

import re
from typing import Any

import pytest

from tests.simulator.conftest import CHAT, MESSAGE_ID, RECIPIENT, SENDER, Simulate, Simulated

STORE = {"noweb": {"store": {"enabled": True, "fullSync": False}}}


async def acks(waha: Simulated, last: int) -> list[dict[str, Any]]:
    """The payloads of message.ack events up to and with the one of level `last`."""
    told: list[dict[str, Any]] = []
    while not told or told[-1]["ack"] != last:
        told.append((await waha.watch.next("message.ack"))["payload"])
    return told


async def test_gows_answers_with_the_serialized_id_as_a_string(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    body = (await waha.send()).json()
    assert body["id"] == f"true_{CHAT}_{MESSAGE_ID}"
    assert body["_data"]["Info"]["ID"] == MESSAGE_ID


async def test_gows_appends_our_own_id_in_groups(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    body = (await waha.send(chatId="120363000000000000@g.us")).json()
    assert body["id"] == f"true_120363000000000000@g.us_{MESSAGE_ID}_{SENDER}@c.us"


async def test_noweb_answers_with_the_raw_message_and_no_id_on_top(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB")
    await waha.pair()
    body = (await waha.send()).json()
    assert "id" not in body
    assert body["key"] == {"remoteJid": f"{RECIPIENT}@s.whatsapp.net", "fromMe": True, "id": MESSAGE_ID}
    assert (body["status"], body["messageTimestamp"].isdigit()) == ("PENDING", True)


async def test_webjs_answers_with_an_id_object_of_its_own_making(simulate: Simulate) -> None:
    waha = await simulate(engine="WEBJS")
    await waha.pair()
    body = (await waha.send()).json()
    assert body["id"]["id"] != MESSAGE_ID
    assert body["id"]["_serialized"] == f"true_{CHAT}_{body['id']['id']}"
    assert (body["id"]["remote"], body["id"]["fromMe"], body["ack"]) == (CHAT, True, 0)
    assert [one["id"] for one in await waha.ledger()] == [body["id"]["id"]]


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_a_send_without_an_id_gets_3eb0_and_18_hex_digits(simulate: Simulate, engine: str) -> None:
    waha = await simulate(engine=engine)
    await waha.pair()
    await waha.send(id=None)
    await waha.send(id=None)
    first, second = [one["id"] for one in await waha.ledger()]
    assert re.fullmatch(r"3EB0[0-9A-F]{18}", first)
    assert first != second


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_new_message_id_makes_ids(simulate: Simulate, engine: str) -> None:
    waha = await simulate(engine=engine)
    await waha.pair()
    answer = await waha.call("GET", f"/api/{SENDER}/new-message-id")
    assert re.fullmatch(r"3EB0[0-9A-F]{18}", answer.json()["id"])


async def test_new_message_id_is_501_on_webjs(simulate: Simulate) -> None:
    waha = await simulate(engine="WEBJS")
    await waha.pair()
    answer = await waha.call("GET", f"/api/{SENDER}/new-message-id")
    assert answer.status_code == 501
    assert answer.json()["message"].startswith("The method is not implemented by 'WEBJS' engine.")
    assert (answer.json()["statusCode"], answer.json()["error"]) == (501, "Not Implemented")


async def test_gows_answers_500_for_a_number_that_is_not_on_whatsapp(simulate: Simulate) -> None:
    waha = await simulate(unregistered=frozenset({RECIPIENT}))
    await waha.pair()
    answer = await waha.send()
    assert answer.status_code == 500
    exception = answer.json()["exception"]
    assert exception["message"] == f"2 UNKNOWN: no LID found for {RECIPIENT}@s.whatsapp.net from server"
    assert exception["code"] == 2
    assert await waha.ledger() == []
    assert await waha.refusals() == ["not_on_whatsapp"]


async def test_noweb_answers_201_for_such_a_number_and_acks_minus_one_later(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB", unregistered=frozenset({RECIPIENT}))
    await waha.pair()
    assert (await waha.send()).status_code == 201
    [ack] = await acks(waha, -1)
    assert (ack["id"], ack["ackName"]) == (f"true_{CHAT}_{MESSAGE_ID}", "ERROR")
    assert await waha.ledger() == []


async def test_webjs_answers_500_for_such_a_number(simulate: Simulate) -> None:
    waha = await simulate(engine="WEBJS", unregistered=frozenset({RECIPIENT}))
    await waha.pair()
    answer = await waha.send()
    assert (answer.status_code, answer.json()["exception"]["message"]) == (500, "No LID for user")


async def test_gows_never_tells_ack_1(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send()
    told = await acks(waha, 3)
    assert [(one["ack"], one["ackName"]) for one in told] == [(2, "DEVICE"), (3, "READ")]
    assert told[0]["id"] == f"true_{CHAT}_{MESSAGE_ID}"
    assert (told[0]["from"], told[0]["to"], told[0]["participant"]) == (CHAT, None, None)


async def test_noweb_tells_acks_1_2_3(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB")
    await waha.pair()
    await waha.send()
    assert [one["ack"] for one in await acks(waha, 3)] == [1, 2, 3]


async def test_webjs_acks_carry_the_whole_message(simulate: Simulate) -> None:
    waha = await simulate(engine="WEBJS")
    await waha.pair()
    await waha.send()
    told = await acks(waha, 3)
    assert [one["ack"] for one in told] == [1, 2, 3]
    assert (told[-1]["body"], told[-1]["from"], told[-1]["to"]) == ("hello", f"{SENDER}@c.us", CHAT)


async def test_own_sends_are_told_as_message_any_with_source_api(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send()
    payload = (await waha.watch.next("message.any"))["payload"]
    assert payload["id"] == f"true_{CHAT}_{MESSAGE_ID}"
    assert (payload["fromMe"], payload["source"], payload["body"]) == (True, "api", "hello")
    assert payload["from"] == CHAT, "on GOWS `from` is the chat, also for our own messages"


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_no_receipts_come_when_they_are_switched_off(simulate: Simulate, engine: str) -> None:
    waha = await simulate(engine=engine, receipts=False)
    await waha.pair()
    await waha.send()
    await waha.server.clock.sleep(60)
    assert [one["event"] for one in waha.watch.heard()] == ["message.any"]


async def test_receipts_name_the_hidden_id_when_told_so(simulate: Simulate) -> None:
    waha = await simulate(lid_receipts=True)
    await waha.pair()
    await waha.send()
    ack = (await waha.watch.next("message.ack"))["payload"]
    lid = ack["from"]
    assert lid.endswith("@lid")
    assert ack["id"] == f"true_{lid}_{MESSAGE_ID}"
    mapped = (await waha.call("GET", f"/api/{SENDER}/lids/{lid}")).json()
    assert mapped == {"lid": lid, "pn": CHAT}


async def test_receipts_that_arrive_while_a_session_is_away_come_when_it_works_again(
    simulate: Simulate,
) -> None:
    waha = await simulate(speed=100)
    await waha.pair()
    await waha.send()
    await waha.call("POST", f"/api/sessions/{SENDER}/stop")
    await waha.server.clock.sleep(15)
    assert not [one for one in waha.watch.heard() if one["event"] == "message.ack"]
    await waha.call("POST", f"/api/sessions/{SENDER}/start")
    assert [one["ack"] for one in await acks(waha, 3)] == [2, 3]


async def test_a_failed_session_gets_no_receipts_until_it_works_again(simulate: Simulate) -> None:
    waha = await simulate(speed=100)
    await waha.pair()
    await waha.send()
    await waha.call("POST", f"/sim/sessions/{SENDER}/status", {"status": "FAILED"})
    await waha.server.clock.sleep(15)
    assert not [one for one in waha.watch.heard() if one["event"] == "message.ack"]
    await waha.call("POST", f"/sim/sessions/{SENDER}/status", {"status": "WORKING"})
    assert [one["ack"] for one in await acks(waha, 3)] == [2, 3]
