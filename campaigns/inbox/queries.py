"""SQL of reading the inbox. Conversations are those within a scope; None is everybody's."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, String, and_, bindparam, exists, func, literal_column, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.correspondents import spellings
from campaigns.audience.tables import recipient
from campaigns.inbox.tables import contact, conversation, conversation_reply, incoming_message
from campaigns.paging import fetch_page
from campaigns.sending.tables import campaign, message
from gateway.auth.access import Scope
from gateway.batch import batch, is_among, pack, pack_values
from gateway.db import ID, AnyRow
from gateway.folding import contains
from sessions.queries import sender, session


class Line(NamedTuple):
    """A session of a server, by its name."""

    server_id: str
    session: str


_lines = batch("lines", server_id=String(), session=String())
_SENDERS = select(
    _lines.c.server_id,
    _lines.c.session,
    session.c.sender_id,
    sender.c.number,
    sender.c.account_id,
).select_from(
    _lines.join(
        session,
        (session.c.name == _lines.c.session)
        & or_(session.c.server_id == _lines.c.server_id, session.c.moving_to == _lines.c.server_id),
    ).join(sender, sender.c.id == session.c.sender_id)
)


async def find_lines(connection: AsyncConnection, lines: Collection[Line]) -> dict[Line, AnyRow]:
    """The senders behind sessions (columns: sender_id, number, account_id); those that are ours."""
    rows = (await connection.execute(_SENDERS, {"lines": pack(map(tuple, sorted(lines)))})).all()
    return {Line(row.server_id, row.session): row for row in rows}


async def lines_named(connection: AsyncConnection, name: str) -> Sequence[AnyRow]:
    """The sessions with this name, on whichever server (columns: server_id, sender_id, number, account_id)."""
    query = select(session.c.server_id, session.c.sender_id, sender.c.number, sender.c.account_id)
    return (
        await connection.execute(query.join(sender, sender.c.id == session.c.sender_id).where(session.c.name == name))
    ).all()


# --- conversations ----------------------------------------------------------------------------------------------------

_CONVERSATIONS = select(
    conversation,
    sender.c.number,
    contact.c.phone,
    func.coalesce(recipient.c.name, contact.c.name).label("name"),
).select_from(
    conversation.join(sender, sender.c.id == conversation.c.sender_id)
    .join(contact, contact.c.id == conversation.c.contact_id)
    .outerjoin(
        recipient, and_(recipient.c.account_id == conversation.c.account_id, recipient.c.phone == contact.c.phone)
    )
)


def _within(scope: Scope) -> list[ColumnElement[bool]]:
    """That a conversation is its account's, and with its number."""
    where: list[ColumnElement[bool]] = []
    if scope.account_id is not None:
        where.append(conversation.c.account_id == scope.account_id)
    if scope.number is not None:
        where.append(sender.c.number == scope.number)
    return where


async def find_conversation(connection: AsyncConnection, conversation_id: str, scope: Scope) -> AnyRow | None:
    """A conversation, with its two ends; None also where it is not within the scope."""
    query = _CONVERSATIONS.where(conversation.c.id == conversation_id, *_within(scope))
    return (await connection.execute(query)).first()


async def list_conversations(
    connection: AsyncConnection,
    scope: Scope,
    *,
    unread: bool | None,
    folded_search: str,
    phone_search: Sequence[str],
    offset: int,
    limit: int,
) -> tuple[Sequence[AnyRow], int]:
    """A page of conversations, the one that was written in last first, and how many there are.

    The search is in names, in numbers (`phone_search`: digits, each as somebody might have meant them), and in what
    came in.
    """
    query = _CONVERSATIONS.where(*_within(scope))
    if unread is not None:
        query = query.where(conversation.c.unread > 0 if unread else conversation.c.unread == 0)
    if texts := dict.fromkeys(text for text in (folded_search, *phone_search) if text):
        wrote = exists(
            select(incoming_message.c.id).where(
                incoming_message.c.conversation_id == conversation.c.id,
                contains(incoming_message.c.search_text, folded_search),
            )
        )
        found = (contains(table.c.search_text, text) for table in (contact, recipient) for text in texts)
        query = query.where(or_(*found, wrote))
    newest = (conversation.c.last_message_at.desc(), conversation.c.id.desc())
    return await fetch_page(connection, query.order_by(*newest), offset, limit)


