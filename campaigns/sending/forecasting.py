"""When a campaign would be done: the rules of `forecast` and `finishing`, given its senders as they are now."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from campaigns.metering.allowances import day_of, limit_of_account
from campaigns.sending import queries
from campaigns.sending.caps import day_end, zone_of_number
from campaigns.sending.finishing import Day, Finish, finish, hourly_seconds, last_day
from campaigns.sending.forecast import fastest, forecast, replay, shares
from campaigns.sending.hours import Hours
from campaigns.sending.lanes import read_delays
from campaigns.sending.models import Rotation
from campaigns.sending.pacing import Delays
from gateway.db import AnyRow, Database, read_now
from sessions.models import SessionState


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a campaign would finish, and what it depends on; `duration_seconds` is from its first message on."""

    shares: dict[str, int]
    not_connected: list[str]
    duration_seconds: float
    finish_at: float
    note: str


@dataclass(frozen=True, slots=True)
class Line:
    """What a forecast has to know of one sender: its delay, and what its day still allows."""

    delay: float
    day: Day


class Forecaster:
    """Foretells campaigns; `latency` gives the seconds that WAHA takes for an answer at present.

    The caps are the general ones: so many messages a sender may send in an hour and in a day (0: any number).
    """

    def __init__(self, latency: Callable[[], float], *, hourly_cap: int = 0, daily_cap: int = 0) -> None:
        self._latency = latency
        self._hourly_cap = hourly_cap
        self._daily_cap = daily_cap

    async def of(
        self,
        db: Database,
        numbers: Sequence[str],
        count: int,
        rotation: Rotation,
        hours: Hours,
        account_id: str | None = None,
    ) -> Forecast:
        """Of `count` messages of an account through these senders, as if nothing else were sent."""
        async with db.read() as connection:
            delays = await read_delays(connection)
            known = await queries.senders_by_number(connection, numbers)
            limit = None if account_id is None else await limit_of_account(connection, account_id)
            now = await read_now(connection)
        connected = [n for n in numbers if n in known and known[n].state == SessionState.CONNECTED]
        locked = {n: known[n].locked_until for n in connected if known[n].locked_until > now}
        able = [n for n in connected if n not in locked]
        taking = able or connected or numbers
        start = min(locked.values()) if connected and not able else now
        lines = [self.line(known.get(n), n, delays, now) for n in taking]
        client = day_of(limit, max(start, hours.starts_at or start))
        end, notes = await asyncio.to_thread(self._foretell, count, lines, delays, rotation, hours, start, client)
        if locked:
            names = ", ".join(f"+{n}" for n in locked)
            notes.append(f"WhatsApp does not let these write to new contacts for now: {names}")
        return Forecast(
            shares=dict(zip([f"+{n}" for n in taking], shares(count, len(taking)), strict=True)),
            not_connected=[f"+{n}" for n in numbers if n not in connected],
            duration_seconds=round(end.at - end.begins_at, 6),
            finish_at=end.at,
            note="; ".join(notes),
        )

    def line(self, row: AnyRow | None, number: str, delays: Delays, now: float) -> Line:
        """A sender as its lane's row shows it (None: it never sent)."""
        if row is None or row.day_ends_at is None:
            return Line(delays.message, Day(self._daily_cap, self._daily_cap, day_end(now, zone_of_number(number))))
        cap = self._daily_cap if row.daily_cap is None else row.daily_cap
        same_day = row.day_ends_at > now
        ends_at = row.day_ends_at if same_day else day_end(now, row.timezone or zone_of_number(number))
        left = max(0, cap - row.sent_today) if same_day else cap
        return Line(delays.message if row.message_delay is None else row.message_delay, Day(cap, left, ends_at))

    def finish(
        self,
        count: int,
        lines: Sequence[Line],
        delays: Delays,
        rotation: Rotation,
        hours: Hours,
        start: float,
        client: Day | None = None,
    ) -> Finish:
        """When `count` messages that may leave from `start` on are done, and what their hours do to them.

        `client` is what the day of their client allows, if it has a limit.
        """
        own = [line.delay for line in lines]
        whole = finish(hours, start, self._limited(count, own, self._pace(count, own, delays, rotation)))
        rest, begins = last_day(count, [line.day for line in lines], start)
        if client is not None:  # whichever of the two takes longer
            rest, begins = max((rest, begins), last_day(count, [client], start), key=itemgetter(1))
        if begins <= start or whole.unsent_seconds:
            return whole
        last = finish(hours, begins, self._limited(rest, own, self._pace(rest, own, delays, rotation)))
        return whole if last.at <= whole.at else replace(last, begins_at=whole.begins_at)

    def _limited(self, count: int, own: Sequence[float], pace: float) -> float:
        """Seconds that `count` messages take at least: `pace`, or what the hourly cap makes of it."""
        latency = self._latency()
        dealt = zip(shares(count, len(own)), own, strict=True)
        return max(pace, *(hourly_seconds(share, self._hourly_cap, latency + delay, latency) for share, delay in dealt))

    def _pace(self, count: int, own: list[float], delays: Delays, rotation: Rotation) -> float:
        """Seconds that `count` messages take through senders with these delays of their own."""
        latency = self._latency()
        if rotation is Rotation.FASTEST and delays.switch == 0:
            return fastest(count, own, latency)
        if len(set(own)) == 1:
            return forecast(count, len(own), latency, own[0], delays.switch)
        return replay(count, own, latency, delays.switch)

    def _foretell(
        self,
        count: int,
        lines: Sequence[Line],
        delays: Delays,
        rotation: Rotation,
        hours: Hours,
        start: float,
        client: Day | None,
    ) -> tuple[Finish, list[str]]:
        """In a worker thread: some rotations are played message by message."""
        end = self.finish(count, lines, delays, rotation, hours, start, client)
        own = [line.delay for line in lines]
        pace = self._pace(count, own, delays, rotation)
        seconds = self._limited(count, own, pace)
        notes = []
        if len(lines) > 1 and forecast(count, 1, self._latency(), min(own), 0.0) < pace:
            notes.append(_why_more_are_slower(own, delays))
        if seconds > pace:
            notes.append(f"a sender may send {self._hourly_cap} messages an hour, which makes it slower")
        if last_day(count, [line.day for line in lines], start)[1] > start:
            notes.append("the daily caps of its senders spread it over several days")
        if client is not None and last_day(count, [client], start)[1] > start:
            notes.append(f"at most {client.cap} messages a day are allowed, so it is spread over several days")
        if end.unsent_seconds:
            late = min(count, math.ceil(count * end.unsent_seconds / seconds))
            notes.append(f"it expires before it is done: about {late} of {count} messages would be skipped")
        elif end.windows > 1:
            notes.append("its hours close before it is done; it goes on in the next ones")
        return end, notes


def _why_more_are_slower(own: Sequence[float], delays: Delays) -> str:
    """Why one of these senders, alone, would be done before all of them."""
    if delays.switch > min(own):
        return "one sender alone would be faster: SENDER_SWITCH_DELAY is longer than MESSAGE_DELAY"
    return "one sender alone would be faster: all get as many messages, and one has a longer delay of its own"
