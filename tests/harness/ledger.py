"""What WhatsApp really took, read from the simulator's ledger: the judge of every promise about sending."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.simulator.ledger import Ledger, Transmission

ROUNDING = 1e-5
"""Epoch seconds as doubles are good to a quarter of a microsecond; sums of some of them to this."""


@dataclass(frozen=True, slots=True)
class Knock:
    """One send at WAHA's door: when it came, and when it was answered or, if never, when WhatsApp took it."""

    session: str
    received_at: float
    answered_at: float


@dataclass(frozen=True, slots=True)
class ShortGap:
    """A send that came too early after the one before."""

    previous: str
    session: str
    gap: float


def recipients_of(transmissions: Iterable[Transmission]) -> list[str]:
    """The recipients' digits, in the order in which WhatsApp took the messages."""
    return [one.chat_id.removesuffix("@c.us") for one in transmissions]


def senders_of(transmissions: Iterable[Transmission]) -> list[str]:
    """The senders, in the same order."""
    return [one.session for one in transmissions]


def lost(ledger: Ledger, text: str, recipients: Iterable[str]) -> list[str]:
    """Whom the text never reached."""
    return sorted(set(recipients) - set(recipients_of(one for one in ledger.transmissions if one.text == text)))


def duplicated(ledger: Ledger) -> list[tuple[str, str]]:
    """Each (text, chat) that was transmitted more than once, under whatever id."""
    counts = Counter((one.text, one.chat_id) for one in ledger.transmissions)
    return sorted(key for key, count in counts.items() if count > 1)


def knocks(ledger: Ledger) -> list[Knock]:
    """All sends in the order in which they came, the refused ones too."""
    taken = [Knock(one.session, one.received_at, one.answered_at or one.time) for one in ledger.transmissions]
    refused = [Knock(one.session, one.received_at, one.time) for one in ledger.refusals]
    return sorted([*taken, *refused], key=lambda knock: knock.received_at)


def short_gaps(ledger: Ledger, delay: float) -> list[ShortGap]:
    """Where a sender's send came sooner than `delay` after the answer to its previous one."""
    lanes: dict[str, list[Knock]] = defaultdict(list)
    for knock in knocks(ledger):
        lanes[knock.session].append(knock)
    return [gap for lane in lanes.values() for gap in _short(lane, delay)]


def short_switches(ledger: Ledger, delay: float) -> list[ShortGap]:
    """Where one campaign passed to another sender sooner than `delay` after the answer to its previous message."""
    line = knocks(ledger)
    pairs = [(one, two) for one, two in itertools.pairwise(line) if one.session != two.session]
    return [gap for pair in pairs for gap in _short(pair, delay)]


def gaps(ledger: Ledger, session: str) -> list[float]:
    """A sender's gaps, from each answer to the next send."""
    lane = [knock for knock in knocks(ledger) if knock.session == session]
    return [two.received_at - one.answered_at for one, two in itertools.pairwise(lane)]


def overlaps(ledger: Ledger) -> list[ShortGap]:
    """Where a sender had two sends in flight at once."""
    return short_gaps(ledger, 0.0)


def _short(line: Sequence[Knock], delay: float) -> list[ShortGap]:
    return [
        ShortGap(one.session, two.session, two.received_at - one.answered_at)
        for one, two in itertools.pairwise(line)
        if two.received_at - one.answered_at < delay - ROUNDING
    ]
