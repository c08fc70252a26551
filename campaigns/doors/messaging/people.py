"""The numbers of a campaign as people: each with the values that its text asks for, as far as the account has them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import select

from campaigns.audience.tables import recipient
from campaigns.doors.messaging.account_schemas import NumbersCampaign
from campaigns.personalization.asking import Person
from campaigns.sending.preparing import read_template
from campaigns.sending.rendering import fold_name
from campaigns.sending.schemas import Recipient, VariableValue
from gateway.background import politely
from gateway.batch import is_among, pack_values
from gateway.db import Database
from gateway.phone import InvalidPhoneNumber, PhoneNumber

NAME = "name"
_KNOWN = select(recipient.c.phone, recipient.c.name, recipient.c.variables).where(
    is_among(recipient.c.phone, "phones", recipient.c.phone.type)
)
Read = Callable[[str], PhoneNumber]


@dataclass(slots=True)
class People:
    """The recipients of a campaign, and what a service may be told of them, by their digits."""

    recipients: list[str | Recipient] = field(default_factory=list)
    told: dict[str, Person] = field(default_factory=dict)


async def read_people(db: Database, account_id: str, body: NumbersCampaign, read: Read) -> People:
    """The people behind a campaign's numbers; what is no number stands as it was given.

    Only values that the text names are looked at; beside them, where it is to be personalized, the name.
    """
    template = read_template(body.message_template, "message_template")
    asked, required = ({fold_name(name) for name in names} for names in (template.variables, template.required))
    if not asked and not body.use_ai_personalization:
        return People(recipients=list(body.phone_numbers))
    numbers = await asyncio.to_thread(_read_all, read, body.phone_numbers)
    known = await _known(db, account_id, sorted({number.digits for number in numbers if number is not None}))
    general = {name: value for name, value in body.variables.items() if fold_name(name) in asked}
    names_all = any(fold_name(name) == NAME for name in general)
    people = People()
    for text, number in zip(body.phone_numbers, numbers, strict=True):
        if number is None:
            people.recipients.append(text)
            continue
        own = known.get(number.digits, {})
        values: dict[str, VariableValue] = {name: value for name, value in own.items() if fold_name(name) in asked}
        people.told.setdefault(number.digits, _person(number, own, {**general, **values}))
        if NAME in required and not names_all:
            values.setdefault(NAME, number.e164)
        people.recipients.append(Recipient(phone=text, variables=values))
    return people


def _person(number: PhoneNumber, own: Mapping[str, Any], values: Mapping[str, Any]) -> Person:
    """A name that is not known is not told: it would be the number."""
    general = next((str(value) for name, value in values.items() if fold_name(name) == NAME), None)
    variables = {name: value for name, value in values.items() if fold_name(name) != NAME}
    return Person(number.digits, own.get(NAME) or general, variables)


async def _known(db: Database, account_id: str, phones: Sequence[str]) -> dict[str, dict[str, Any]]:
    async with db.read() as connection:
        query = _KNOWN.where(recipient.c.account_id == account_id)
        rows = (await connection.execute(query, {"phones": pack_values(phones)})).all()
    return {row.phone: {**orjson.loads(row.variables), NAME: row.name} for row in rows}


def _read_all(read: Read, texts: Sequence[str]) -> list[PhoneNumber | None]:
    """For a worker thread: the numbers that texts say, None for what is none."""
    return [_read_one(read, text) for text in politely(texts)]


def _read_one(read: Read, text: str) -> PhoneNumber | None:
    try:
        return read(text)
    except InvalidPhoneNumber:
        return None  # told as a bad row, with its reason
