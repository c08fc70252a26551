"""Many clients send at once: each sees its own alone, no limit is passed, and the money adds up to the last decimal."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from campaigns.metering.allowances import Allowance
from campaigns.sending import offers
from gateway.simulator.ledger import Ledger
from tests.api.conftest import MakeWorld, empty_database, make_world
from tests.harness.crowd import DELAY, SENDERS_EACH, Crowd
from tests.harness.crowd_judge import Client, Message, Seen, faults
from tests.harness.world import recipient_numbers, sender_number

__all__ = ["empty_database", "make_world"]

pytestmark = pytest.mark.timeout(180)


async def crowded(database_url: str, make_world: MakeWorld, size: int, seconds: float) -> tuple[Crowd, list[Seen]]:
    """So many clients, after all of them have sent what they may."""
    world = await make_world(
        database_url=database_url,
        capacities=(size * SENDERS_EACH,),
        limits={"reads_per_minute": 0, "writes_per_minute": 0, "pairings_per_minute": 0, "schedules_per_minute": 0},
    )
    crowd = Crowd(world, size)
    await crowd.open()
    await crowd.rush()
    await crowd.settle(seconds)
    return crowd, await crowd.look()


@pytest.mark.parametrize("size", [pytest.param(10, id="ten"), pytest.param(50, id="fifty", marks=pytest.mark.long)])
async def test_clients_who_send_at_once_keep_apart_within_their_limits_and_pay_for_what_left(
    database_url: str, make_world: MakeWorld, size: int
) -> None:
    crowd, seen = await crowded(database_url, make_world, size, seconds=60.0)
    assert faults(seen, crowd.ledger, crowd.operators, DELAY) == []
    limited = [one for one in seen if one.client.body["daily_limit"] is not None or one.client.most == 7]
    assert len(limited) == size * 3 // 5, "most of them met a daily limit"


async def test_where_nobody_looks_at_daily_limits_the_same_crowd_passes_them(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_allowances(*_: Any) -> Mapping[str | None, Allowance | None]:
        return {}

    monkeypatch.setattr(offers, "lock_allowances", no_allowances)
    crowd, seen = await crowded("sqlite", make_world, 5, seconds=60.0)
    assert [fault for fault in faults(seen, crowd.ledger, crowd.operators, DELAY) if "at most" in fault] == [
        "client-03: 12 left, at most 7 may"
    ]


# --- the judge itself


def kept() -> tuple[list[Seen], Ledger, set[Message]]:
    """Two clients, of each of which one message of two has left, and one of the operator's: all is well."""
    ledger, seen = Ledger(collapse_repeats=True), []
    for index, name in enumerate(("client-00", "client-01")):
        text, phone = f"{name} single 0", recipient_numbers(1, first=index)[0]
        accepted = [(text, phone), (f"{name} single 1", phone)]
        senders = (f"+{sender_number(index)}",)
        client = Client({"name": name}, senders, Decimal("0.07"), Decimal("0.21"), 1, accepted, [], {f"{name} sale"})
        seen.append(
            Seen(client, Decimal("0.14"), 1, 1, frozenset(client.campaigns), frozenset(), frozenset(senders)),
        )
        transmit(ledger, sender_number(index), text, phone, 10.0 + index)
    transmit(ledger, sender_number(0), "operator one", recipient_numbers(1)[0], 20.0)
    return seen, ledger, {("operator one", recipient_numbers(1)[0])}


def transmit(ledger: Ledger, session: str, text: str, phone: str, at: float) -> None:
    """WhatsApp takes a message."""
    taken = ledger.accept(
        time=at,
        received_at=at,
        session=session,
        account=session,
        chat_id=f"{phone}@c.us",
        message_id=f"3EB0{len(ledger.transmissions)}",
        text=text,
        kind="text",
        media=None,
    )
    taken.answered_at = at


def test_the_judge_finds_nothing_where_all_is_well() -> None:
    seen, ledger, operators = kept()
    assert faults(seen, ledger, operators, DELAY) == []


ONE, TWO = sender_number(0), sender_number(1)
PHONE = recipient_numbers(1)[0]


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda ledger: transmit(ledger, ONE, "client-00 single 0", PHONE, 30.0), "doubled: "),
        (lambda ledger: transmit(ledger, ONE, "client-00 single 1", PHONE, 30.0), "client-00: 2 left, at most 1 may"),
        (lambda ledger: transmit(ledger, ONE, "client-00 other", PHONE, 30.0), "nobody asked for "),
        (lambda ledger: transmit(ledger, TWO, "operator one", PHONE, 11.01), "too early: "),
        (lambda ledger: ledger.transmissions.pop(), "lost: ('operator one'"),
        (lambda ledger: ledger.transmissions.pop(0), "client-00: lost: 0 left of 2"),
        (lambda ledger: setattr(ledger.transmissions[0], "session", TWO), "client-00: left through another's sender"),
    ],
)
def test_the_judge_finds_what_whatsapp_should_not_have_seen(spoil: Callable[[Ledger], object], fault: str) -> None:
    seen, ledger, operators = kept()
    spoil(ledger)
    assert [one for one in faults(seen, ledger, operators, DELAY) if one.startswith(fault)] != []


@pytest.mark.parametrize(
    ("spoilt", "fault"),
    [
        ({"balance": Decimal("0.140001")}, "charged 0.069999 for 1 at 0.07"),
        ({"balance": Decimal("0.13")}, "charged 0.08 for 1 at 0.07"),
        ({"sent_today": 0}, "told that 0 left, it were 1"),
        ({"counted_sent": 2}, "counts 2 as sent, it were 1"),
        ({"campaigns": frozenset({"client-00 sale", "client-01 sale"})}, "sees the campaigns"),
        ({"campaigns": frozenset()}, "sees the campaigns []"),
        ({"contacts": frozenset({"client-01 0"})}, "sees the contacts"),
        ({"sessions": frozenset({f"+{ONE}", f"+{TWO}"})}, "sees the sessions"),
        ({"opened": ("/api/status/1",)}, "another's is open to it"),
    ],
)
def test_the_judge_finds_what_a_client_should_not_have_seen(spoilt: dict[str, Any], fault: str) -> None:
    (first, second), ledger, operators = kept()
    (found,) = faults([replace(first, **spoilt), second], ledger, operators, DELAY)
    assert found.startswith(f"client-00: {fault}")


def test_the_judge_finds_who_was_refused_in_vain() -> None:
    seen, ledger, operators = kept()
    seen[0].client.most = 3
    assert "client-00: let in 2, there was room for 3" in faults(seen, ledger, operators, DELAY)
