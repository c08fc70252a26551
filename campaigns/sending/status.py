"""Reading campaigns for people: how far, what they wait for, when they will be done."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.metering.allowances import day_of, limit_of_client, used_up_until
from campaigns.sending import message_queries, queries
from campaigns.sending.forecast import soonest
from campaigns.sending.forecasting import Forecaster
from campaigns.sending.hours import Hours, window
from campaigns.sending.lanes import read_delays
from campaigns.sending.models import CampaignState, MessageState, Priority, Rotation
from campaigns.sending.notes import note_of
from campaigns.sending.pacing import Delays, is_gated, ready_at
from campaigns.sending.replies import correspondents_of
from campaigns.sending.rotation import turn_of
from campaigns.sending.timing import hours_of, hours_out
from campaigns.sending.waiting import (
    CampaignView,
    LaneView,
    Reason,
    Wait,
    earliest_start,
    is_able,
    of_campaign,
    of_lane,
    of_message,
)
from gateway.auth.access import Scope
from gateway.db import AnyRow, Database, read_now
from gateway.errors import NotFound
from sessions.schemas import as_time

PLACES_COUNTED = 5_000
"""So many messages before another one are counted; where there are more, it is told a time that is too early."""
_GOES_ON = (CampaignState.SCHEDULED, CampaignState.QUEUED, CampaignState.RUNNING)


def campaign_out(row: Mapping[str, Any], numbers: Sequence[str]) -> dict[str, Any]:
    """A campaign's values as the API tells them."""
    pending = row["n_queued"] + row["n_sending"]
    done = row["total"] - pending
    return {
        "campaign_id": row["id"],
        "name": row["name"],
        "sender_number": f"+{row['sender_number']}" if row["sender_number"] else "",
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
        "replied": row.get("n_replied", 0),  # not in answers that were kept by an earlier version
        "progress": round(100 * done / row["total"], 1) if row["total"] else _progress_of_none(row["state"]),
        "template": row["template"],
        "media_url": row["media_url"],
        "created_at": as_time(row["created_at"]),
        "start_time": as_time(row["started_at"]),
        "end_time": as_time(row["finished_at"]),
        "reason": row["reason"],
        "label": row.get("label", ""),
        "stop_on_reply": row.get("stop_on_reply", False),
        **hours_out(row),
    }


def _progress_of_none(state: str) -> float:
    """The progress of a campaign without messages: a schedule gets them when it starts, or ends without any."""
    return 0.0 if state == CampaignState.SCHEDULED else 100.0


