"""The intake: an incoming message is stored once, in its thread, and tied to what it answers, in one transaction.

What comes repeatedly, late, out of order or under another name of the same person changes nothing but what it adds:
that two names are one person's. So a batch is taken in like its messages one by one, whatever their order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.correspondents import spellings
from campaigns.audience.optouts.listening import Said
from campaigns.inbox.identities import Directory, Person
from campaigns.inbox.models import MAX_NAME, MAX_TEXT, Kind
from campaigns.inbox.replies import Answered, Heard, react
from campaigns.inbox.storing import (
    Arrival,
    Place,
    Row,
    begin_conversations,
    find_conversations,
    find_repeated,
    lock_accounts,
    read_names,
    store_messages,
    write_directory,
    written_by,
)
from campaigns.inbox.telling import Received, tell_of_messages
from campaigns.inbox.wishes import Confirmable, Hear, hear_all
from gateway.db import read_now
from gateway.folding import fold
from gateway.ids import make_id, make_ids, make_ordered_ids
from gateway.waha.ids import make_chat_id

REPLY_DAYS = 7.0
PREVIEW = 200


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from somebody to a sender of ours.

    `phone` are digits, or None while only the hidden id is known; one of the two is there. `wa_id` is WhatsApp's bare
    id, `at` epoch seconds.
    """

    account_id: str
    sender_id: int
    sender_number: str
    phone: str | None
    contact_lid: str | None
    wa_id: str
    text: str = field(repr=False)
    kind: str
    at: float
    quoted_wa_id: str | None = None
    push_name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Identified:
    """A hidden id, and the number (digits) that turned out to be behind it."""

    account_id: str
    lid: str
    phone: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message: its thread, whose it is, and what it answers. `is_new` is false for a repeated one.

    `ended` are campaigns that have ended, with their states, because nothing was left of them to send; `confirmable` is
    what was heard of opting out and is to be confirmed when the transaction is committed. Both are of all that was
    taken in with it.
    """

    id: str
    conversation_id: str
    contact_id: str
    phone: str | None
    is_new: bool
    answered: Answered | None = None
    ended: tuple[tuple[str, str], ...] = ()
    confirmable: tuple[Confirmable, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What followed from what was taken in: as in `Taken`."""

    answers: Mapping[str, Answered]
    ended: tuple[tuple[str, str], ...]
    confirmable: tuple[Confirmable, ...]


NOTHING = Outcome({}, (), ())
Key = tuple[int, str]


async def take_in(
    tx: AsyncConnection, incoming: Incoming, *, reply_days: float = REPLY_DAYS, hear: Hear | None = None
) -> Taken:
    """Take in one message; `hear` hears opt-outs in it."""
    return (await take_in_all(tx, [incoming], reply_days=reply_days, hear=hear))[0]


async def take_in_all(
    tx: AsyncConnection, messages: Sequence[Incoming], *, reply_days: float = REPLY_DAYS, hear: Hear | None = None
) -> list[Taken]:
    """Take in messages, each as `take_in` does, with a few statements for all of them."""
    await lock_accounts(tx, {one.account_id for one in messages})
    now = await read_now(tx)
    directory = Directory(lambda: make_id(now))
    repeated = await find_repeated(tx, {_key(one) for one in messages})
    for row in repeated.values():
        directory.know(Person(row.contact_id, row.account_id, row.phone, row.name))
    await read_names(tx, directory, {(one.account_id, name) for one in messages for name in _names(one)})
    hidden = {person.id for person in directory.people.values() if person.phone is None}
    whose: dict[Key, Person] = {}
    first: dict[Key, Incoming] = {}
    for one in messages:
        key = _key(one)
        person = directory.person(
            one.account_id, one.phone, [one.contact_lid] if one.contact_lid else [], _plain(one.push_name)[:MAX_NAME]
        )
        if key in whose:
            person = directory.same(whose[key], person)
        elif key in repeated:
            person = directory.same(directory.find(repeated[key].contact_id), person)
        whose[key] = person
        if key not in repeated:
            first.setdefault(key, one)
    await write_directory(tx, directory, now)
    people = {key: directory.find(person.id) for key, person in whose.items()}
    places = await _places(tx, {(key[0], person.id): person.account_id for key, person in people.items()}, now)
    ids = dict(zip(first, make_ordered_ids(now, len(first)), strict=True))
    await _store(tx, first, ids, {key: places[key[0], people[key].id] for key in first}, now)
    revealed = {directory.find(key).id for key in hidden if directory.find(key).phone is not None}
    outcome = await _react(tx, first, ids, people, revealed, directory, now, reply_days, hear)
    taken = {
        key: Taken(
            id=ids.get(key) or repeated[key].id,
            conversation_id=places[key[0], person.id],
            contact_id=person.id,
            phone=person.phone,
            is_new=key in ids,
            answered=outcome.answers.get(ids.get(key, "")),
            ended=outcome.ended,
            confirmable=outcome.confirmable,
        )
        for key, person in people.items()
    }
    await tell_of_messages(
        tx, [_received(first[key], taken[key], people[key], now) for key in sorted(first, key=lambda key: ids[key])]
    )
    return [taken[_key(one)] for one in messages]


