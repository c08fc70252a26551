"""The two clocks of a session: when it was active last, and when its phone was seen last. Pure.

A session that is idle for `keepalive` is pinged. WhatsApp may log one out that was idle for `expiry`, and it logs out
what is linked to a phone that was not used for so long, however active the session is: no ping replaces the phone. A
`row` is one of `SESSION_COLUMNS`; times are epoch seconds of the database's clock, lengths are seconds.
"""

from dataclasses import dataclass
from typing import Self

from gateway.db import AnyRow
from gateway.waha.schemas import WahaStatus
from sessions.models import Desired, SessionState

DAY_SECONDS = 86_400.0
SPREAD_SECONDS = 3300.0
"""Over how long the pings that one sweep finds due are spread: an hour, less what the last of them may take."""
GRACE_SECONDS = 3 * 3600.0
"""A ping comes at most two hours after it is due; one that has not come an hour later does not come."""


@dataclass(frozen=True, slots=True)
class Periods:
    """How long a session may be idle before it is pinged, before it expires, and how long before that we warn."""

    keepalive: float
    expiry: float
    warn: float

    @classmethod
    def of_days(cls, keepalive: float, expiry: float, warn: float) -> Self:
        """From days, as the settings have them."""
        return cls(keepalive * DAY_SECONDS, expiry * DAY_SECONDS, warn * DAY_SECONDS)

    @property
    def silence(self) -> float:
        """How long nothing is heard before we warn."""
        return max(0.0, self.expiry - self.warn)


# --- the session ------------------------------------------------------------------------------------------------


def active_at(row: AnyRow) -> float | None:
    """The last proof that the session works; its pairing was one."""
    at: float | None = row.paired_at if row.last_active is None else row.last_active
    return at


def expires_at(row: AnyRow, periods: Periods) -> float | None:
    """When WhatsApp may log the session out; None where nobody is paired."""
    at = active_at(row)
    return None if at is None or row.paired_at is None else at + periods.expiry


def expires_in(row: AnyRow, periods: Periods, now: float) -> int | None:
    """Whole seconds until then, 0 when it is over; None where nobody is paired."""
    at = expires_at(row, periods)
    return None if at is None else max(0, int(at - now))


def works(row: AnyRow) -> bool:
    """Whether WAHA says that it works, which a ping can prove or disprove; one whose pings failed too long included."""
    return row.waha_status == WahaStatus.WORKING and row.state in (SessionState.CONNECTED, SessionState.EXPIRED)


def wants_ping(row: AnyRow, periods: Periods, now: float) -> bool:
    """Whether a ping is to be planned: it was idle for long enough, or the last ping failed."""
    at = active_at(row)
    if row.ping_at is not None or at is None or not works(row) or row.desired != Desired.RUNNING:
        return False
    return bool(row.ping_failures) or now - at >= periods.keepalive


def slots(now: float, count: int, lead: float) -> list[float]:
    """When each of `count` pings of one server is due: evenly spread over what comes of the hour after `lead`.

    `lead` is how long it may take until whoever does them hears of them.
    """
    lead = min(lead, SPREAD_SECONDS / 2)
    return [now + lead + (SPREAD_SECONDS - lead) * index / count for index in range(count)]


def has_run_out(row: AnyRow, periods: Periods, now: float) -> bool:
    """Whether a failed ping, at `now`, means that the session has expired; the calendar alone never does."""
    at = active_at(row)
    return at is not None and now - at >= periods.expiry and works(row)


def expiry_warning_due(row: AnyRow, periods: Periods, now: float) -> bool:
    """Whether to announce that the session expires: it is near its end, and could not be refreshed.

    Once in each period: what proves the session begins another one.
    """
    at = active_at(row)
    if at is None or row.paired_at is None or row.desired == Desired.DELETED or row.state == SessionState.EXPIRED:
        return False
    if row.warned_at is not None and row.warned_at >= at:
        return False
    return now - at >= periods.silence and _is_not_refreshed(row, periods, now)


def _is_not_refreshed(row: AnyRow, periods: Periods, now: float) -> bool:
    """One that works and is not behind its time will be pinged within the hour, and then all is well."""
    if not works(row) or not row.server_up or row.ping_failures:
        return True
    return now - (active_at(row) or now) >= periods.keepalive + GRACE_SECONDS


# --- its phone --------------------------------------------------------------------------------------------------


def phone_seen_at(row: AnyRow) -> float | None:
    """The last evidence of the phone; the scan was one. None where nobody is paired."""
    if row.paired_at is None:
        return None
    at: float = row.paired_at if row.phone_last_seen is None else row.phone_last_seen
    return at


def phone_expires_at(row: AnyRow, periods: Periods) -> float | None:
    """When WhatsApp logs the session out unless its phone is used; None where nobody is paired."""
    at = phone_seen_at(row)
    return None if at is None else at + periods.expiry


def phone_warning_due(row: AnyRow, periods: Periods, now: float) -> bool:
    """Whether to tell that the phone was not seen for long; again only when as long as WhatsApp waits has passed."""
    at = phone_seen_at(row)
    if at is None or row.desired == Desired.DELETED or now - at < periods.silence:
        return False
    return row.phone_warned_at is None or row.phone_warned_at < at or now - row.phone_warned_at >= periods.expiry
