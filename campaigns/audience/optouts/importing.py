"""Suppression lists as files: whoever is in one is not written to, as people really have such lists.

A bad row keeps nobody else off the list: it is told, and the others are stored. To import a list twice changes nothing.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaigns.audience.contact_file import ContactFileError, ContactRow, read_contacts
from campaigns.audience.optouts.models import Action, Source
from campaigns.audience.optouts.people import person_of
from campaigns.audience.optouts.schemas import BadLine, ImportedOut
from campaigns.audience.optouts.service import by
from campaigns.audience.optouts.stops import Stops
from campaigns.audience.optouts.storing import Change, add_history, opt_out
from gateway.auth.access import Caller
from gateway.background import politely
from gateway.db import Database, read_now
from gateway.errors import FieldError, ValidationFailed
from gateway.http.receiving import Received
from gateway.idempotency.keys import Key, keep
from gateway.settings import PhoneSettings

SLICE = 500
"""So many are stored in one transaction."""
MOST_TOLD = 100
LONGEST_REASON = 500
REASON_COLUMN = "reason"


@dataclass(slots=True)
class _List:
    """What a file says: the numbers (digits) with their reasons, and what is wrong with other rows."""

    numbers: list[tuple[str, str]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class SuppressionImport:
    """Stores lists of people who are not to be written to."""

    def __init__(self, db: Database, stops: Stops, folder: Path, phone: PhoneSettings, *, max_rows: int) -> None:
        self._db = db
        self._stops = stops
        self._phone = phone
        self._max_rows = max_rows
        self.folder = folder

    async def store(self, caller: Caller, received: Received, reason: str, key: Key | None = None) -> dict[str, Any]:
        """Store a list, some rows at a time; gives the answer, an `ImportedOut` as JSON. The file is closed.

        `reason` is that of rows which have none of their own.

        Raises:
            ValidationFailed: it is no list of numbers, or too long; nothing is stored.
        """
        try:
            found = await asyncio.to_thread(self._read, received, reason)
        except ContactFileError as error:
            raise ValidationFailed(f"file: {error}", errors=[FieldError("file", str(error), "not_a_list")]) from error
        finally:
            received.file.close()
        added = 0
        for start in range(0, len(found.numbers), SLICE):
            added += await self._store_slice(caller, found.numbers[start : start + SLICE])
        answer = ImportedOut(
            rows=found.counts.total(),
            added=added,
            existing=len(found.numbers) - added,
            duplicate=found.counts["duplicate"],
            invalid=found.counts["invalid"],
            blank=found.counts["blank"],
            bad_rows=found.bad,
        ).model_dump(mode="json")
        async with self._db.write() as tx:
            await keep(tx, key, answer)
        return answer

    def _read(self, received: Received, reason: str) -> _List:
        found, people = _List(), set[str]()
        received.file.seek(0)
        settings = self._phone
        with read_contacts(received.file, default_region=settings.default_region, strict=settings.strict) as rows:
            for row in politely(rows):
                fate = str(row.fate)
                if row.phone is not None and row.fate == "ok":
                    fate = "duplicate" if person_of(row.phone.digits) in people else fate
                    people.add(person_of(row.phone.digits))
                found.counts[fate] += 1
                if found.counts.total() > self._max_rows:
                    raise ContactFileError(f"it has more than {self._max_rows} rows: import it in parts")
                if fate == "ok" and row.phone is not None:
                    found.numbers.append((row.phone.digits, _reason_of(row) or reason))
                elif fate == "invalid" and len(found.bad) < MOST_TOLD:
                    found.bad.append(BadLine(line=row.line, phone_number=row.written[:MOST_TOLD], reason=row.reason))
        return found

    async def _store_slice(self, caller: Caller, numbers: list[tuple[str, str]]) -> int:
        changes = [Change(phone, Source.IMPORT, by(caller), reason) for phone, reason in numbers]
        async with self._db.write(bulk=True) as tx:
            now = await read_now(tx)
            added = {row.phone for row in await opt_out(tx, self._stops, caller.account_id, changes, now)}
            listed = [change for change in changes if change.phone in added]
            await add_history(tx, caller.account_id, Action.OPTED_OUT, listed, now)
        return len(added)


def _reason_of(row: ContactRow) -> str:
    """What the row says in a column `reason`; our own exports have one."""
    told = next((value for name, value in row.variables.items() if name.strip().casefold() == REASON_COLUMN), "")
    return told[:LONGEST_REASON]