async def identify(
    tx: AsyncConnection, identified: Sequence[Identified], *, reply_days: float = REPLY_DAYS, hear: Hear | None = None
) -> Outcome:
    """Hidden ids turned out to be numbers: their contacts and threads become one, and what they wrote is looked at."""
    await lock_accounts(tx, {one.account_id for one in identified})
    now = await read_now(tx)
    directory = Directory(lambda: make_id(now))
    names = {
        (one.account_id, name) for one in identified for name in (one.lid, *map(make_chat_id, spellings(one.phone)))
    }
    await read_names(tx, directory, names)
    hidden = {person.id for person in directory.people.values() if person.phone is None}
    for one in identified:
        if (one.account_id, one.lid) in directory.names:  # else nobody has written under it
            directory.person(one.account_id, one.phone, [one.lid])
    await write_directory(tx, directory, now)
    revealed = {directory.find(key).id for key in hidden if directory.find(key).phone is not None}
    return await _react(tx, {}, {}, {}, revealed, directory, now, reply_days, hear)


def _key(one: Incoming) -> Key:
    return one.sender_id, one.wa_id


def _names(one: Incoming) -> list[str]:
    names = [make_chat_id(spelling) for spelling in spellings(one.phone)] if one.phone else []
    return [*names, one.contact_lid] if one.contact_lid else names


def _plain(text: str) -> str:
    """The text without NUL, which no database takes."""
    return text.replace("\x00", "")


async def _places(tx: AsyncConnection, wanted: dict[Place, str], now: float) -> dict[Place, str]:
    """The conversation of each place, begun where there is none; `wanted` has the accounts."""
    places = await find_conversations(tx, wanted)
    missing = sorted(wanted.keys() - places.keys())
    begun = dict(zip(missing, make_ids(now, len(missing)), strict=True))
    if begun:
        await begin_conversations(tx, {place: (key, wanted[place]) for place, key in begun.items()}, now)
    return places | begun


async def _store(
    tx: AsyncConnection, first: dict[Key, Incoming], ids: dict[Key, str], threads: dict[Key, str], now: float
) -> None:
    if not first:
        return
    rows: list[Row] = []
    arrivals: dict[str, Arrival] = {}
    for key, one in first.items():
        text, at = _plain(one.text)[:MAX_TEXT], min(one.at, now)
        thread = threads[key]
        row = Row(ids[key], thread, one.sender_id, one.wa_id, one.kind, text, fold(text), at, now, one.quoted_wa_id)
        rows.append(row)
        before = arrivals.get(thread)
        fresh = before.fresh + 1 if before else 1
        newest = before if before and before.at > at else Arrival(thread, at, _preview(one.kind, text), 0)
        arrivals[thread] = newest._replace(fresh=fresh)
    await store_messages(tx, rows, list(arrivals.values()))


def _preview(kind: str, text: str) -> str:
    return text[:PREVIEW] or ("" if kind == Kind.OTHER else f"({kind})")


async def _react(
    tx: AsyncConnection,
    first: dict[Key, Incoming],
    ids: dict[Key, str],
    people: dict[Key, Person],
    revealed: set[str],
    directory: Directory,
    now: float,
    reply_days: float,
    hear: Hear | None,
) -> Outcome:
    """React to what is new; and, of contacts whose number is known only now, to what they wrote before."""
    heard, said = [], []
    for key, one in first.items():
        phone, at = people[key].phone, min(one.at, now)
        heard.append(Heard(ids[key], one.account_id, one.sender_id, phone, one.kind, at, one.quoted_wa_id))
        if phone is not None and one.kind == Kind.TEXT:
            said.append(Said(one.account_id, one.sender_number, phone, one.text, at))
    if revealed:
        known = {one.id for one in heard}
        contacts = {key: directory.find(key) for key in revealed}
        for row in await written_by(tx, sorted(revealed)):
            person = contacts[row.contact_id]
            if row.id in known:
                continue
            if row.answers_id is None:
                phone = person.phone
                heard.append(Heard(row.id, person.account_id, row.sender_id, phone, row.kind, row.at, row.quoted_wa_id))
            if person.phone is not None and row.kind == Kind.TEXT:
                said.append(Said(person.account_id, row.number, person.phone, row.text, row.at))
    reactions = await react(tx, heard, now, reply_days)
    confirmable = () if hear is None else await hear_all(tx, hear, said)
    return Outcome(reactions.answers, tuple(reactions.ended), confirmable)


def _received(one: Incoming, taken: Taken, person: Person, now: float) -> Received:
    answered = taken.answered if taken.answered and taken.answered.account_id == one.account_id else None
    return Received(
        id=taken.id,
        account_id=one.account_id,
        conversation_id=taken.conversation_id,
        sender_number=one.sender_number,
        phone=person.phone,
        name=person.name,
        wa_id=one.wa_id,
        kind=one.kind,
        text=_plain(one.text)[:MAX_TEXT],
        at=min(one.at, now),
        answers_id=answered.message_id if answered else None,
        campaign_id=answered.campaign_id if answered else None,
    )
