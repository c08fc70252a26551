"""SQL of the intake: what is known of a batch of incoming messages, and writing what it brings.

Each statement is for the whole batch. Accounts are locked first (`lock_accounts`), so that nobody else makes contacts
of theirs meanwhile.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Integer, String, Text, case, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.inbox.identities import Directory, Merge, Person
from campaigns.inbox.tables import contact, conversation, conversation_reply, identity, incoming_message
from gateway.auth.models import Account
from gateway.batch import batch, is_among, pack, pack_values
from gateway.db import ID, SECONDS, AnyRow, table_of
from gateway.folding import fold
from sessions.models import Sender

account = table_of(Account)
sender = table_of(Sender)

Place = tuple[int, str]
"""Where a message belongs: a sender and a contact."""


class Row(NamedTuple):
    """A message as the table takes it."""

    id: str
    conversation_id: str
    sender_id: int
    wa_id: str
    kind: str
    text: str
    search_text: str
    at: float
    received_at: float
    quoted_wa_id: str | None


class Arrival(NamedTuple):
    """What a batch brings to one conversation."""

    conversation_id: str
    at: float
    text: str
    fresh: int


_LOCK = (
    select(account.c.id)
    .where(is_among(account.c.id, "ids", String()))
    .order_by(account.c.id)
    .with_for_update(key_share=True)  # rows that refer to it may be written meanwhile
)
_told = batch("told", sender_id=Integer(), wa_id=String())
_REPEATED = select(
    incoming_message.c.id,
    incoming_message.c.sender_id,
    incoming_message.c.wa_id,
    incoming_message.c.answers_id,
    contact.c.id.label("contact_id"),
    contact.c.account_id,
    contact.c.phone,
    contact.c.name,
).select_from(
    _told.join(
        incoming_message,
        (incoming_message.c.sender_id == _told.c.sender_id) & (incoming_message.c.wa_id == _told.c.wa_id),
    )
    .join(conversation, conversation.c.id == incoming_message.c.conversation_id)
    .join(contact, contact.c.id == conversation.c.contact_id)
)
_asked = batch("asked", account_id=String(), name=String())
_NAMED = select(
    identity.c.name.label("identity"), contact.c.id, contact.c.account_id, contact.c.phone, contact.c.name
).select_from(
    _asked.join(identity, (identity.c.account_id == _asked.c.account_id) & (identity.c.name == _asked.c.name)).join(
        contact, contact.c.id == identity.c.contact_id
    )
)
_contacts = batch(
    "contacts", id=ID, account_id=String(), phone=String(), name=String(), search_text=Text(), created_at=SECONDS
)
_ADD_CONTACTS = insert(contact).from_select(list(_contacts.c.keys()), select(*_contacts.c))
_CHANGE_CONTACTS = (
    update(contact)
    .where(contact.c.id == _contacts.c.id)
    .values(phone=_contacts.c.phone, name=_contacts.c.name, search_text=_contacts.c.search_text)
)
_identities = batch("identities", account_id=String(), name=String(), contact_id=ID)
_ADD_NAMES = insert(identity).from_select(list(_identities.c.keys()), select(*_identities.c))
_MOVE_NAMES = (
    update(identity)
    .where(identity.c.account_id == _identities.c.account_id, identity.c.name == _identities.c.name)
    .values(contact_id=_identities.c.contact_id)
)
_places = batch("places", sender_id=Integer(), contact_id=ID)
_CONVERSATIONS = select(conversation.c.id, conversation.c.sender_id, conversation.c.contact_id).select_from(
    _places.join(
        conversation,
        (conversation.c.sender_id == _places.c.sender_id) & (conversation.c.contact_id == _places.c.contact_id),
    )
)
_begun = batch(
    "begun",
    id=ID,
    account_id=String(),
    sender_id=Integer(),
    contact_id=ID,
    last_message_at=SECONDS,
    last_text=String(),
    unread=Integer(),
    created_at=SECONDS,
)
_BEGIN = insert(conversation).from_select(list(_begun.c.keys()), select(*_begun.c))
_arrivals = batch("arrivals", id=ID, at=SECONDS, text=String(), fresh=Integer())
_is_newer = _arrivals.c.at >= conversation.c.last_message_at
_ARRIVE = (
    update(conversation)
    .where(conversation.c.id == _arrivals.c.id)
    .values(
        last_message_at=case((_is_newer, _arrivals.c.at), else_=conversation.c.last_message_at),
        last_text=case((_is_newer, _arrivals.c.text), else_=conversation.c.last_text),
        unread=conversation.c.unread + _arrivals.c.fresh,
    )
)
_rows = batch(
    "rows",
    id=ID,
    conversation_id=ID,
    sender_id=Integer(),
    wa_id=String(),
    kind=String(),
    text=Text(),
    search_text=Text(),
    at=SECONDS,
    received_at=SECONDS,
    quoted_wa_id=String(),
)
_STORE = insert(incoming_message).from_select(list(_rows.c.keys()), select(*_rows.c))
_WRITTEN_BY = (
    select(
        incoming_message.c.id,
        conversation.c.contact_id,
        incoming_message.c.sender_id,
        incoming_message.c.kind,
        incoming_message.c.at,
        incoming_message.c.quoted_wa_id,
        incoming_message.c.answers_id,
        incoming_message.c.text,
        sender.c.number,
    )
    .join(conversation, conversation.c.id == incoming_message.c.conversation_id)
    .join(sender, sender.c.id == incoming_message.c.sender_id)
    .where(is_among(conversation.c.contact_id, "contacts", ID))
    .order_by(incoming_message.c.at, incoming_message.c.id)
)


async def lock_accounts(tx: AsyncConnection, account_ids: Collection[str]) -> None:
    """Be the only one who makes and merges contacts of these accounts, until the end of the transaction."""
    await tx.execute(_LOCK, {"ids": pack_values(sorted(set(account_ids)))})


async def find_repeated(tx: AsyncConnection, told: Collection[tuple[int, str]]) -> dict[tuple[int, str], AnyRow]:
    """Those messages (sender, WhatsApp's id) that are stored already, with their contacts."""
    rows = (await tx.execute(_REPEATED, {"told": pack(told)})).all()
    return {(row.sender_id, row.wa_id): row for row in rows}


async def read_names(tx: AsyncConnection, directory: Directory, names: Collection[tuple[str, str]]) -> None:
    """Have the directory know the contacts with these names (account, name)."""
    for row in (await tx.execute(_NAMED, {"asked": pack(sorted(names))})).all():
        directory.know(Person(row.id, row.account_id, row.phone, row.name), row.identity)


async def write_directory(tx: AsyncConnection, directory: Directory, now: float) -> None:
    """Store what has become known of contacts, merge those that are one, and their threads with them."""
    people = [person for person in directory.people.values() if directory.find(person.id) is person]
    if made := [_contact_row(person, now) for person in people if person.is_new]:
        await tx.execute(_ADD_CONTACTS, {"contacts": pack(made)})
    if changed := [_contact_row(person, now) for person in people if person.changed and not person.is_new]:
        await tx.execute(_CHANGE_CONTACTS, {"contacts": pack(changed)})
    for names, statement in ((directory.new_names, _ADD_NAMES), (directory.moved_names, _MOVE_NAMES)):
        if names:
            rows = sorted((*key, directory.find(person_id).id) for key, person_id in names.items())
            await tx.execute(statement, {"identities": pack(rows)})
    for merge in directory.merges:
        await _merge(tx, merge, directory.find(merge.winner).id)


def _contact_row(person: Person, now: float) -> tuple[Any, ...]:
    search = f"{fold(person.name)} {person.phone or ''}".strip()
    return person.id, person.account_id, person.phone, person.name, search, now


async def _merge(tx: AsyncConnection, merge: Merge, winner: str) -> None:
    """The loser's names and threads become the winner's. Where both have a thread with a sender, they become one."""
    await tx.execute(update(identity).where(identity.c.contact_id == merge.loser).values(contact_id=winner))
    both = select(conversation).where(conversation.c.contact_id.in_((merge.loser, winner)))
    rows = (await tx.execute(both.order_by(conversation.c.id))).all()
    kept = {row.sender_id: row for row in rows if row.contact_id == winner}
    for row in rows:
        if row.contact_id == winner:
            continue
        if row.sender_id in kept:
            await _join_threads(tx, kept[row.sender_id], row)
        else:
            await tx.execute(update(conversation).where(conversation.c.id == row.id).values(contact_id=winner))
    await tx.execute(delete(contact).where(contact.c.id == merge.loser))


async def _join_threads(tx: AsyncConnection, into: AnyRow, row: AnyRow) -> None:
    for table in (incoming_message, conversation_reply):
        await tx.execute(update(table).where(table.c.conversation_id == row.id).values(conversation_id=into.id))
    values: dict[str, Any] = {"unread": conversation.c.unread + row.unread}
    if row.last_message_at > into.last_message_at:
        values |= {"last_message_at": row.last_message_at, "last_text": row.last_text}
    await tx.execute(update(conversation).where(conversation.c.id == into.id).values(**values))
    await tx.execute(delete(conversation).where(conversation.c.id == row.id))


async def find_conversations(tx: AsyncConnection, places: Collection[Place]) -> dict[Place, str]:
    """The conversations of senders with contacts, those that there are."""
    rows = (await tx.execute(_CONVERSATIONS, {"places": pack(sorted(places))})).all()
    return {(row.sender_id, row.contact_id): row.id for row in rows}


async def begin_conversations(tx: AsyncConnection, begun: Mapping[Place, tuple[str, str]], now: float) -> None:
    """Store new conversations, of which each has its id and its account; nothing has come in yet."""
    rows = [(key, account_id, *place, 0.0, "", 0, now) for place, (key, account_id) in sorted(begun.items())]
    await tx.execute(_BEGIN, {"begun": pack(rows)})


async def store_messages(tx: AsyncConnection, rows: Sequence[Row], arrivals: Sequence[Arrival]) -> None:
    """Store new messages, and what they change in their conversations."""
    await tx.execute(_STORE, {"rows": pack(map(tuple, rows))})
    await tx.execute(_ARRIVE, {"arrivals": pack(map(tuple, sorted(arrivals)))})


async def written_by(tx: AsyncConnection, contact_ids: Collection[str]) -> Sequence[AnyRow]:
    """What came in from contacts, oldest first, with the number of ours (`number`: digits) that they wrote to."""
    return (await tx.execute(_WRITTEN_BY, {"contacts": pack_values(contact_ids)})).all()
