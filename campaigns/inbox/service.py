"""The inbox as people use it: find a conversation, read it, answer in it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from campaigns.audience.phone_search import digits_meant
from campaigns.inbox import queries
from campaigns.sending.models import Purpose
from campaigns.sending.service import CampaignService
from campaigns.sending.single import single_message
from gateway.auth.access import Caller, Scope
from gateway.db import AnyRow, Database
from gateway.errors import NotFound, WrongState
from gateway.folding import fold
from sessions.queries import find_session


class InboxService:
    """Conversations within a caller's scope; answers leave through `campaigns`, as everything does."""

    def __init__(self, db: Database, campaigns: CampaignService) -> None:
        self._db = db
        self._campaigns = campaigns
        self.phones = campaigns.phones

    async def page(
        self, scope: Scope, *, unread: bool | None, search: str, offset: int, limit: int
    ) -> tuple[Sequence[AnyRow], int]:
        """Some conversations, the one that was written in last first, and how many there are."""
        async with self._db.read() as connection:
            return await queries.list_conversations(
                connection,
                scope,
                unread=unread,
                folded_search=fold(search),
                phone_search=digits_meant(search, self.phones.read),
                offset=offset,
                limit=limit,
            )

    async def messages(
        self, conversation_id: str, scope: Scope, offset: int, limit: int
    ) -> tuple[Sequence[AnyRow], int]:
        """Some messages of a conversation, newest first, and how many there are; raises `NotFound`."""
        row = await self.get(conversation_id, scope)
        async with self._db.read() as connection:
            return await queries.list_messages(connection, row, offset, limit)

    async def mark_read(self, conversation_id: str, scope: Scope) -> AnyRow:
        """Nothing in it is unread any more; raises `NotFound`."""
        await self.get(conversation_id, scope)
        async with self._db.write() as tx:
            await queries.mark_read(tx, conversation_id)
        return await self.get(conversation_id, scope)

    async def reply(
        self, caller: Caller, conversation_id: str, scope: Scope, text: str, idempotency_key: str | None
    ) -> AnyRow:
        """Queue an answer from the same number, before everything else that it sends; gives its message.

        Raises:
            NotFound: there is no such conversation, or the number is not the caller's to send from.
            WrongState: WhatsApp has told no number to answer to.
        """
        row = await self.get(conversation_id, scope)
        if row.phone is None:
            raise WrongState("WhatsApp has not told whose number this is yet; try again later")
        request = single_message([f"+{row.number}"], f"+{row.phone}", text, queue_if_offline=True)
        owner = replace(caller, account_id=row.account_id)  # an operator answers for whose conversation it is
        answer = await self._campaigns.submit(owner, request, idempotency_key, purpose=Purpose.REPLY)
        campaign_id = str(answer["campaign"]["id"])
        async with self._db.write() as tx:
            await queries.note_reply(tx, conversation_id, campaign_id)
            return await queries.find_reply(tx, campaign_id)

    async def send(
        self, caller: Caller, sender_number: str, recipient: str, text: str, idempotency_key: str | None
    ) -> dict[str, Any]:
        """Queue a text to anybody (numbers are digits); gives its campaign. It waits for a session that is away.

        Raises:
            NotFound: the number is not the caller's to send from.
            SessionNotConnected: the number has no session.
        """
        async with self._db.read() as connection:
            has_session = await find_session(connection, sender_number) is not None
        request = single_message([f"+{sender_number}"], f"+{recipient}", text, queue_if_offline=has_session)
        answer = await self._campaigns.submit(caller, request, idempotency_key)
        campaign: dict[str, Any] = answer["campaign"]
        return campaign

    async def get(self, conversation_id: str, scope: Scope) -> AnyRow:
        """One conversation; raises `NotFound`."""
        async with self._db.read() as connection:
            row = await queries.find_conversation(connection, conversation_id, scope)
        if row is None:
            raise NotFound("there is no such conversation, or it is not yours")
        return row
