"""Hours of a campaign, from a request into its row and back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from campaigns.sending.hours import Hours
from campaigns.sending.hours_schemas import SendingHours
from campaigns.sending.models import EVERY_DAY, IDLE, CampaignState
from campaigns.sending.timing import check_times, hours_of, hours_out, new_columns
from gateway.errors import ValidationFailed

MONDAY_NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NOW = MONDAY_NOON.timestamp()
HOUR = 3600.0


def asked(**fields: Any) -> Hours:
    return SendingHours.model_validate(fields).hours()


def test_a_request_that_names_no_hours_may_send_at_any_time_from_now_on() -> None:
    columns = new_columns(asked(), NOW)
    assert (columns["state"], columns["alarm_at"]) == (CampaignState.QUEUED, None)
    assert columns["opens_at"] <= NOW
    assert columns["closes_at"] == IDLE


def test_a_start_ahead_schedules_a_campaign_and_the_start_is_its_alarm() -> None:
    columns = new_columns(asked(start_at=MONDAY_NOON + timedelta(hours=2)), NOW)
    assert (columns["state"], columns["starts_at"]) == (CampaignState.SCHEDULED, NOW + 2 * HOUR)
    assert columns["alarm_at"] == columns["opens_at"] == NOW + 2 * HOUR


def test_a_start_that_has_just_passed_is_now() -> None:
    hours = asked(start_at=MONDAY_NOON - timedelta(seconds=59))
    check_times(hours, NOW)
    assert new_columns(hours, NOW)["state"] == CampaignState.QUEUED


def test_quiet_hours_and_weekdays_close_a_campaign_until_its_window_opens() -> None:
    hours = asked(timezone="Europe/Berlin", quiet_hours={"from": "21:00", "to": "16:30"}, weekdays=["mon", "tue"])
    columns = new_columns(hours, NOW)
    assert columns["state"] == CampaignState.QUEUED
    opens = datetime(2026, 6, 1, 14, 30, tzinfo=UTC).timestamp()  # 16:30 in Berlin, in summer
    assert (columns["opens_at"], columns["closes_at"]) == (opens, opens + 4.5 * HOUR)
    assert columns["alarm_at"] == opens


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"timezone": "Asia/Kolkata", "weekdays": ["sun", "mon"]},
        {"quiet_hours": {"from": "21:00", "to": "08:05"}},
        {"start_at": "2026-06-02T08:00:00Z", "expires_at": "2026-06-03T08:00:00Z"},
    ],
)
def test_what_was_asked_for_is_told_again_by_the_same_names(fields: dict[str, Any]) -> None:
    columns = new_columns(asked(**fields), NOW)
    assert hours_of(columns) == asked(**fields)
    told = hours_out(columns | {"auto_pause": False})
    assert told["auto_pause"] is False
    assert asked(**{key: value for key, value in told.items() if key != "auto_pause"}) == asked(**fields)


def test_an_answer_that_was_kept_before_there_were_hours_is_told_without_any() -> None:
    told = hours_out({})
    assert (told["timezone"], told["quiet_hours"], len(told["weekdays"])) == ("UTC", None, 7)
    assert asked(**{key: value for key, value in told.items() if key != "auto_pause"}).weekdays == EVERY_DAY


@pytest.mark.parametrize(
    ("fields", "wrong", "sentence"),
    [
        ({"start_at": MONDAY_NOON - timedelta(seconds=61)}, "start_at", "is over"),
        ({"start_at": MONDAY_NOON + timedelta(days=367)}, "start_at", "more than a year"),
        ({"expires_at": MONDAY_NOON}, "expires_at", "is over"),
        (
            {"start_at": MONDAY_NOON + timedelta(hours=2), "expires_at": MONDAY_NOON + timedelta(hours=2)},
            "expires_at",
            "after start_at",
        ),
        (
            {"expires_at": MONDAY_NOON + timedelta(hours=2), "quiet_hours": {"from": "11:00", "to": "15:00"}},
            "expires_at",
            "quiet_hours",
        ),
    ],
)
def test_times_that_nothing_can_be_sent_in_are_refused(fields: dict[str, Any], wrong: str, sentence: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        check_times(asked(**fields), NOW)
    [error] = refused.value.errors
    assert error.field == wrong
    assert sentence in error.message


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"timezone": "Mars/Olympus"}, ("timezone",)),
        ({"quiet_hours": {"from": "21:00", "to": "21:00"}}, ("quiet_hours",)),
        ({"quiet_hours": {"from": "24:00", "to": "8:00"}}, ("quiet_hours", "from")),
        ({"quiet_hours": {"from": "21:00"}}, ("quiet_hours", "to")),
        ({"quiet_hours": {"from": "21:00", "to": "08:00", "zone": "UTC"}}, ("quiet_hours", "zone")),
        ({"weekdays": []}, ("weekdays",)),
        ({"weekdays": ["monday"]}, ("weekdays", 0)),
        ({"start_at": "tomorrow"}, ("start_at",)),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], where: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        asked(**fields)
    assert where in [error["loc"] for error in refused.value.errors()]
