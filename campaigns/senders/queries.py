"""SQL of the list of senders: their sessions, with what their lanes say."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.paging import fetch_page
from campaigns.sending.tables import lane, sender, server, session
from gateway.auth.access import Scope
from gateway.db import AnyRow
from sessions.queries import SESSION_COLUMNS


@dataclass(frozen=True, slots=True)
class Filters:
    """Which senders a list shows; empty shows all. `digits` are the numbers that a search may mean."""

    states: Sequence[str] = ()
    server: str = ""
    search: str = ""
    digits: Sequence[str] = ()


async def list_senders(
    connection: AsyncConnection, scope: Scope, filters: Filters, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of the senders that have a session, by number, and how many there are."""
    query = (
        select(
            *SESSION_COLUMNS,
            lane.c.message_delay,
            lane.c.daily_cap,
            lane.c.timezone,
            lane.c.sent_today,
            lane.c.day_ends_at,
        )
        .select_from(
            sender.join(session, session.c.sender_id == sender.c.id)
            .join(server, server.c.id == session.c.server_id)
            .outerjoin(lane, lane.c.sender_id == sender.c.id)
        )
        .where(*_within(scope), *_matching(filters))
    )
    return await fetch_page(connection, query.order_by(sender.c.number), offset, limit)


def _within(scope: Scope) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if scope.account_id is not None:
        where.append(sender.c.account_id == scope.account_id)
    if scope.number is not None:
        where.append(sender.c.number == scope.number)
    return where


def _matching(filters: Filters) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if filters.states:
        where.append(session.c.state.in_(filters.states))
    if filters.server:
        where.append(server.c.name == filters.server)
    if filters.search:
        by_number = (sender.c.number.contains(digits, autoescape=True) for digits in filters.digits)
        where.append(or_(session.c.push_name.icontains(filters.search, autoescape=True), *by_number))
    return where
