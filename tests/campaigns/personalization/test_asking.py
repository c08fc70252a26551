"""What an answer of the service is worth, and what it is asked: over a real socket."""

import json
from contextlib import AbstractAsyncContextManager

import pytest
from pydantic import ValidationError

from campaigns.personalization.asking import MAX_ANSWER_BYTES, Person, Written, ask, read_answer
from campaigns.personalization.words import Outcome
from gateway.settings import PersonalizationSettings
from tests.harness.receiver import OK, Receiver, Request, Say, status

ADA = Person("447700900100", "Ada", {"city": "Köln", "visits": 3})


class Writer(Receiver):
    """A service that writes; what it is sent is JSON."""

    def check(self, request: Request) -> None:
        assert request.headers["content-type"] == "application/json"
        assert set(request.event) == {"template", "recipient", "max_characters"}


def text(words: str) -> bytes:
    """A right answer."""
    return status(200, "Content-Type: application/json", body=json.dumps({"text": words}))


def writer(said: Say) -> AbstractAsyncContextManager[Receiver]:
    """A service that says the same each time."""
    return Writer(lambda _: said).listening()


async def asked(service: Receiver, **settings: object) -> Written:
    """What comes of asking for a text for Ada."""
    values = {"url": service.url, "timeout_seconds": 5, **settings}
    return await ask(PersonalizationSettings.model_validate(values), "Hello {{name}}", ADA)


async def test_the_service_gets_the_template_and_what_it_may_know_of_the_recipient() -> None:
    async with writer(text("  Dear Ada \N{SPARKLES}\n")) as service:
        assert await asked(service) == Written(Outcome.PERSONALIZED, "Dear Ada \N{SPARKLES}")
    (request,) = service.requests
    assert request.path == "/hook"
    assert "authorization" not in request.headers
    assert request.event == {
        "template": "Hello {{name}}",
        "recipient": {"name": "Ada", "variables": {"city": "Köln", "visits": 3}},
        "max_characters": 1000,
    }


async def test_a_number_and_a_key_are_sent_only_where_the_operator_says_so() -> None:
    async with writer(text("Dear Ada")) as service:
        await asked(service, api_key="service-key", send_numbers=True)
    (request,) = service.requests
    assert request.headers["authorization"] == "Bearer service-key"
    assert request.event["recipient"]["phone_number"] == "+447700900100"


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (1.0, Outcome.TOO_SLOW),
        (None, Outcome.UNREACHABLE),
        (status(500, body='{"text": "x"}'), Outcome.BAD_STATUS),
        (status(204), Outcome.BAD_STATUS),
        (status(307, "Location: /elsewhere"), Outcome.BAD_STATUS),
        (text("x" * MAX_ANSWER_BYTES), Outcome.TOO_LARGE),
        (b"HTTP/1.1 200 X\r\n\r\n" + b"x" * (2 * MAX_ANSWER_BYTES), Outcome.TOO_LARGE),
        (OK, Outcome.NOT_JSON),
        (status(200, "Content-Encoding: gzip", body="x"), Outcome.NOT_JSON),
        (text("x" * 1001), Outcome.TOO_LONG),
    ],
    ids=["slow", "dropped", "500", "204", "redirect", "huge", "endless", "not-json", "compressed", "long"],
)
async def test_whatever_goes_wrong_is_an_outcome_and_is_asked_once(said: Say, outcome: Outcome) -> None:
    async with writer(said) as service:
        assert await asked(service, timeout_seconds=0.3) == Written(outcome)
    assert [request.path for request in service.requests] == ["/hook"]


async def test_where_nothing_listens_the_service_is_unreachable() -> None:
    async with writer(OK) as service:
        pass
    assert await asked(service) == Written(Outcome.UNREACHABLE)


@pytest.mark.parametrize(
    ("content", "written"),
    [
        (b'{"text": "a\\u0000b"}', Written(Outcome.PERSONALIZED, "ab")),
        (b'{"text": " \\n "}', Written(Outcome.EMPTY)),
        (b'{"text": "\\u0000"}', Written(Outcome.EMPTY)),
        (b'{"text": null}', Written(Outcome.EMPTY)),
        (b"{}", Written(Outcome.EMPTY)),
        (b'"Dear Ada"', Written(Outcome.EMPTY)),
        (b'{"text": ["Dear Ada"]}', Written(Outcome.NOT_JSON)),
        (b'{"text": "Dear Ada"', Written(Outcome.NOT_JSON)),
        (b"\xff", Written(Outcome.NOT_JSON)),
        (b"", Written(Outcome.NOT_JSON)),
        (b'{"text": "Dear {{name}}"}', Written(Outcome.UNFILLED)),
        ('{"text": "éééé"}'.encode(), Written(Outcome.PERSONALIZED, "éééé")),
        (b'{"text": "abcde"}', Written(Outcome.TOO_LONG)),
    ],
)
def test_an_answer_is_a_text_that_can_be_sent_as_it_is_or_a_reason(content: bytes, written: Written) -> None:
    limit = 4 if written.outcome in (Outcome.TOO_LONG, Outcome.PERSONALIZED) else 100
    assert read_answer(content, limit) == written


@pytest.mark.parametrize("values", [{"url": "ftp://x"}, {"url": "http://u:p@x"}, {"api_key": "a\nb"}, {"at_once": 0}])
def test_settings_that_cannot_work_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PersonalizationSettings.model_validate(values)
