"""What is known of a number: by its plan, by the list of carriers, and by WhatsApp through a number of ours."""

import asyncio
import importlib
from dataclasses import dataclass

import phonenumbers
import structlog
from phonenumbers import PhoneNumberType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.numbers import CheckedNumbers
from campaigns.doors.messaging.account_schemas import NumberOut
from campaigns.doors.messaging.rates import CHECKS, Rate
from campaigns.sending.tables import sender, session
from gateway.auth.access import Caller, PhoneReader
from gateway.db import AnyRow, Database, read_now
from gateway.phone import InvalidPhoneNumber, PhoneNumber
from gateway.waha.errors import WahaError, WahaNotImplemented
from gateway.waha.schemas import NumberCheck
from sessions.models import SessionState
from sessions.servers.fleet import Fleet

log = structlog.get_logger()

MOST_ASKED = 3
"""So many of an account's numbers are tried, where the servers of the first ones do not answer."""
NOBODY = "none of your numbers is connected, so nobody can ask WhatsApp"
CANNOT_TELL = "the WAHA servers of your numbers cannot tell"
NO_ANSWER = "the WAHA servers of your numbers did not answer"
_TYPES = {value: name.lower() for name, value in vars(PhoneNumberType).items() if name.isupper()}


@dataclass(frozen=True, slots=True)
class Verdict:
    """WhatsApp's word on a number, and when it was given; or why there is none."""

    exists: bool | None
    at: float
    reason: str | None = None


class NumberLooks:
    """Looks at numbers. WhatsApp's answers are kept for 30 days, whoever asked."""

    def __init__(self, db: Database, fleet: Fleet, phones: PhoneReader, numbers: CheckedNumbers) -> None:
        self._db = db
        self._fleet = fleet
        self._phones = phones
        self._numbers = numbers

    async def look(self, caller: Caller, text: str, rate: Rate) -> NumberOut:
        """What is known of the number that a text says.

        Raises:
            RateLimited: WhatsApp would have to be asked, and the caller had it asked too often in this minute.
        """
        async with self._db.read() as connection:
            now = await read_now(connection)
        try:
            number = self._phones.read(text)
        except InvalidPhoneNumber as error:
            return NumberOut(
                is_valid=False,
                formatted_number=None,
                can_receive_messages=False,
                carrier_info=None,
                checked_at=now,
                region=None,
                type=None,
                reason=str(error),
            )
        word = await self._word(caller, number, rate, now)
        plan = await asyncio.to_thread(_plan_of, number)
        return NumberOut(
            is_valid=number.grade == "valid",
            formatted_number=number.e164,
            can_receive_messages=word.exists,
            carrier_info=plan.carrier,
            checked_at=word.at,
            region=plan.region,
            type=plan.kind,
            reason=word.reason,
        )

    async def _word(self, caller: Caller, number: PhoneNumber, rate: Rate, now: float) -> Verdict:
        if (known := await self._numbers.find_dated(number.digits)) is not None:
            check, checked_at = known
            return Verdict(check.exists, checked_at)
        async with self._db.read() as connection:
            lines = await _connected(connection, caller.account_id)
        if not lines:
            return Verdict(None, now, NOBODY)
        await rate.hit(CHECKS)
        found = await self._ask(lines, number.digits)
        if isinstance(found, str):
            return Verdict(None, now, found)
        async with self._db.write() as tx:
            asked_at = await read_now(tx)
            await self._numbers.store(tx, number.digits, found, asked_at)
        return Verdict(found.exists, asked_at)

    async def _ask(self, lines: list[AnyRow], digits: str) -> NumberCheck | str:
        """WhatsApp's answer through the first line that gives one, or why there is none."""
        reason = NO_ANSWER
        for line in lines:
            client = self._fleet.client(line.server_id)
            if client is None:
                continue
            try:
                return await client.check_number(line.name, digits)
            except WahaNotImplemented:
                reason = CANNOT_TELL
            except WahaError as error:
                log.warning("number_not_checked", server_id=line.server_id, error=error.message)
        return reason


async def _connected(connection: AsyncConnection, account_id: str) -> list[AnyRow]:
    query = (
        select(session.c.name, session.c.server_id)
        .join(sender, sender.c.id == session.c.sender_id)
        .where(sender.c.account_id == account_id, sender.c.proven, session.c.state == SessionState.CONNECTED)
        .order_by(sender.c.id)
        .limit(MOST_ASKED)
    )
    return list((await connection.execute(query)).all())


@dataclass(frozen=True, slots=True)
class Plan:
    """What a country's numbering plan says of a number."""

    region: str | None
    kind: str | None
    carrier: str | None


def _plan_of(number: PhoneNumber) -> Plan:
    """For a worker thread: the first time it reads much."""
    try:
        parsed = phonenumbers.parse(number.e164)
    except phonenumbers.NumberParseException:
        return Plan(None, None, None)
    # imported here, because its data takes long to read and much memory, and most gateways are never asked for it
    carriers = importlib.import_module("phonenumbers.carrier")
    kind = _TYPES[phonenumbers.number_type(parsed)]
    return Plan(
        region=phonenumbers.region_code_for_number(parsed),
        kind=None if kind == "unknown" else kind,
        carrier=carriers.name_for_number(parsed, "en") or None,
    )