class StatusReader:
    """Answers how a campaign is, and why something in it has not been sent yet.

    `hold` gives, for an engine, the seconds after which the fate of an uncertain message is known.
    """

    def __init__(self, db: Database, forecaster: Forecaster, hold: Callable[[str], float]) -> None:
        self._db = db
        self._forecaster = forecaster
        self._hold = hold

    async def page(
        self,
        scope: Scope | None,
        states: Sequence[str],
        search: str,
        created_from: datetime | None,
        created_to: datetime | None,
        offset: int,
        limit: int,
    ) -> tuple[list[dict[str, Any]], int]:
        """Some campaigns, newest first, and how many there are; those of a scope, or all for None."""
        filters = queries.Filters(
            scope=scope,
            states=states,
            search=search,
            created_from=created_from.timestamp() if created_from else None,
            created_to=created_to.timestamp() if created_to else None,
        )
        async with self._db.read() as connection:
            rows, total = await queries.list_campaigns(connection, filters, offset, limit)
            numbers = await queries.numbers_of(connection, [row.id for row in rows])
        return [campaign_out(queries.campaign_values(row), numbers[row.id]) for row in rows], total

    async def of(self, row: AnyRow) -> dict[str, Any]:
        """A campaign's status, with its reasons to wait and the time it will be done."""
        async with self._db.read() as connection:
            scene = await self._look(connection, row)
            ahead = await message_queries.times_ahead(connection, row.id, scene.now) if row.next_at is not None else []
        return {
            **campaign_out(queries.campaign_values(row), [view.number for view in scene.views]),
            "waiting": [_wait_out(wait) for wait in scene.waits],
            "estimated_finish": as_time(self._finish_at(scene, ahead)),
        }

    def _finish_at(self, scene: "_Scene", ahead: Sequence[tuple[float, int]]) -> float | None:
        """When the campaign will be done if all stays as it is; None while nobody can send, or nothing is left.

        `ahead` tells how many messages have which times of their own to wait for, the earliest first.
        """
        row, delays, now = scene.campaign, scene.delays, scene.now
        pending = row.n_queued + row.n_sending
        start = earliest_start(scene.views, now)
        if row.state not in _GOES_ON or start is None or not pending:
            return None
        starts_at, able = max(start[0], used_up_until(scene.limit, now) or 0.0), start[1]
        able_numbers = {view.number for view in able}
        in_turn = row.rotation == Rotation.EVEN or delays.switch > 0
        if in_turn and not row.failover and len(able) < len(scene.views):
            return None  # the turns of those that have fallen wait for them
        if is_gated(len(able), delays.switch) and row.last_answer_at is not None:
            starts_at = max(starts_at, row.last_answer_at + delays.switch)
        lanes = [lane for lane in scene.lanes if lane.number in able_numbers]
        lines = [self._forecaster.line(lane, lane.number, delays, now) for lane in lanes]
        rotation, at, due = Rotation(row.rotation), starts_at, pending - sum(count for _, count in ahead)
        for begins, count in [(starts_at, due), *ahead]:
            if count > 0:
                at = max(at, begins)
                today = day_of(scene.limit, at)
                at = self._forecaster.finish(count, lines, delays, rotation, scene.hours, at, today).at
        return at

    async def messages(
        self, row: AnyRow, states: Sequence[str], offset: int, limit: int, digits: Sequence[str] | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """A page of a campaign's messages, and how many of these states there are; with `digits` to these numbers."""
        if not row.total:
            return [], 0  # a schedule that has not begun: what is being stored does not count yet
        async with self._db.read() as connection:
            found = await message_queries.list_messages(connection, row.id, states, offset, limit, digits)
            total = await message_queries.count_messages(connection, row.id, states, digits) if digits else 0
            scene = await self._look(connection, row)
            turns = await _turns(connection, scene, found, gaps=digits is not None)
            writers = await _writers(connection, scene, found)
        if digits is None:
            total = sum(row._mapping[f"n_{state}"] for state in (states or queries.COUNTERS))
        return [_message_out(scene, one, turns.get(one.id), writers) for one in found], total

    async def message(self, row: AnyRow, message_id: str) -> dict[str, Any]:
        """One message of a campaign; raises `NotFound`."""
        async with self._db.read() as connection:
            found = await message_queries.find_message(connection, row.id, message_id)
            if found is None:
                raise NotFound("there is no such message in this campaign")
            scene = await self._look(connection, row)
            turns = await _turns(connection, scene, [found])
            writers = await _writers(connection, scene, [found])
        return _message_out(scene, found, turns.get(found.id), writers)

    async def finish_at(self, connection: AsyncConnection, row: AnyRow, delays: Delays, now: float) -> float | None:
        """When a campaign would be done under these general delays, as seen from `now`; None as in its status."""
        scene = await self._look(connection, row, delays, now)
        ahead = await message_queries.times_ahead(connection, row.id, scene.now) if row.next_at is not None else []
        return await asyncio.to_thread(self._finish_at, scene, ahead)  # some rotations are played message by message

    async def _look(
        self, connection: AsyncConnection, row: AnyRow, delays: Delays | None = None, now: float | None = None
    ) -> "_Scene":
        now = await read_now(connection) if now is None else now
        delays = delays or await read_delays(connection)
        lanes = await queries.lanes_of(connection, row, delays.switch, now)
        hours = hours_of(queries.campaign_values(row))
        gate = None
        if is_gated(row.senders, delays.switch) and row.last_answer_at is not None:
            gate = row.last_answer_at + delays.switch
        opens_at = row.opens_at if row.closes_at > now else window(hours, now).opens_at
        limit = None if row.client_id is None else await limit_of_client(connection, row.client_id)
        pending = row.n_queued + row.n_sending
        used_up = used_up_until(limit, now)
        view = CampaignView(row.state, pending, gate, row.starts_at, opens_at, row.next_at, used_up, row.reason)
        views = [self._view(lane, delays) for lane in lanes]
        waits = of_campaign(view, views, now)
        return _Scene(row, view, hours, lanes, views, waits, delays, now, limit)

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
            busy=lane.message_id is not None and lane.uncertain_at is None,
            yields=lane.yields,
            moving=lane.moving_to is not None,
        )


@dataclass(frozen=True, slots=True)
class _Scene:
    """A campaign and its senders at one moment."""

    campaign: AnyRow
    view: CampaignView
    hours: Hours
    lanes: Sequence[AnyRow]
    views: list[LaneView]
    waits: list[Wait]
    delays: Delays
    now: float
    limit: AnyRow | None


@dataclass(frozen=True, slots=True)
class _Turn:
    """A queued message's place: whether none that could leave is before it, and when it may leave at the earliest."""

    is_next: bool
    at: float


