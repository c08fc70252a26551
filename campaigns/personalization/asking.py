"""One question to the service that writes a text for a recipient, and what its answer is worth.

The operator has named its address, so it may be in the operator's own network. It is called at exactly that address:
a redirect is an answer like any other that is not a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from aiohttp.resolver import ThreadedResolver

from campaigns.personalization.words import Outcome
from campaigns.sending.rendering import MAX_TEXT, Value, sendable
from gateway.fetch import BadAnswer, BadStatus, TooLarge, read_content
from gateway.guarded import CallError, Rules, TooSlow, guarded_session
from gateway.settings import PersonalizationSettings

MAX_ANSWER_BYTES = 64 * 1024
"""More than the longest text can have, however it is written."""
_ANYWHERE = Rules(allow_private=True, ports=(), ports_told="")
_OUTCOMES: tuple[tuple[type[CallError], Outcome], ...] = (
    (TooSlow, Outcome.TOO_SLOW),
    (TooLarge, Outcome.TOO_LARGE),
    (BadStatus, Outcome.BAD_STATUS),
    (BadAnswer, Outcome.NOT_JSON),
)


@dataclass(frozen=True, slots=True)
class Person:
    """What is told of a recipient: nothing but what a text can be made of."""

    phone: str
    name: str | None
    variables: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Written:
    """A text that can be sent as it is; None, with the reason as the outcome, if there is none."""

    outcome: Outcome
    text: str | None = None


async def ask(settings: PersonalizationSettings, template: str, person: Person) -> Written:
    """The service's text for one recipient. Whatever goes wrong is an outcome, never an exception."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key := settings.api_key.get_secret_value():
        headers["Authorization"] = f"Bearer {key}"
    body = _question(settings, template, person)
    try:
        async with (
            guarded_session(_ANYWHERE, ThreadedResolver(), settings.timeout_seconds) as session,
            session.post(settings.url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            content = await _content(response)
    except CallError as error:
        return Written(next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), Outcome.UNREACHABLE))
    return read_answer(content, settings.max_characters)


def read_answer(content: bytes, max_characters: int) -> Written:
    """The text in an answer, if it is one that may be sent: it is not cut off, and holds no marker of a template."""
    try:
        answer: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return Written(Outcome.NOT_JSON)
    text = answer.get("text") if isinstance(answer, dict) else None
    if text is None or (isinstance(text, str) and not sendable(text).strip()):
        return Written(Outcome.EMPTY)
    if not isinstance(text, str):
        return Written(Outcome.NOT_JSON)
    text = sendable(text).strip()
    if len(text) > min(max_characters, MAX_TEXT):
        return Written(Outcome.TOO_LONG)
    if "{{" in text or "}}" in text:
        return Written(Outcome.UNFILLED)
    return Written(Outcome.PERSONALIZED, text)


def _question(settings: PersonalizationSettings, template: str, person: Person) -> bytes:
    recipient: dict[str, Any] = {"name": person.name, "variables": dict(person.variables)}
    if settings.send_numbers:
        recipient["phone_number"] = f"+{person.phone}"
    return orjson.dumps({"template": template, "recipient": recipient, "max_characters": settings.max_characters})


async def _content(response: aiohttp.ClientResponse) -> bytes:
    return (await read_content(response, MAX_ANSWER_BYTES)).content
