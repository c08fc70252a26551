"""Reading campaigns for people: how far, what they wait for, when they will be done."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from campaigns.sending import queries
from campaigns.sending.lanes import read_delays
from campaigns.sending.models import CampaignState, MessageState, Priority, Rotation
from campaigns.sending.pacing import Delays, is_gated, ready_at
from campaigns.sending.service import CampaignService, campaign_values
from campaigns.sending.waiting import LaneView, Wait, earliest_start, of_campaign, of_message
from gateway.db import AnyRow, Database, read_now
from gateway.errors import NotFound
from sessions.schemas import as_time

SILENCE_SECONDS = 300.0
"""After so long without any receipt a sent message says so."""
_RUNNING = (CampaignState.QUEUED, CampaignState.RUNNING)


def campaign_out(row: Mapping[str, Any], numbers: Sequence[str]) -> dict[str, Any]:
    """A campaign's values as the API tells them."""
    pending = row["n_queued"] + row["n_sending"]
    done = row["total"] - pending
    return {
        "campaign_id": row["id"],
        "name": row["name"],
        "sender_number": f"+{row['sender_number']}",
        "sender_numbers": [f"+{number}" for number in numbers],
        "status": row["state"],
        "priority": list(Priority)[row["priority"]],
        "total": row["total"],
        "pending": pending,
        "sent": row["n_sent"] + row["n_delivered"] + row["n_read"],
        "delivered": row["n_delivered"] + row["n_read"],
        "read": row["n_read"],
        "failed": row["n_failed"],
        "unconfirmed": row["n_unconfirmed"],
        "skipped": row["n_skipped"],
        "cancelled": row["n_cancelled"],
        "progress": round(100 * done / row["total"], 1) if row["total"] else 100.0,
        "template": row["template"],
        "media_url": row["media_url"],
        "created_at": as_time(row["created_at"]),
        "start_time": as_time(row["started_at"]),
        "end_time": as_time(row["finished_at"]),
        "reason": row["reason"],
    }


