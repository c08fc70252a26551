"""Reads a contact list without storing anything: what a campaign, or its preview, is then made of."""

import asyncio
from pathlib import Path

from campaigns.audience.contact_file import ContactFile, ContactFileError, ContactRow, read_contacts
from campaigns.audience.contact_reading.schemas import ContactOut, ContactsOut, ReadOptions, RefusedRow
from gateway.background import politely
from gateway.errors import FieldError, ValidationFailed
from gateway.http.receiving import Received
from gateway.settings import PhoneSettings

AT_ONCE = 2
MOST_REFUSED_TOLD = 100
LONGEST_WRITTEN = 100


class ContactReading:
    """Reads lists of at most `max_rows` rows. `folder` is for what is being received."""

    def __init__(self, folder: Path, phone: PhoneSettings, *, max_rows: int) -> None:
        self.folder = folder
        self._phone = phone
        self._max_rows = max_rows
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def read(self, received: Received, options: ReadOptions) -> ContactsOut:
        """The list as it was understood. The file is closed.

        Raises:
            ValidationFailed: it is no list of people, or too long.
        """
        try:
            async with self._turns:
                return await asyncio.to_thread(self._read, received, options)
        except ContactFileError as error:
            raise ValidationFailed(f"file: {error}", errors=[FieldError("file", str(error), "not_a_list")]) from error
        finally:
            received.file.close()

    def _read(self, received: Received, options: ReadOptions) -> ContactsOut:
        received.file.seek(0)
        phone = self._phone
        with read_contacts(
            received.file,
            default_region=phone.default_region,
            strict=phone.strict,
            phone_column=options.phone_column.strip(),
        ) as contacts:
            good, refused = self._sort(contacts, options.rows)
            layout, counts = contacts.layout, contacts.counts
        return ContactsOut(
            columns=list(layout.names),
            phone_column=layout.names[layout.phone],
            has_header=layout.has_header,
            valid=counts["ok"],
            duplicate=counts["duplicate"],
            invalid=counts["invalid"],
            blank=counts["blank"],
            rows=good,
            refused=refused,
        )

    def _sort(self, contacts: ContactFile, most: int) -> tuple[list[ContactOut], list[RefusedRow]]:
        good: list[ContactOut] = []
        refused: list[RefusedRow] = []
        for row in politely(contacts):
            if contacts.counts.total() > self._max_rows:
                raise ContactFileError(f"it has more than {self._max_rows} rows: send it in parts")
            if row.fate == "ok":
                if row.phone is not None and len(good) < most:
                    good.append(
                        ContactOut(
                            line=row.line,
                            phone_number=row.phone.e164,
                            grade=row.phone.grade,
                            variables=row.variables,
                        )
                    )
            elif len(refused) < MOST_REFUSED_TOLD and _says_anything(row):
                written = row.written[:LONGEST_WRITTEN]
                refused.append(RefusedRow(line=row.line, fate=row.fate, written=written, reason=row.reason))
        return good, refused


def _says_anything(row: ContactRow) -> bool:
    return row.fate != "blank" or any(row.variables.values())
