"""What follows from each error of WAHA: one row for every error there is."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.sending.outcomes import Result
from campaigns.sending.retry import (
    BLIND_SECONDS,
    LONGER_BLIND_SECONDS,
    backoff,
    decide,
    decide_look,
    hold_seconds,
    next_look,
)
from gateway.waha import errors
from gateway.waha.errors import RateLimited, WahaError

R = Result
TABLE: dict[str, tuple[Result, str, float]] = {
    # error: result, code, seconds to wait at the first attempt
    "WahaUnreachable": (R.LATER, "server_down", 1.0),
    "WahaRejected": (R.RETRY, "backoff", 5.0),
    "WahaUnauthorized": (R.LATER, "server_down", 10.0),
    "WahaInvalidRequest": (R.FAILED, "rejected", 0.0),
    "WahaNotFound": (R.LATER, "server_down", 10.0),
    "WahaNotImplemented": (R.FAILED, "not_supported", 0.0),
    "SessionNotFound": (R.LATER, "session_not_connected", 5.0),
    "SessionNotWorking": (R.LATER, "session_not_connected", 1.0),
    "SessionAlreadyExists": (R.RETRY, "backoff", 5.0),
    "SessionAlreadyStarted": (R.RETRY, "backoff", 5.0),
    "MessageNotFound": (R.RETRY, "backoff", 5.0),
    "LookupUnavailable": (R.RETRY, "backoff", 5.0),
    "EngineDisconnected": (R.LATER, "session_not_connected", 2.0),
    "RateLimited": (R.LATER, "backoff", 30.0),
    "WhatsAppRefused": (R.RETRY, "backoff", 5.0),
    "RecipientNotOnWhatsApp": (R.FAILED, "not_on_whatsapp", 0.0),
    "ContactLimited": (R.LATER, "number_lock", 0.0),
    "WahaError": (R.UNCERTAIN, "uncertain", 1.0),
    "WahaConnectionLost": (R.UNCERTAIN, "uncertain", 1.0),
    "WahaTimeout": (R.UNCERTAIN, "uncertain", 1.0),
    "WahaUnexpectedAnswer": (R.UNCERTAIN, "uncertain", 1.0),
    "WahaServerError": (R.UNCERTAIN, "uncertain", 1.0),
    "SessionBusy": (R.UNCERTAIN, "uncertain", 1.0),
    "WahaMalformedEvent": (R.UNCERTAIN, "uncertain", 1.0),
}


def all_errors(kind: type[WahaError] = WahaError) -> Iterator[type[WahaError]]:
    """The whole tree."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from all_errors(child)


KINDS = sorted(set(all_errors()), key=lambda kind: kind.__name__)


def test_every_error_has_its_row() -> None:
    assert {kind.__name__ for kind in KINDS} == set(TABLE)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_an_error_means_for_the_message(kind: type[WahaError]) -> None:
    outcome = decide(kind("it said no"), attempts=1, max_attempts=5, answered_at=12.0)
    assert (outcome.result, outcome.code, outcome.wait_seconds) == TABLE[kind.__name__]
    assert outcome.answered_at == 12.0
    assert "it said no" in outcome.reason


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_only_what_surely_was_not_sent_may_go_again_without_a_look(kind: type[WahaError]) -> None:
    for attempts in (1, 5):
        outcome = decide(kind("no"), attempts, max_attempts=5, answered_at=0.0)
        assert (outcome.result is R.UNCERTAIN) is not kind.surely_not_sent


NOBODY_TO_ASK = {
    "WahaUnreachable",
    "SessionNotFound",
    "SessionNotWorking",
    "SessionBusy",
    "EngineDisconnected",
    "RateLimited",
}


SET_UP_WRONGLY = {"WahaUnauthorized", "WahaNotFound"}


@pytest.mark.parametrize("name", sorted(SET_UP_WRONGLY))
def test_a_waha_that_lets_nobody_ask_is_asked_for_ten_minutes(name: str) -> None:
    for vain, result in ((LONGER_BLIND_SECONDS - 1, R.ASK_AGAIN), (LONGER_BLIND_SECONDS, R.UNCONFIRMED)):
        assert decide_look(getattr(errors, name)("no"), 2000, hold=160, vain_seconds=vain).result is result


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_look_that_is_in_vain_for_a_minute_past_the_hold_is_left_to_a_person(kind: type[WahaError]) -> None:
    after = R.ASK_AGAIN if kind.__name__ in NOBODY_TO_ASK | SET_UP_WRONGLY else R.UNCONFIRMED
    for age, vain, result in ((159, 999, R.ASK_AGAIN), (160, BLIND_SECONDS - 1, R.ASK_AGAIN), (160, 60, after)):
        outcome = decide_look(kind("it said no"), age, hold=160, vain_seconds=vain)
        assert outcome.result is result
        assert "it said no" in outcome.reason
        assert outcome.wait_seconds >= 1.0 or result is R.UNCONFIRMED


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_only_a_request_that_never_left_counts_as_unanswered(kind: type[WahaError]) -> None:
    outcome = decide(kind("no"), 1, max_attempts=5, answered_at=0.0)
    assert outcome.answered is (kind.__name__ != "WahaUnreachable")


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row[0] is R.RETRY])
def test_trying_again_ends_after_the_last_attempt(name: str) -> None:
    error = getattr(errors, name)("no")
    assert decide(error, 4, max_attempts=5, answered_at=0.0).result is R.RETRY
    last = decide(error, 5, max_attempts=5, answered_at=0.0)
    assert (last.result, last.code) == (R.FAILED, "gave_up")


def test_later_never_ends_however_often() -> None:
    assert decide(errors.WahaUnreachable("no"), 1000, max_attempts=5, answered_at=0.0).result is R.LATER


def test_who_asks_us_to_slow_down_and_says_for_how_long_is_obeyed() -> None:
    wait = decide(RateLimited("no", retry_after=300.0), 1, max_attempts=5, answered_at=0.0).wait_seconds
    assert wait == 300.0
    assert decide(RateLimited("no", retry_after=1.0), 1, max_attempts=5, answered_at=0.0).wait_seconds == 30.0


@given(st.integers(1, 20), st.floats(0, 1), st.floats(0, 1))
def test_chance_only_lengthens_a_pause(attempts: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert backoff(attempts) <= backoff(attempts, low) <= backoff(attempts, high) <= 1.5 * backoff(attempts)
    retried = decide(errors.WhatsAppRefused("no"), attempts, max_attempts=99, answered_at=0.0, chance=high)
    assert retried.wait_seconds == backoff(attempts, high)


def test_pauses_grow() -> None:
    pauses = [backoff(attempts) for attempts in range(1, 8)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == pauses[-2] == 600.0


@pytest.mark.parametrize(
    ("engine", "timeout", "override", "hold"),
    [
        ("GOWS", 10.0, 0.0, 110.0),
        ("NOWEB", 10.0, 0.0, 150.0),
        ("", 10.0, 0.0, 150.0),
        ("GOWS", 150.0, 0.0, 160.0),
        ("NOWEB", 300.0, 0.0, 310.0),
        ("GOWS", 150.0, 3.0, 3.0),
    ],
)
def test_the_hold_outlasts_our_patience_and_the_engine(
    engine: str, timeout: float, override: float, hold: float
) -> None:
    assert hold_seconds(engine, timeout, override) == hold


def test_looks_become_patient_but_not_later_than_the_hold() -> None:
    assert next_look(0.0, 110.0) == 1.0
    assert next_look(40.0, 110.0) == 10.0
    assert next_look(109.0, 110.0) == 1.0
    assert next_look(109.99, 110.0) == 0.05
