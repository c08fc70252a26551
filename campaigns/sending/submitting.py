"""From a request to a stored campaign, however long its list of recipients is.

It is read in a worker thread. Its messages are stored some at a time, each time in a transaction of its own, so that
whoever else wants to write gets a turn between. The last of them are stored together with the campaign, and only with
it do they begin to exist for anybody: a message is found through its campaign. What a process that died in the middle
has left is removed by `retention`.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.optouts.queries import OPTED_OUT, find_cap, opted_out_among
from campaigns.metering.admission import admit
from campaigns.sending import queries
from campaigns.sending.attachments import Uploaded, store_media
from campaigns.sending.counting import close_campaign
from campaigns.sending.hours import Hours
from campaigns.sending.lanes import wake_campaign
from campaigns.sending.models import CampaignState, MessageState, Purpose
from campaigns.sending.preparing import MAX_TOLD, Prepared, prepare, read_template
from campaigns.sending.rendering import Template
from campaigns.sending.schemas import SendRequest
from campaigns.sending.tables import campaign, campaign_sender
from campaigns.sending.timing import check_times, new_columns
from campaigns.sending.usual_hours import find_usual_hours
from gateway.auth.access import Caller, PhoneReader
from gateway.background import politely
from gateway.db import Database, read_now
from gateway.errors import FieldError, ServiceUnavailable, ValidationFailed
from gateway.fetch import Fetched
from gateway.http.sliced_body import too_many
from gateway.ids import make_id, make_ids
from sessions.ownership import hold_senders, require_senders
from sessions.queries import accounts_of_senders, ensure_sender

SLICE = 500
"""So many messages are stored in one transaction: about 10 ms."""
NOBODY = "all of its recipients have opted out"
STORING_SECONDS = 1800.0
"""Storing must not take longer: what is older, and without a campaign, may be taken for left over."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A request that was read: its senders, its template, what became of its recipients, and when they may be sent to.

    `opted_out` are those (digits) who may not be written to, with the reason: they become skipped messages.
    `personalization` tells, by digits, what became of texts that a service was asked for.
    """

    request: SendRequest
    numbers: list[str]
    template: Template
    prepared: Prepared
    opted_out: Mapping[str, str]
    hours: Hours
    purpose: Purpose = Purpose.CAMPAIGN
    personalization: Mapping[str, str] = field(default_factory=dict)

    @property
    def sendable(self) -> int:
        """How many messages are to be sent."""
        return len(self.prepared.rows) - len(self.opted_out)


@dataclass(frozen=True, slots=True)
class Begun:
    """A campaign of which messages are being stored: its id, and when that began on the database's clock."""

    campaign_id: str
    at: float


async def read_submission(
    db: Database,
    caller: Caller,
    request: SendRequest,
    phones: PhoneReader,
    *,
    max_recipients: int,
    purpose: Purpose = Purpose.CAMPAIGN,
) -> Submission:
    """Check a request and prepare its messages, in a worker thread; stores nothing.

    Raises:
        NotFound: a sender is not the caller's.
        ValidationFailed: a field is wrong.
    """
    if len(request.recipients) > max_recipients:
        raise too_many("recipients", max_recipients, len(request.recipients))
    if not request.template.strip() and not request.media_url:
        message = "is empty"
        raise ValidationFailed(f"template {message}", errors=[FieldError("template", message, "missing")])
    hours = await _read_hours(db, caller, request, purpose)
    numbers = _read_senders(request, phones)
    await require_senders(db, caller, numbers)
    template = read_template(request.template)
    recipients = politely(request.recipients)
    prepared = await asyncio.to_thread(prepare, template, recipients, request.variables, phones.read)
    opted_out = await _opted_out(db, caller, numbers, prepared) if purpose != Purpose.CONFIRMATION else {}
    return Submission(request, numbers, template, prepared, opted_out, hours, purpose)


