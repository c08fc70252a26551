"""What the demo does: who sends to whom, how fast. Durations are seconds."""

from dataclasses import dataclass

from gateway.cli.contacts import Contacts, Person
from gateway.phone import read_phone

TEMPLATE = "Hello {{ name | there }}, your order {{ order | (no number) }} is on its way."
MAX_MESSAGES = 10_000
MAX_SENDERS = 20
UNHURRIED_MESSAGES = 60
"""Up to so many messages the delays are long enough to be watched."""

_NAMES = ("Ada", "Bruno", "Chloé", "Dmitri", "Elif", "Farid", "Giulia", "Hana", "Imran", "Jana")


@dataclass(frozen=True, slots=True)
class Pace:
    """The admin's two delays, and the median time that the simulator takes for a send."""

    message_delay: float
    switch_delay: float
    latency: float


UNHURRIED = Pace(message_delay=0.3, switch_delay=0.05, latency=0.03)
QUICK = Pace(message_delay=0.025, switch_delay=0.015, latency=0.005)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the demo."""

    senders: list[str]
    contacts: Contacts
    pace: Pace
    template: str = TEMPLATE


def make_plan(senders: int, contacts: Contacts) -> Plan:
    """A campaign to these contacts through so many senders; the longer the list, the shorter the delays."""
    pace = UNHURRIED if len(contacts.people) <= UNHURRIED_MESSAGES else QUICK
    return Plan([f"+44{7700900001 + index}" for index in range(senders)], contacts, pace)


def invent_contacts(messages: int) -> Contacts:
    """People with numbers of a range that is reserved for fiction."""
    people = [
        Person(
            line=index + 1,
            phone=read_phone(f"+{33639980000 + index}"),
            variables={"name": _NAMES[index % len(_NAMES)], "order": f"A-{index + 1:03}"},
        )
        for index in range(messages)
    ]
    return Contacts(people, [])