async def _turns(
    connection: AsyncConnection, scene: _Scene, found: Sequence[AnyRow], *, gaps: bool = False
) -> dict[str, _Turn]:
    """The places of those of `found` (in their order) that are queued; with `gaps` others may lie between them."""
    queued = [row for row in found if row.state == MessageState.QUEUED]
    if not queued:
        return {}
    first, before = queued[0], 0
    if scene.campaign.next_at is None or first.not_before <= scene.now:  # before one that waits for its time all do
        before = await message_queries.queued_before(
            connection, scene.campaign.id, first.seq, scene.now, PLACES_COUNTED
        )
    begins = max(scene.now, min(view.ready_at for view in scene.views))
    delay = min(view.delay for view in scene.views)
    turns: dict[str, _Turn] = {}
    for earlier, row in zip([None, *queued], queued, strict=False):
        if earlier is not None:
            before += earlier.not_before <= scene.now
            if gaps and before < PLACES_COUNTED:
                before += await message_queries.queued_before(
                    connection, scene.campaign.id, row.seq, scene.now, PLACES_COUNTED, after=earlier.seq
                )
        at = begins + soonest(before, len(scene.views), delay, scene.delays.switch)
        turns[row.id] = _Turn(before == 0, at)
    return turns


def _wait_out(wait: Wait) -> dict[str, Any]:
    return {
        "reason": str(wait.reason),
        "message": wait.sentence,
        "until": as_time(wait.until),
        "sender_number": f"+{wait.number}" if wait.number else None,
    }


async def _writers(connection: AsyncConnection, scene: _Scene, found: Sequence[AnyRow]) -> dict[str, list[str]]:
    """Who of `found` may be answered by senders that WhatsApp has locked, as they have written to them: by number."""
    locked = {lane.sender_id: lane.number for lane in scene.lanes if lane.locked_until > scene.now}
    writers: dict[str, list[str]] = defaultdict(list)
    if locked:
        phones = [row.phone for row in found if row.state == MessageState.QUEUED]
        for sender_id, phone in await correspondents_of(connection, sorted(locked), phones):
            writers[phone].append(locked[sender_id])
    return writers


def _sender_of(scene: _Scene, row: AnyRow, turn: _Turn) -> str | None:
    """The sender through which a message leaves; None where that is not decided."""
    campaign = scene.campaign
    if campaign.senders == 1:
        return str(row.sender_number) if row.sender_number else None
    if campaign.rotation != Rotation.EVEN:
        return None  # whoever is free, also where it was another's before
    if not is_gated(campaign.senders, scene.delays.switch):
        return str(row.sender_number) if row.sender_number else None  # its share
    if not turn.is_next:
        return None
    able = [is_able(view, scene.now) for view in scene.views]
    position = turn_of(campaign.turn, able, failover=campaign.failover)
    return None if position is None else scene.views[position].number


def _wait_of(scene: _Scene, row: AnyRow, turn: _Turn, waits: list[Wait], number: str | None) -> Wait | None:
    return of_message(
        waits,
        scene.campaign.senders,
        not_before=row.not_before,
        now=scene.now,
        is_next=turn.is_next,
        number=number,
        turn_at=turn.at,
        tried=row.attempts > 0 or scene.campaign.next_at is None,
        busy=[view.number for view in scene.views if view.busy],
        one_by_one=is_gated(scene.campaign.senders, scene.delays.switch) and scene.campaign.in_flight > 0,
    )


def _wait_of_answer(scene: _Scene, row: AnyRow, turn: _Turn, number: str) -> Wait | None:
    """What a message waits for through a locked sender, to which its recipient has written."""
    views = [replace(view, locked_until=0.0) if view.number == number else view for view in scene.views]
    return _wait_of(scene, row, turn, of_campaign(scene.view, views, scene.now), number)


def _message_out(
    scene: _Scene, row: AnyRow, turn: _Turn | None, writers: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    waiting = None
    if turn is not None:
        waiting = _wait_of(scene, row, turn, scene.waits, _sender_of(scene, row, turn))
        if waiting is not None and waiting.reason is Reason.NUMBER_LOCK and writers.get(row.phone):
            waiting = _wait_of_answer(scene, row, turn, writers[row.phone][0])
    elif row.state == MessageState.SENDING and row.uncertain_at is not None:
        waiting = next((of_lane(view, scene.now) for view in scene.views if view.number == row.sender_number), None)
    times = [row.created_at, row.started_at, row.sent_at, row.delivered_at, row.read_at, row.finished_at]
    return {
        "id": row.id,
        "recipient": f"+{row.phone}",
        "grade": row.grade,
        "status": row.state,
        "text": scene.campaign.template if row.text is None else row.text,
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
        "waiting": _wait_out(waiting) if waiting is not None else None,
        "note": note_of(row, scene.now),
        "personalization": row.personalization,
    }