async def mark_read(tx: AsyncConnection, conversation_id: str) -> None:
    """Nothing in it is unread any more."""
    await tx.execute(update(conversation).where(conversation.c.id == conversation_id).values(unread=0))


# --- messages of a conversation ---------------------------------------------------------------------------------------


def _incoming(row: AnyRow) -> Select[*tuple[Any, ...]]:
    return select(incoming_message.c.id, incoming_message.c.at.label("at"), literal_column("1").label("came_in")).where(
        incoming_message.c.conversation_id == row.id
    )


def _left(row: AnyRow) -> Select[*tuple[Any, ...]]:
    """What has left to this contact through this sender, of whatever campaign of the account."""
    return (
        select(message.c.id, message.c.sent_at.label("at"), literal_column("0").label("came_in"))
        .join(campaign, campaign.c.id == message.c.campaign_id)
        .where(
            message.c.phone.in_(list(spellings(row.phone)) if row.phone else []),
            literal_column("message.sent_at IS NOT NULL"),
            message.c.sender_id == row.sender_id,
            campaign.c.account_id == row.account_id,
        )
    )


def _not_left(row: AnyRow) -> Select[*tuple[Any, ...]]:
    """Replies from here that have not left (yet)."""
    return (
        select(message.c.id, message.c.created_at.label("at"), literal_column("0").label("came_in"))
        .join(conversation_reply, conversation_reply.c.campaign_id == message.c.campaign_id)
        .where(conversation_reply.c.conversation_id == row.id, message.c.sent_at.is_(None))
    )


async def list_messages(connection: AsyncConnection, row: AnyRow, offset: int, limit: int) -> tuple[list[AnyRow], int]:
    """A page of a conversation's messages of both directions, newest first, and how many there are.

    Rows that came in have the columns of `_CAME_IN`, those that we sent the ones of `_WENT_OUT`.
    """
    parts = [make(row) for make in (_incoming, _left, _not_left)]
    newest = [part.order_by(literal_column("at").desc()).limit(offset + limit).subquery() for part in parts]
    both = select(newest[0]).union_all(*(select(part) for part in newest[1:])).subquery("thread")
    page = select(both).order_by(both.c.at.desc(), both.c.id.desc()).offset(offset).limit(limit)
    found = (await connection.execute(page)).all()
    total = 0
    for part in parts:
        counted = select(func.count()).select_from(part.subquery())
        total += (await connection.execute(counted)).scalar_one()
    ids = pack_values(one.id for one in found)
    came = (await connection.execute(_CAME_IN, {"ids": ids, "account": row.account_id})).all()
    went = (await connection.execute(_WENT_OUT, {"ids": ids})).all()
    rows: dict[str, AnyRow] = {one.id: one for one in (*came, *went)}
    return [rows[one.id] for one in found], total


_CAME_IN = (
    select(
        literal_column("1").label("came_in"),
        incoming_message.c.id,
        incoming_message.c.at,
        incoming_message.c.kind,
        incoming_message.c.text,
        incoming_message.c.wa_id,
        incoming_message.c.answers_id,
        campaign.c.id.label("campaign_id"),
    )
    .outerjoin(
        campaign,
        and_(campaign.c.id == incoming_message.c.campaign_id, campaign.c.account_id == bindparam("account")),
    )
    .where(is_among(incoming_message.c.id, "ids", ID))
)
_WENT_OUT_OF = select(
    literal_column("0").label("came_in"),
    message,
    func.coalesce(message.c.text, campaign.c.template).label("full_text"),
    campaign.c.media_id,
).join(campaign, campaign.c.id == message.c.campaign_id)
_WENT_OUT = _WENT_OUT_OF.where(is_among(message.c.id, "ids", ID))


async def find_reply(connection: AsyncConnection, campaign_id: str) -> AnyRow:
    """The one message of a campaign that is a reply, as `list_messages` gives it."""
    query = _WENT_OUT_OF.where(message.c.campaign_id == campaign_id)
    found: AnyRow = (await connection.execute(query)).one()
    return found


async def note_reply(tx: AsyncConnection, conversation_id: str, campaign_id: str) -> None:
    """Have a campaign show in a conversation; it may do so already."""
    upsert = (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(conversation_reply)
    values = {"campaign_id": campaign_id, "conversation_id": conversation_id}
    await tx.execute(upsert.values(**values).on_conflict_do_nothing(index_elements=["campaign_id"]))