class StatusReader:
    """Answers how a campaign is, and why something in it has not been sent yet.

    `hold` gives, for an engine, the seconds after which the fate of an uncertain message is known.
    """

    def __init__(self, db: Database, service: CampaignService, hold: Callable[[str], float]) -> None:
        self._db = db
        self._service = service
        self._hold = hold

    async def page(
        self,
        number: str | None,
        states: Sequence[str],
        search: str,
        created_from: datetime | None,
        created_to: datetime | None,
        offset: int,
        limit: int,
    ) -> tuple[list[dict[str, Any]], int]:
        """Some campaigns, newest first, and how many there are; of one sender, or of all for None."""
        filters = queries.Filters(
            number=number,
            states=states,
            search=search,
            created_from=created_from.timestamp() if created_from else None,
            created_to=created_to.timestamp() if created_to else None,
        )
        async with self._db.read() as connection:
            rows, total = await queries.list_campaigns(connection, filters, offset, limit)
            numbers = await queries.numbers_of(connection, [row.id for row in rows])
        return [campaign_out(campaign_values(row), numbers[row.id]) for row in rows], total

    async def of(self, row: AnyRow) -> dict[str, Any]:
        """A campaign's status, with its reasons to wait and the time it will be done."""
        async with self._db.read() as connection:
            lanes = await queries.lanes_of(connection, row.id)
            now, delays = await read_now(connection), await read_delays(connection)
            waits = self._waits(row, lanes, delays, now)
        finish = self._finish_at(row, lanes, delays, now)
        return {
            **campaign_out(campaign_values(row), [lane.number for lane in lanes]),
            "waiting": [_wait_out(wait) for wait in waits],
            "estimated_finish": as_time(finish),
        }

    def _finish_at(self, row: AnyRow, lanes: Sequence[AnyRow], delays: Delays, now: float) -> float | None:
        """When the campaign will be done if all stays as it is; None while nobody can send, or nothing is left."""
        pending = row.n_queued + row.n_sending
        start = earliest_start([self._view(lane, delays) for lane in lanes], now)
        if row.state not in _RUNNING or start is None or not pending:
            return None
        starts_at, able = start
        in_turn = row.rotation == Rotation.EVEN or delays.switch > 0
        if in_turn and not row.failover and len(able) < len(lanes):
            return None  # the turns of those that have fallen wait for them
        if is_gated(len(able), delays.switch) and row.last_answer_at is not None:
            starts_at = max(starts_at, row.last_answer_at + delays.switch)
        own = [view.delay for view in able]
        return starts_at + self._service.duration(pending, own, delays, Rotation(row.rotation))

    async def messages(
        self, row: AnyRow, states: Sequence[str], offset: int, limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """A page of a campaign's messages, and how many of these states there are."""
        async with self._db.read() as connection:
            found = await queries.list_messages(connection, row.id, states, offset, limit)
            lanes = await queries.lanes_of(connection, row.id)
            now, delays = await read_now(connection), await read_delays(connection)
            first = await queries.first_queued(connection, row.id)
        waits = self._waits(row, lanes, delays, now)
        total = sum(row._mapping[f"n_{state}"] for state in (states or queries.COUNTERS))
        return [_message_out(row, message, waits, first, now) for message in found], total

    async def message(self, row: AnyRow, message_id: str) -> dict[str, Any]:
        """One message of a campaign; raises `NotFound`."""
        async with self._db.read() as connection:
            found = await queries.find_message(connection, row.id, message_id)
            lanes = await queries.lanes_of(connection, row.id)
            now, delays = await read_now(connection), await read_delays(connection)
            first = await queries.first_queued(connection, row.id)
        if found is None:
            raise NotFound("there is no such message in this campaign")
        return _message_out(row, found, self._waits(row, lanes, delays, now), first, now)

    def _waits(self, row: AnyRow, lanes: Sequence[AnyRow], delays: Delays, now: float) -> list[Wait]:
        gate = None
        if is_gated(row.senders, delays.switch) and row.last_answer_at is not None:
            gate = row.last_answer_at + delays.switch
        views = [self._view(lane, delays) for lane in lanes]
        return of_campaign(row.state, views, gate, row.n_queued + row.n_sending, now)

    def _view(self, lane: AnyRow, delays: Delays) -> LaneView:
        delay = delays.message if lane.message_delay is None else lane.message_delay
        known_by = lane.uncertain_since + self._hold(lane.engine or "") if lane.uncertain_at is not None else None
        return LaneView(
            number=lane.number,
            state=lane.state,
            server_up=lane.up,
            delay=delay,
            ready_at=ready_at(lane.last_answer_at, delay, lane.extra_delay),
            resting_until=lane.resting_until,
            uncertain_until=known_by,
            resting_code=lane.resting_code,
            locked_until=lane.locked_until,
        )


def _wait_out(wait: Wait) -> dict[str, Any]:
    return {
        "reason": str(wait.reason),
        "message": wait.sentence,
        "until": as_time(wait.until),
        "sender_number": f"+{wait.number}" if wait.number else None,
    }


def _message_out(campaign: AnyRow, row: AnyRow, waits: list[Wait], first: int | None, now: float) -> dict[str, Any]:
    waiting = None
    if row.state == MessageState.QUEUED:
        wait = of_message(
            waits,
            campaign.senders,
            not_before=row.not_before,
            now=now,
            is_next=row.seq == first,
            number=row.sender_number,
        )
        waiting = _wait_out(wait) if wait is not None else None
    elif row.state == MessageState.SENDING and row.uncertain_at is not None:
        reasons = [wait for wait in waits if wait.number == row.sender_number]
        waiting = _wait_out(reasons[0]) if reasons else None
    times = [row.created_at, row.started_at, row.sent_at, row.delivered_at, row.read_at, row.finished_at]
    return {
        "id": row.id,
        "recipient": f"+{row.phone}",
        "grade": row.grade,
        "status": row.state,
        "text": campaign.template if row.text is None else row.text,
        "sender_number": f"+{row.sender_number}" if row.sender_number else None,
        "receipt": row.ack,
        "attempts": row.attempts,
        "timestamp": as_time(max(time for time in times if time is not None)),
        "created_at": as_time(row.created_at),
        "started_at": as_time(row.started_at),
        "sent_at": as_time(row.sent_at),
        "delivered_at": as_time(row.delivered_at),
        "read_at": as_time(row.read_at),
        "error": row.error,
        "error_code": row.error_code,
        "waiting": waiting,
        "note": _note_of(row, now),
    }


def _note_of(row: AnyRow, now: float) -> str | None:
    """That WhatsApp has said nothing of a message which WAHA took some minutes ago: on some engines that means little.

    A receipt that was lost on its way to us looks the same, so nothing is done about it; sending again could repeat it.
    """
    silent = row.state == MessageState.SENT and (row.ack or 0) < 1 and row.sent_at is not None
    if not silent or now - row.sent_at < SILENCE_SECONDS:
        return None
    return f"WAHA took it {int((now - row.sent_at) // 60)} minutes ago, and WhatsApp has not said since that it has it"
