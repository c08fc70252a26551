"""Texts that a service of the operator writes, one for each recipient, before a campaign is queued.

It is asked at the door, outside any transaction: the text that is stored is the text that is sent, the pace of sending
knows nothing of the service, and a message that is tried again is not written again. Where the service fails, the
recipient gets the template as it is filled in for them, and the message says why.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import structlog

from campaigns.personalization.asking import Person, Written, ask
from campaigns.personalization.words import Outcome
from campaigns.sending.preparing import Row
from campaigns.sending.submitting import Submission
from gateway.errors import FieldError, ValidationFailed
from gateway.settings import PersonalizationSettings

log = structlog.get_logger()
_OUT_OF_TIME = Written(Outcome.OUT_OF_TIME)


class Personalizer:
    """Asks the service: of all requests together at most `at_once` questions at a time."""

    def __init__(self, settings: PersonalizationSettings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.at_once)

    def require_room(self, field: str, count: int) -> None:
        """Stop where a campaign has more recipients than the service is asked about.

        Raises:
            ValidationFailed: naming `field`.
        """
        most = self._settings.max_recipients
        if count > most:
            message = f"at most {most} can be personalized in one campaign, here are {count}"
            raise ValidationFailed(f"{field}: {message}", errors=[FieldError(field, message, "too_long")])

    async def personalize(self, submission: Submission, people: Mapping[str, Person]) -> Submission:
        """The same submission with the texts of the service; `people` are by their digits.

        Whoever has opted out gets nothing, so nothing is told of them.
        """
        rows = submission.prepared.rows
        asked = [phone for phone, _, _ in rows if phone not in submission.opted_out]
        written = await self._write(submission.request.template, [people[phone] for phone in asked])
        found = dict(zip(asked, written, strict=True))
        outcomes = {phone: str(one.outcome) for phone, one in found.items()}
        log.info("campaign_personalized", **Counter(outcomes.values()))
        prepared = replace(submission.prepared, rows=[_with_text(row, found.get(row[0])) for row in rows])
        return replace(submission, prepared=prepared, personalization=outcomes)

    async def _write(self, template: str, people: Sequence[Person]) -> list[Written]:
        """What became of each; those whose turn had not come when the time for all was over are `out_of_time`."""
        written = [_OUT_OF_TIME] * len(people)
        waiting = iter(enumerate(people))
        try:
            async with asyncio.timeout(self._settings.total_seconds), asyncio.TaskGroup() as group:
                for _ in range(min(self._settings.at_once, len(people))):
                    group.create_task(self._work(template, waiting, written))
        except TimeoutError:
            log.warning("personalization_out_of_time", recipients=written.count(_OUT_OF_TIME))
        return written

    async def _work(self, template: str, waiting: Iterator[tuple[int, Person]], written: list[Written]) -> None:
        for place, person in waiting:
            async with self._turns:
                written[place] = await ask(self._settings, template, person)


def _with_text(row: Row, written: Written | None) -> Row:
    phone, grade, text = row
    return phone, grade, text if written is None or written.text is None else written.text
