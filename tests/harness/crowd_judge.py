"""The judge of a crowd: what clients were let in with and see, held against the ledger of WhatsApp."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gateway.simulator.ledger import Ledger
from tests.harness.ledger import short_gaps

Message = tuple[str, str]
"""A text, and the digits of the number that it is for; texts begin with the name of their client."""


@dataclass(slots=True)
class Client:
    """A client of the crowd: what it was given, and what of its messages was let in. `most` is how many may leave."""

    body: dict[str, Any]
    senders: tuple[str, ...]
    price: Decimal
    paid_in: Decimal
    most: int
    accepted: list[Message] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    campaigns: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Its name, with which its texts begin."""
        return str(self.body["name"])


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client sees in the end; `opened` are the paths of another's that were answered by anything but 404."""

    client: Client
    balance: Decimal
    sent_today: int
    counted_sent: int
    campaigns: frozenset[str]
    contacts: frozenset[str]
    sessions: frozenset[str]
    opened: tuple[str, ...] = ()


def faults(seen: Sequence[Seen], ledger: Ledger, operators: set[Message], delay: float) -> list[str]:
    """All that is wrong, in words; nothing where every promise was kept."""
    taken = Counter((one.text, one.chat_id.removesuffix("@c.us")) for one in ledger.transmissions)
    found = [f"doubled: {message}" for message, count in taken.items() if count > 1]
    found += [f"lost: {message}" for message in operators if message not in taken]
    wanted = {message for one in seen for message in one.client.accepted} | operators
    found += [f"nobody asked for {message}" for message in taken if message not in wanted]
    found += [f"too early: {gap}" for gap in short_gaps(ledger, delay)]
    for one in seen:
        found += [f"{one.client.name}: {fault}" for fault in _faults_of(one, ledger)]
    return found


def _faults_of(seen: Seen, ledger: Ledger) -> list[str]:
    client = seen.client
    left = [one for one in ledger.transmissions if one.text.startswith(f"{client.name} ")]
    charged = client.paid_in - seen.balance
    contacts = {text.replace(" queue", "") for text, _ in client.accepted if " queue " in text}
    checks = {
        f"{len(left)} left, at most {client.most} may": len(left) > client.most,
        f"lost: {len(left)} left of {len(client.accepted)}": len(left) < min(client.most, len(client.accepted)),
        f"let in {len(client.accepted)}, there was room for {client.most}": len(client.accepted) < client.most,
        f"charged {charged} for {len(left)} at {client.price}": charged != client.price * len(left),
        f"told that {seen.sent_today} left, it were {len(left)}": seen.sent_today != len(left),
        f"counts {seen.counted_sent} as sent, it were {len(left)}": seen.counted_sent != len(left),
        f"left through another's sender: {left}": not {f"+{one.session}" for one in left} <= set(client.senders),
        f"sees the campaigns {sorted(seen.campaigns)}": seen.campaigns != client.campaigns,
        f"sees the contacts {sorted(seen.contacts)}": not contacts <= seen.contacts
        or any(not name.startswith(f"{client.name} ") for name in seen.contacts),
        f"sees the sessions {sorted(seen.sessions)}": seen.sessions != set(client.senders),
        f"another's is open to it: {seen.opened}": bool(seen.opened),
    }
    return [fault for fault, is_one in checks.items() if is_one]
