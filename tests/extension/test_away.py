"""The gateway is away, or its answer is lost: the draft is kept, and to send again is safe."""

from playwright.async_api import expect

from campaigns.sending.models import Campaign
from tests.api.world import ALICE, recipients
from tests.extension.desk import AWAY, Desk

TEXT = "Hello from the draft"


async def test_an_answer_that_is_lost_is_asked_for_again_and_nobody_gets_it_twice(desk: Desk) -> None:
    popup = await desk.open()
    await desk.link(popup, ALICE)
    desk.watch.expect(AWAY)
    await desk.write(popup, TEXT, recipients(5))
    send = popup.get_by_role("button", name="Send 5 messages")
    await expect(send).to_be_enabled()
    desk.wire.cut_response(100, only=b"POST /api/send ")  # Chrome itself tries again where a connection was reused
    await send.click()
    await expect(popup.get_by_role("heading", name="No clear answer")).to_be_visible()
    assert await desk.world.count(Campaign) == 1
    desk.wire.answers_to_cut = 0
    await desk.shoot(popup, "10-no-clear-answer")
    first = await desk.stored("outbox")
    await popup.close()

    popup = await desk.open("popup.html#compose")
    await popup.get_by_role("button", name="Send again").click()
    await expect(popup.get_by_role("heading", name="The gateway has it")).to_be_visible()
    assert (await desk.stored("outbox"))["key"] == first["key"]
    await popup.get_by_role("button", name="Watch it").click()
    await expect(popup.get_by_text("Finished", exact=True)).to_be_visible()
    assert await desk.world.count(Campaign) == 1
    assert len(await desk.world.waha.ledger()) == 5


async def test_the_draft_outlives_the_page_and_the_gateway_s_absence(open_mode_desk: Desk) -> None:
    desk = open_mode_desk
    popup = await desk.open()
    await desk.link(popup, ALICE)
    desk.watch.expect(AWAY)
    await desk.wire.refuse()
    await popup.get_by_role("button", name="Write a campaign").click()
    await expect(popup.get_by_text("The gateway is away.")).to_be_visible()
    await popup.get_by_label("Numbers, or rows from a spreadsheet").fill("\n".join(recipients(3)))
    await popup.get_by_label("Text", exact=True).fill(TEXT)
    await popup.get_by_role("button", name="Check before sending").click()
    await expect(popup.get_by_text("The gateway does not answer. Your draft is kept")).to_be_visible()
    await desk.shoot(popup, "11-away")
    await popup.close()

    await desk.wire.accept()
    popup = await desk.open("popup.html#compose")
    await expect(popup.get_by_label("Text", exact=True)).to_have_value(TEXT)
    await expect(popup.get_by_text("The gateway is away.")).to_be_hidden()
    await popup.get_by_role("button", name="Check before sending").click()
    await popup.get_by_role("button", name="Send 3 messages").click()
    await expect(popup.get_by_role("heading", name="The gateway has it")).to_be_visible()


async def test_what_the_gateway_refuses_goes_back_to_the_draft(open_mode_desk: Desk) -> None:
    desk = open_mode_desk
    popup = await desk.open()
    await desk.link(popup, ALICE)
    desk.watch.expect("409 (Conflict)")
    await desk.write(popup, TEXT, recipients(3))
    send = popup.get_by_role("button", name="Send 3 messages")
    await expect(send).to_be_enabled()
    await desk.world.post(f"/api/sessions/{ALICE}/stop")
    await send.click()
    await expect(popup.get_by_text("Nothing was sent. Your number is not connected.")).to_be_visible()
    await desk.shoot(popup, "12-refused")
    await expect(popup.get_by_label("Text", exact=True)).to_have_value(TEXT)
    assert await desk.world.count(Campaign) == 0
