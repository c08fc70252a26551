"""What proves a session or its phone without a ping: messages sent through it, and messages written on the phone."""

from typing import Any

import pytest

from gateway.db import AnyRow
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent
from sessions.keepalive.evidence import ASK_SECONDS, WRITE_SECONDS, PhoneEvidence, SendEvidence, Sends
from sessions.news.watch import Swept
from sessions.servers.fleet import Member
from tests.harness.fleet import DAY, FleetWorld, MakeFleet

pytestmark = pytest.mark.virtual_time

ANN, BEN = "447700900001", "447700900002"


class Sent:
    """What the senders of a server have sent, as a test tells it; counts how often it was asked."""

    def __init__(self) -> None:
        self.sends: dict[int, tuple[int, float | None]] = {}
        self.asked = 0

    async def __call__(self, _: str) -> Sends:
        self.asked += 1
        return dict(self.sends)


async def a_session(make_fleet: MakeFleet) -> tuple[FleetWorld, Member, AnyRow]:
    """A gateway, its server as it knows it, and one connected session that was idle for five days."""
    fleet = await make_fleet("NOWEB")
    await fleet.connect(fleet.sites[0], [ANN])
    await fleet.age(ANN, last_active=5, phone_last_seen=5, warned_at=1)
    return fleet, fleet.gateway.fleet.members[0], await fleet.row(ANN)


def swept(member: Member, row: AnyRow) -> Swept:
    """A sweep that has seen one session."""
    return Swept(member, [row], {}, row.read_at, None)


def message(number: str = ANN, **values: Any) -> MessageAnyEvent:
    """A message that the owner wrote on the phone just now."""
    usual: dict[str, Any] = {"from_me": True, "source": "app", "ack": 1, "timestamp": None}
    return MessageAnyEvent(event_id="evt_1", session=number, message_id="3EB0", chat_id=None, **usual | values)


# --- sends


async def test_a_session_that_has_sent_since_the_last_look_was_active(make_fleet: MakeFleet) -> None:
    fleet, member, row = await a_session(make_fleet)
    sent = Sent()
    evidence = SendEvidence(fleet.gateway.db, fleet.clock, sent)
    sent.sends = {row.sender_id: (7, row.last_active)}
    evidence.after_sweep(swept(member, row))
    await fleet.rest(ASK_SECONDS)
    assert (await fleet.row(ANN)).last_active == row.last_active
    answered_at = fleet.clock.now() - 60
    sent.sends = {row.sender_id: (8, answered_at)}
    evidence.after_sweep(swept(member, row))
    await fleet.rest(1)
    assert (await fleet.row(ANN)).last_active == answered_at


async def test_an_answer_that_was_no_success_is_no_activity(make_fleet: MakeFleet) -> None:
    fleet, member, row = await a_session(make_fleet)
    sent = Sent()
    evidence = SendEvidence(fleet.gateway.db, fleet.clock, sent)
    for _ in range(2):
        sent.sends = {row.sender_id: (7, fleet.clock.now())}
        evidence.after_sweep(swept(member, row))
        await fleet.rest(ASK_SECONDS)
    assert (await fleet.row(ANN)).last_active == row.last_active
    assert sent.asked == 2


async def test_sends_are_not_asked_for_after_every_sweep(make_fleet: MakeFleet) -> None:
    fleet, member, row = await a_session(make_fleet)
    sent = Sent()
    evidence = SendEvidence(fleet.gateway.db, fleet.clock, sent)
    for _ in range(10):
        evidence.after_sweep(swept(member, row))
        await fleet.rest(10)
    assert sent.asked == 1