async def _read_hours(db: Database, caller: Caller, request: SendRequest, purpose: Purpose) -> Hours:
    async with db.read() as connection:
        usual = await find_usual_hours(connection, caller.account_id) if purpose == Purpose.CAMPAIGN else None
        hours = request.hours(usual)
        check_times(hours, await read_now(connection))
    return hours


async def _opted_out(db: Database, caller: Caller, numbers: Sequence[str], prepared: Prepared) -> dict[str, str]:
    """Who has opted out of the messages of the caller's account, or of that of all the senders."""
    async with db.read() as connection:
        owners = await accounts_of_senders(connection, numbers)
    accounts = {caller.account_id} | (owners if len(owners) == 1 else set())
    return await opted_out_among(db, accounts, [phone for phone, _, _ in prepared.rows])


def _read_senders(request: SendRequest, phones: PhoneReader) -> list[str]:
    numbers = [phones.digits(request.sender_number, "sender_number")]
    for index, text in enumerate(request.sender_numbers):
        numbers.append(phones.digits(text, f"sender_numbers.{index}"))
    return list(dict.fromkeys(numbers))


def digest_of(request: SendRequest) -> str:
    """What tells this request from every other one; for a worker thread."""
    digest = hashlib.sha256(orjson.dumps(request.model_dump(mode="json", exclude={"recipients"})))
    for recipient in politely(request.recipients):
        own = recipient if isinstance(recipient, str) else recipient.model_dump(mode="json")
        digest.update(orjson.dumps(own))
    return digest.hexdigest()


def opted_out_rows(submission: Submission) -> list[dict[str, str]]:
    """The first recipients who have opted out, as an answer names them."""
    told = islice(submission.opted_out.items(), MAX_TOLD)
    return [{"recipient": f"+{phone}", "reason": reason, "code": OPTED_OUT} for phone, reason in told]


async def begin(db: Database) -> Begun:
    """A campaign that nobody can see yet."""
    async with db.read() as connection:
        now = round(await read_now(connection), 6)  # what is shown, in microseconds, finds it again in a filter
    return Begun(make_id(now), now)


async def store_early(db: Database, begun: Begun, submission: Submission) -> None:
    """Store all messages but the last slice, a slice at a time."""
    count = len(submission.prepared.rows)
    for start in range(0, count - SLICE, SLICE):
        rows = await asyncio.to_thread(_message_rows, begun, submission, start)
        async with db.write(bulk=True) as tx:
            await queries.insert_messages(tx, rows)


async def store_rest(
    tx: AsyncConnection, caller: Caller, begun: Begun, submission: Submission, found: Fetched | Uploaded | None
) -> None:
    """Store the last messages and the campaign, and have its lanes looked at if it may send: from here on it is there.

    Raises:
        ValidationFailed: its file has been removed meanwhile.
        NotFound: a sender is not the caller's any more.
        ServiceUnavailable: it took so long that the first messages may have been taken for left over.
        InsufficientBalance, DailyLimitReached: the client whose account it is may not send so much now.
    """
    request, campaign_id, now = submission.request, begun.campaign_id, await read_now(tx)
    if now - begun.at > STORING_SECONDS:
        raise ServiceUnavailable("storing the recipients took too long; nothing was queued")
    sender_ids = [await ensure_sender(tx, number, caller.account_id, now) for number in submission.numbers]
    if caller.whole_account is not None:
        await hold_senders(tx, caller.whole_account, sender_ids)
    await queries.ensure_lanes(tx, sender_ids)
    media_id = await store_media(tx, request.media_url or "", found, now) if found else None
    timing = new_columns(submission.hours, now)
    await tx.execute(
        insert(campaign).values(
            **_new_campaign(begun, caller.account_id, submission),
            **await _cap(tx, caller.account_id, request),
            **timing,
            media_id=media_id,
            senders=len(sender_ids),
        )
    )
    await tx.execute(insert(campaign_sender), _places(campaign_id, sender_ids, timing["state"]))
    last = max(0, len(submission.prepared.rows) - 1) // SLICE * SLICE
    await queries.insert_messages(tx, _message_rows(begun, submission, last))
    if not submission.sendable:
        await close_campaign(tx, campaign_id, CampaignState.FAILED, now, reason=NOBODY)
    elif timing["opens_at"] <= now:  # its alarm wakes it else
        await wake_campaign(tx, campaign_id)
    await admit(tx, caller.account_id, campaign_id, now, opens_at=timing["opens_at"])


