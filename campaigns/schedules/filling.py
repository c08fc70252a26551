"""From the members of a group to messages: a slice of recipients is rendered as `/api/send` renders its own. Pure.

Meant for a worker thread. What cannot be rendered becomes a message too, one that is skipped and says why: nobody is
there to be told of a refusal when a schedule begins.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from campaigns.audience.optouts.queries import OPTED_OUT
from campaigns.durations import told
from campaigns.schedules.local_time import LocalTimes
from campaigns.schedules.skips import TOLD_AT_ONCE
from campaigns.sending.lateness import TOO_LATE
from campaigns.sending.models import MessageState
from campaigns.sending.preparing import prepare, read_template
from campaigns.sending.rendering import Template
from campaigns.sending.schemas import Recipient
from gateway.db import AnyRow
from gateway.ids import make_ids
from gateway.phone import PhoneNumber

MILLISECONDS_APART = 2
"""Ids carry milliseconds: so those of a slice lie above those of the slice before."""


@dataclass(frozen=True, slots=True)
class Unsendable:
    """Why a message is skipped."""

    code: str
    reason: str


@dataclass(slots=True)
class Filling:
    """A campaign that is being given its messages; of many recipients only the numbers seen stay in memory.

    `at` (epoch seconds) is when its text was read, and `count` how many messages there are so far, of which `skipped`
    are for people who cannot be written to; `why` is the reason of the first of them, and `first_skipped` are as many
    of them as are told at once. With `times` each has a time of its own, and `first_at` is the first of those that
    wait.
    """

    campaign_id: str
    at: float
    template: Template
    times: LocalTimes | None = None
    first_at: float | None = None
    count: int = 0
    skipped: int = 0
    why: str = ""
    first_skipped: list[dict[str, Any]] = field(default_factory=list)
    slices: int = 0
    seen: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, campaign_id: str, at: float, content: str, times: LocalTimes | None = None) -> "Filling":
        """One without messages yet; raises `ValidationFailed` for a text that is no template."""
        return cls(campaign_id, at, read_template(content), times)

    def add(self, members: Iterable[AnyRow], opted_out: Mapping[str, str]) -> list[dict[str, Any]]:
        """The messages of the next members (columns: name, phone, grade, variables), as the table takes them.

        `opted_out` are the numbers that may not be written to, with the reasons. A number that somebody had when they
        were read, and somebody else has now, gets one.
        """
        fresh = [row for row in members if int(row.phone) not in self.seen]
        self.seen.update(int(row.phone) for row in fresh)
        numbers = {row.phone: PhoneNumber(row.phone, row.grade) for row in fresh}
        prepared = prepare(self.template, [_recipient(row) for row in fresh], {}, numbers.__getitem__)
        moments = {} if self.times is None else {row.phone: self.times.moment(row.phone) for row in fresh}
        bad = {row.phone: late for row in fresh if (late := self._late(row.phone, moments)) is not None}
        bad |= {one.recipient: Unsendable(one.code, one.reason) for one in prepared.bad}
        bad |= {row.phone: Unsendable(OPTED_OUT, opted_out[row.phone]) for row in fresh if row.phone in opted_out}
        waiting = [moment for phone, moment in moments.items() if phone not in bad]
        self.first_at = min([*waiting, *([] if self.first_at is None else [self.first_at])], default=None)
        good = {digits: text for digits, _, text in prepared.rows}
        ids = make_ids(self.at + self.slices * MILLISECONDS_APART / 1000, len(fresh))
        rows = [
            self._row(message_id, seq, row, good.get(row.phone), bad.get(row.phone), moments.get(row.phone, 0.0))
            for message_id, (seq, row) in zip(ids, enumerate(fresh, self.count), strict=True)
        ]
        self.slices += 1
        self.count += len(rows)
        self.skipped += len(bad)
        self.why = self.why or next((one.reason for one in bad.values()), "")
        skipped = [row for row in rows if row["state"] == MessageState.SKIPPED]
        self.first_skipped += skipped[: TOLD_AT_ONCE - len(self.first_skipped)]
        return rows

    @property
    def untold_from(self) -> int | None:
        """From which message on those are to be told of who are not among `first_skipped`; None: nobody is left."""
        told_all = self.skipped == len(self.first_skipped)
        return None if told_all else self.first_skipped[-1]["seq"] + 1

    def _late(self, phone: str, moments: Mapping[str, float]) -> Unsendable | None:
        """Why somebody is not written to whose time is over; None if it is not."""
        late = None if self.times is None else self.times.lateness(moments[phone])
        if self.times is None or late is None:
            return None
        most = f"{told(self.times.max_lateness)} (max_lateness)"
        return Unsendable(TOO_LATE, f"it was {told(late)} late where this number is, and may be at most {most}")

    def _row(
        self, message_id: str, seq: int, member: AnyRow, text: str | None, bad: Unsendable | None, not_before: float
    ) -> dict[str, Any]:
        return {
            "id": message_id,
            "campaign_id": self.campaign_id,
            "seq": seq,
            "phone": member.phone,
            "grade": member.grade,
            "text": text,
            "state": MessageState.SKIPPED if bad else MessageState.QUEUED,
            "attempts": 0,
            "not_before": not_before,
            "created_at": self.at,
            "finished_at": self.at if bad else None,
            "error_code": bad.code if bad else None,
            "error": bad.reason if bad else None,
        }


def _recipient(member: AnyRow) -> Recipient:
    return Recipient.model_construct(
        phone=member.phone, variables=values_of(member.name, member.phone, member.variables)
    )


def values_of(name: str, phone: str, variables: str) -> dict[str, Any]:
    """A recipient's values for a template: `name`, `phone` and `phone_number`, and their own variables (JSON) first."""
    number = f"+{phone}"
    return {"name": name, "phone": number, "phone_number": number, **orjson.loads(variables)}


def reason_of_none(filling: Filling) -> str:
    """Why nothing is sent where everybody was skipped."""
    return f"none of its {filling.count} recipients could be written to; the first: {filling.why}"