async def test_a_send_ends_the_count_of_failed_pings(make_fleet: MakeFleet) -> None:
    fleet, member, row = await a_session(make_fleet)
    sent = Sent()
    evidence = SendEvidence(fleet.gateway.db, fleet.clock, sent)
    evidence.after_sweep(swept(member, row))
    await fleet.rest(ASK_SECONDS)
    fleet.sites[0].gate.broken = {ANN}
    await fleet.age(ANN, last_active=12)
    await fleet.sweep()
    await fleet.rest(20 * 60)
    assert (await fleet.row(ANN)).ping_failures == 1
    sent.sends = {row.sender_id: (1, fleet.clock.now())}
    evidence.after_sweep(swept(member, row))
    await fleet.rest(1)
    after = await fleet.row(ANN)
    assert (after.ping_failures, after.ping_at) == (0, None)


# --- phones


async def test_a_message_written_on_the_phone_shows_that_it_is_used(make_fleet: MakeFleet) -> None:
    fleet, member, _ = await a_session(make_fleet)
    evidence = PhoneEvidence(fleet.gateway.db, fleet.clock)
    now = fleet.clock.now()
    evidence.note(member, message(timestamp=int((now - 30) * 1000)))
    await fleet.rest(WRITE_SECONDS + 1)
    row = await fleet.row(ANN)
    assert row.phone_last_seen == pytest.approx(now - 30, abs=0.01)
    assert row.last_active < now - 4 * DAY, "the phone is no proof of the session"


@pytest.mark.parametrize(
    "event",
    [
        message(source="api"),
        message(from_me=False),
        message(from_me=None),
        message(BEN),
        MessageAckEvent("evt_1", ANN, "3EB0", None, 3, True, None),
    ],
)
async def test_what_is_not_written_on_this_phone_shows_nothing(make_fleet: MakeFleet, event: Any) -> None:
    fleet, member, row = await a_session(make_fleet)
    evidence = PhoneEvidence(fleet.gateway.db, fleet.clock)
    evidence.note(member, event)
    await evidence.stop()
    assert (await fleet.row(ANN)).phone_last_seen == row.phone_last_seen


async def test_an_old_message_does_not_turn_the_phones_clock_back(make_fleet: MakeFleet) -> None:
    fleet, member, row = await a_session(make_fleet)
    evidence = PhoneEvidence(fleet.gateway.db, fleet.clock)
    evidence.note(member, message(timestamp=int((fleet.clock.now() - 9 * DAY) * 1000)))
    await evidence.stop()
    assert (await fleet.row(ANN)).phone_last_seen == row.phone_last_seen


async def test_a_server_whose_clock_is_ahead_does_not_put_the_phone_into_the_future(make_fleet: MakeFleet) -> None:
    fleet, member, _ = await a_session(make_fleet)
    evidence = PhoneEvidence(fleet.gateway.db, fleet.clock)
    now = fleet.clock.now()
    evidence.note(member, message(timestamp=int((now + DAY) * 1000)))
    await evidence.stop()
    assert (await fleet.row(ANN)).phone_last_seen == now


async def test_a_talkative_phone_is_written_once_a_minute_and_at_the_end(make_fleet: MakeFleet) -> None:
    fleet, member, row = await a_session(make_fleet)
    evidence = PhoneEvidence(fleet.gateway.db, fleet.clock)
    for _ in range(50):
        evidence.note(member, message())
        await fleet.rest(1)
    assert (await fleet.row(ANN)).phone_last_seen == row.phone_last_seen
    last = fleet.clock.now()
    evidence.note(member, message())
    await evidence.stop()
    assert (await fleet.row(ANN)).phone_last_seen == last


async def test_what_cannot_be_written_now_is_written_later(
    make_fleet: MakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet, member, row = await a_session(make_fleet)
    db = fleet.gateway.db
    evidence = PhoneEvidence(db, fleet.clock)
    seen_at = fleet.clock.now()
    evidence.note(member, message())
    with monkeypatch.context() as patch:
        patch.setattr(db, "dead", True)
        await fleet.rest(WRITE_SECONDS + 1)
    assert (await fleet.row(ANN)).phone_last_seen == row.phone_last_seen
    await fleet.rest(WRITE_SECONDS + 1)
    assert (await fleet.row(ANN)).phone_last_seen == seen_at
