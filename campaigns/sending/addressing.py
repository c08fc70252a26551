"""Where a message goes: the chat id of its recipient, asked of WhatsApp before the first send where the policy says so.

A number may be on WhatsApp under another one (in Brazil, without its ninth digit) or not at all. The chat id is
committed *before* the send, like the message's id: whatever happens after it, the look-up asks for the right chat. A
check itself sends nothing, so whatever goes wrong with one leaves the message surely not sent.
"""

import structlog
from sqlalchemy import exists, select, update
from sqlalchemy.exc import SQLAlchemyError

from campaigns.audience.numbers import CheckedNumbers
from campaigns.sending.outcomes import Claim, Outcome, Result
from campaigns.sending.tables import lane, message
from gateway.clock import Clock
from gateway.db import Database, read_now
from gateway.waha.client import WahaClient
from gateway.waha.errors import WahaNotImplemented
from gateway.waha.ids import ChatKind, make_chat_id, normalize_chat_id, parse_chat_id
from gateway.waha.schemas import NumberCheck

log = structlog.get_logger()

NOT_ON_WHATSAPP = "the number is not on WhatsApp"


class Addresses:
    """Finds the chat id of a claimed message's recipient."""

    def __init__(self, db: Database, clock: Clock, numbers: CheckedNumbers) -> None:
        self._db = db
        self._clock = clock
        self._numbers = numbers

    async def find(self, client: WahaClient, claim: Claim) -> str | Outcome:
        """The chat id to send to; or how the claim ends without a send.

        Raises `WahaError` where WAHA did not answer the check.
        """
        plain = make_chat_id(claim.phone)
        if claim.chat_id is not None or not self._numbers.covers(claim.phone):
            return claim.chat_id or plain
        try:
            return await self._checked(client, claim, plain)
        except (SQLAlchemyError, OSError) as error:
            log.error("number_check_failed", error=str(error), message_id=claim.message_id)
            return Outcome(Result.LATER, "backoff", "the database did not answer", 1.0)

    async def _checked(self, client: WahaClient, claim: Claim, plain: str) -> str | Outcome:
        answered_at = self._clock.monotonic()
        check, asked = await self._numbers.find(claim.phone), False
        if check is None:
            try:
                check, asked = await client.check_number(claim.session_name, claim.phone), True
            except WahaNotImplemented:
                return plain  # this engine cannot tell
            answered_at = self._clock.monotonic()
        chat_id = _chat_id_of(check) or plain
        if (asked or chat_id != plain) and not await self._commit(claim, check, chat_id, plain, asked=asked):
            return Outcome(Result.RELEASED)
        if not check.exists:
            return Outcome(Result.SKIPPED, "not_on_whatsapp", NOT_ON_WHATSAPP, answered=asked, answered_at=answered_at)
        return chat_id

    async def _commit(self, claim: Claim, check: NumberCheck, chat_id: str, plain: str, *, asked: bool) -> bool:
        """Store what was told and where the message goes; False if the lane is not ours any more: nothing may leave.

        After a question, which may have taken long, the time of the send is set anew: uncertainty is held from there.
        """
        ours = select(lane.c.sender_id).where(
            lane.c.sender_id == claim.sender_id, lane.c.epoch == claim.epoch, lane.c.message_id == claim.message_id
        )
        async with self._db.write() as tx:
            now = await read_now(tx)
            if asked:
                await self._numbers.store(tx, claim.phone, check, now)
            done = await tx.execute(
                update(message)
                .where(message.c.id == claim.message_id, message.c.state == "sending", exists(ours))
                .values(
                    chat_id=chat_id if chat_id != plain else None,
                    started_at=now if asked else message.c.started_at,
                )
            )
        return done.rowcount == 1


def _chat_id_of(check: NumberCheck) -> str | None:
    """The chat id that WAHA told, as it spells it; None for none, or for one that is not a person's."""
    chat = parse_chat_id(check.chat_id)
    if chat is None or chat.kind is ChatKind.GROUP or check.chat_id is None:
        return None
    return normalize_chat_id(check.chat_id)