async def remove_messages(db: Database, campaign_id: str) -> None:
    """Remove the messages of a campaign that does not exist, a slice at a time."""
    removed = SLICE
    while removed == SLICE:
        async with db.write(bulk=True) as tx:
            removed = await queries.delete_left_over(tx, campaign_id, SLICE)


def _message_rows(begun: Begun, submission: Submission, start: int) -> list[dict[str, Any]]:
    """The slice of messages that begins at `start`, as the table takes them."""
    rows = submission.prepared.rows[start : start + SLICE]
    later = 0.002 * (start // SLICE)  # ids carry milliseconds: so they ascend over all slices
    ids = make_ids(begun.at + later, len(rows))
    marks = {"stoppable": True} if submission.request.stop_on_reply else {}
    written = submission.personalization
    return [
        {
            **marks,
            **({"personalization": written.get(phone)} if written else {}),
            "id": message_id,
            "campaign_id": begun.campaign_id,
            "seq": seq,
            "phone": phone,
            "grade": grade,
            "text": text,
            "attempts": 0,
            "not_before": 0.0,
            "created_at": begun.at,
            **_beginning(begun, submission.opted_out, phone),
        }
        for seq, (message_id, (phone, grade, text)) in enumerate(zip(ids, rows, strict=True), start)
    ]


def _beginning(begun: Begun, opted_out: Mapping[str, str], phone: str) -> dict[str, Any]:
    """How a message begins: queued, or skipped because its recipient has opted out."""
    if not opted_out:
        return {"state": MessageState.QUEUED}
    refusal = opted_out.get(phone)
    if refusal is None:  # all rows of a statement have the same columns
        return {"state": MessageState.QUEUED, "finished_at": None, "error_code": None, "error": None}
    return {
        "state": MessageState.SKIPPED,
        "finished_at": begun.at,
        "error_code": OPTED_OUT,
        "error": refusal,
    }


async def _cap(tx: AsyncConnection, account_id: str, request: SendRequest) -> dict[str, int | None]:
    """How often people may be written to: as the request says, or else the account."""
    cap = request.frequency_cap or await find_cap(tx, account_id)
    return {"cap_messages": cap.messages if cap else None, "cap_days": cap.days if cap else None}


def _places(campaign_id: str, sender_ids: Sequence[int], state: str) -> list[dict[str, Any]]:
    """The campaign's senders; until it starts, their lanes need not look at it."""
    return [
        {
            "campaign_id": campaign_id,
            "sender_id": sender_id,
            "position": index,
            "open": state != CampaignState.SCHEDULED,
            "served_at": 0.0,
        }
        for index, sender_id in enumerate(sender_ids)
    ]


def _new_campaign(begun: Begun, account_id: str, submission: Submission) -> dict[str, Any]:
    request, counts = submission.request, {"queued": submission.sendable, "skipped": len(submission.opted_out)}
    return {
        "id": begun.campaign_id,
        "account_id": account_id,
        "sender_number": submission.numbers[0],
        "name": request.name,
        "template": request.template,
        "media_url": request.media_url,
        "priority": request.priority.rank,
        "rotation": request.rotation,
        "failover": request.failover,
        "turn": 0,
        "in_flight": 0,
        "auto_pause": request.auto_pause,
        "unfilled": False,
        "created_at": begun.at,
        "reason": "",
        "label": request.label,
        "stop_on_reply": request.stop_on_reply,
        "purpose": submission.purpose,
        "total": sum(counts.values()),
        **{f"n_{name}": counts.get(name, 0) for name in queries.COUNTERS},
    }
