"""What a person reads about a session."""

from types import SimpleNamespace
from typing import Any

import pytest

from sessions.keepalive.clocks import DAY_SECONDS, Periods
from sessions.keepalive.sentences import in_words, sentence
from sessions.models import Desired, SessionState

NOW = 1_800_000_000.0
DAY = DAY_SECONDS
PERIODS = Periods.of_days(keepalive=12, expiry=14, warn=2)


def session(idle: float = 0.0, unseen: float = 0.0, **values: Any) -> Any:
    """A connected session that was idle, and whose phone was unseen, for so many seconds."""
    usual = {
        "state": SessionState.CONNECTED,
        "waha_status": "WORKING",
        "desired": Desired.RUNNING,
        "moving_to": None,
        "server_up": True,
        "server_seen_at": NOW,
        "requires_auth": False,
        "reason": "",
        "paired_at": NOW - 100 * DAY,
        "last_active": NOW - idle,
        "phone_last_seen": NOW - unseen,
        "ping_failures": 0,
        "locked_until": 0.0,
    }
    return SimpleNamespace(**usual | values)


FAILED: dict[str, Any] = {"state": SessionState.FAILED, "waha_status": "FAILED"}
UNPAIRED: dict[str, Any] = {"requires_auth": True, "paired_at": None}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (session(), "Connected and fine."),
        (session(unseen=12 * DAY), "Connected, but its phone was not seen for 12 days: open WhatsApp on it."),
        (
            session(idle=12.5 * DAY, ping_failures=2),
            "Connected, but WhatsApp does not answer its checks: restart it, or scan again; it expires in 36 hours.",
        ),
        (
            session(idle=13 * DAY),
            "Connected, but it could not be checked for 13 days: send a message through it.",
        ),
        (
            session(locked_until=NOW + 3600),
            "Connected; WhatsApp lets it write to nobody new until 2027-01-15 09:00 UTC.",
        ),
        (session(**FAILED), "It has lost its connection and is restarted by itself: wait a moment."),
        (
            session(idle=12 * DAY, **FAILED),
            "It has lost its connection and is restarted by itself: wait a moment; it expires in 2 days.",
        ),
        (
            session(idle=15 * DAY, **FAILED),
            "It has lost its connection and is restarted by itself: wait a moment; it may have expired.",
        ),
        (
            session(reason="the QR codes ran out", **FAILED | UNPAIRED),
            "It needs its phone (the QR codes ran out): open its QR code and scan.",
        ),
        (session(state=SessionState.STOPPED), "It is stopped: start it to send again."),
        (
            session(state=SessionState.STOPPED, **UNPAIRED),
            "It is stopped and no phone is paired: open its QR code and scan.",
        ),
        (session(state=SessionState.STARTING), "It is connecting to WhatsApp: wait a moment."),
        (session(state=SessionState.STARTING, **UNPAIRED), "It is starting: its QR code comes in a moment."),
        (session(state=SessionState.WAITING_FOR_SCAN, **UNPAIRED), "It waits for its phone: scan the QR code."),
        (
            session(state=SessionState.SCANNED, **UNPAIRED),
            "The code was scanned: it is being connected, keep the phone at hand.",
        ),
        (
            session(state=SessionState.EXPIRED, waha_status="SCAN_QR_CODE", **UNPAIRED),
            "Its phone has logged it out: open its QR code and scan again.",
        ),
        (
            session(state=SessionState.EXPIRED, requires_auth=True),
            "It does not reach WhatsApp any more: open its QR code and scan again.",
        ),
        (session(moving_to="another"), "It is moving to another server."),
        (session(desired=Desired.DELETED), "It is being removed."),
        (
            session(server_up=False, server_seen_at=NOW - 720),
            "Its server does not answer; this was known 12 minutes ago: connected and fine.",
        ),
        (
            session(server_up=False, server_seen_at=None, state=SessionState.STARTING, **UNPAIRED),
            "Its server has not answered yet; all that is known: it is starting: its QR code comes in a moment.",
        ),
    ],
)
def test_one_sentence_says_what_is_and_what_to_do(row: Any, told: str) -> None:
    assert sentence(row, PERIODS, NOW) == told


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (11 * DAY, "11 days"),
        (2 * DAY, "2 days"),
        (2 * DAY - 1, "47 hours"),
        (7199, "119 minutes"),
        (119, "1 minute"),
        (59, "less than a minute"),
    ],
)
def test_lengths_of_time_are_told_in_one_unit(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
