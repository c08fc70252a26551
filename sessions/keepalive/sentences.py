"""One sentence for a person: how a session is, and what to do. Pure; times are epoch seconds."""

from datetime import UTC, datetime

from gateway.db import AnyRow
from sessions.keepalive import clocks
from sessions.keepalive.clocks import DAY_SECONDS, Periods
from sessions.models import Desired, SessionState


def in_words(seconds: float) -> str:
    """A length of time in one word and its unit, rounded down: `11 days`, `5 hours`, `less than a minute`."""
    for unit, name in ((DAY_SECONDS, "day"), (3600.0, "hour"), (60.0, "minute")):
        count = int(seconds // unit)
        if count >= 2 or (count == 1 and name == "minute"):
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "less than a minute"


def sentence(row: AnyRow, periods: Periods, now: float) -> str:
    """What a person should know of the session now; while its server is away, what was known last and how old it is."""
    if row.desired == Desired.DELETED:
        return "It is being removed."
    known = _of_state(row, periods, now)
    if row.server_up:
        return known
    if row.server_seen_at is None:
        return f"Its server has not answered yet; all that is known: {_continued(known)}"
    age = in_words(max(0.0, now - row.server_seen_at))
    return f"Its server does not answer; this was known {age} ago: {_continued(known)}"


def _continued(text: str) -> str:
    return text if text.startswith("WhatsApp") else text[0].lower() + text[1:]


_ANYHOW = {
    SessionState.WAITING_FOR_SCAN: "It waits for its phone: scan the QR code.",
    SessionState.SCANNED: "The code was scanned: it is being connected, keep the phone at hand.",
}
_UNPAIRED = {
    SessionState.STARTING: "It is starting: its QR code comes in a moment.",
    SessionState.STOPPED: "It is stopped and no phone is paired: open its QR code and scan.",
}
_PAIRED = {
    SessionState.STOPPED: "It is stopped: start it to send again",
    SessionState.STARTING: "It is connecting to WhatsApp: wait a moment",
    SessionState.FAILED: "It has lost its connection and is restarted by itself: wait a moment",
}


def _of_state(row: AnyRow, periods: Periods, now: float) -> str:
    state = SessionState(row.state)
    if row.moving_to is not None:
        return "It is moving to another server."
    if state is SessionState.CONNECTED:
        return _connected(row, periods, now)
    if state is SessionState.EXPIRED:
        cause = "It does not reach WhatsApp any more" if clocks.works(row) else "Its phone has logged it out"
        return f"{cause}: open its QR code and scan again."
    if state in _ANYHOW:
        return _ANYHOW[state]
    if not row.requires_auth:
        return f"{_PAIRED[state]}{_ends(row, periods, now)}."
    why = f" ({row.reason})" if row.reason else ""
    return _UNPAIRED.get(state) or f"It needs its phone{why}: open its QR code and scan."


def _connected(row: AnyRow, periods: Periods, now: float) -> str:
    at = clocks.active_at(row)
    if row.ping_failures:
        return (
            f"Connected, but WhatsApp does not answer its checks: restart it, or scan again{_ends(row, periods, now)}."
        )
    seen_at = clocks.phone_seen_at(row)
    if seen_at is not None and now - seen_at >= periods.silence:
        return f"Connected, but its phone was not seen for {in_words(now - seen_at)}: open WhatsApp on it."
    if at is not None and now - at >= periods.keepalive + clocks.GRACE_SECONDS:
        return f"Connected, but it could not be checked for {in_words(now - at)}: send a message through it."
    if row.locked_until > now:
        until = datetime.fromtimestamp(row.locked_until, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return f"Connected; WhatsApp lets it write to nobody new until {until}."
    return "Connected and fine."


def _ends(row: AnyRow, periods: Periods, now: float) -> str:
    """When it expires, where that is near."""
    ends_at = clocks.expires_at(row, periods)
    if ends_at is None or ends_at - now > periods.warn:
        return ""
    return f"; it expires in {in_words(ends_at - now)}" if ends_at > now else "; it may have expired"
