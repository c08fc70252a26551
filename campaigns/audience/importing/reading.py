"""The rows of a list as recipients to be, in a worker thread: each is judged, and written to a file for the next step.

Nothing is stored before the whole list was read, so that a bad row on the last line can still stop it; and no list is
kept in memory, however long it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import orjson

from campaigns.audience.contact_file import ContactFile, ContactFileError, ContactRow, read_contacts
from campaigns.audience.importing.columns import PHONE, Plan, plan_columns
from campaigns.audience.importing.models import RowFate
from campaigns.audience.variables import GivenVariable, check_variables
from gateway.background import politely
from gateway.settings import PhoneSettings

SLICE = 500
"""So many rows are stored in one transaction."""
MAX_NAME = 100
SHOWN = 100
"""So much of a number that is none is told in the report."""
EMPTY_PER_ROW = 10
"""A list may have that many empty rows for each of the rows that it may have."""


class Judged(NamedTuple):
    """One row: `fate` is empty where the row can be stored. `phone` are digits then, else what stands in the file."""

    line: int
    fate: str
    reason: str
    phone: str
    grade: str
    name: str
    variables: Mapping[str, Any]


@dataclass(slots=True)
class Progress:
    """How far the reading is; `stopped` ends it."""

    rows: int = 0
    invalid: int = 0
    blank: int = 0
    stopped: bool = False


class ReadingStopped(Exception):
    """The gateway stops, and the reading with it."""


def read_rows(
    source: BinaryIO,
    spool: BinaryIO,
    progress: Progress,
    *,
    said: Mapping[str, str | None],
    phone: PhoneSettings,
    max_rows: int,
) -> None:
    """Judge every row of the list in `source`, and write them to `spool`, a slice on each line.

    Raises:
        ContactFileError: it is no list, or too long.
    """
    source.seek(0)
    wanted = next((column for column, role in said.items() if role == PHONE), "")
    with read_contacts(source, default_region=phone.default_region, strict=phone.strict, phone_column=wanted) as rows:
        plan = plan_columns(rows.layout.names, rows.layout.names[rows.layout.phone], said)
        for slice_ in _slices(_counted(rows, progress, max_rows), plan, progress):
            spool.write(orjson.dumps([tuple(row) for row in slice_]) + b"\n")
    spool.flush()


def next_slice(spool: BinaryIO) -> list[Judged]:
    """The next rows from the file that `read_rows` wrote; none at its end."""
    line = spool.readline()
    return [Judged(*row) for row in orjson.loads(line)] if line else []


def _counted(rows: ContactFile, progress: Progress, max_rows: int) -> Iterator[ContactRow]:
    """The rows that have any content, if there are not too many."""
    empty = 0
    for row in politely(rows):
        if progress.stopped:
            raise ReadingStopped
        progress.rows += 1
        if row.fate == "blank" and not any(row.variables.values()):
            empty += 1
            progress.blank += 1
        else:
            yield row
        if progress.rows - empty > max_rows or empty > max_rows * EMPTY_PER_ROW:
            raise ContactFileError(f"it has more than {max_rows} rows: import it in parts")


def _slices(rows: Iterable[ContactRow], plan: Plan, progress: Progress) -> Iterator[list[Judged]]:
    judged: list[Judged] = []
    for row in rows:
        one = judge(row, plan)
        progress.invalid += one.fate == RowFate.INVALID
        judged.append(one)
        if len(judged) == SLICE:
            yield judged
            judged = []
    if judged:
        yield judged


def judge(row: ContactRow, plan: Plan) -> Judged:
    """What a row says of a recipient, or why it does not."""
    name = plan.read_name(row.variables)
    if row.fate != "ok" or row.phone is None:
        shown = row.written[:SHOWN] if row.phone is None else row.phone.digits
        return Judged(row.line, row.fate, row.reason, shown, "", name[:MAX_NAME], {})
    variables = plan.read_variables(row.variables)
    digits, grade = row.phone.digits, row.phone.grade
    errors = check_variables([GivenVariable(name, name, value) for name, value in variables.items()])
    if errors:
        reason = f"{errors[0].field}: {errors[0].message}"
        return Judged(row.line, RowFate.INVALID, reason, digits, grade, name[:MAX_NAME], {})
    reason = f"the name is longer than {MAX_NAME} characters and was cut" if len(name) > MAX_NAME else ""
    return Judged(row.line, "", reason, digits, grade, name[:MAX_NAME].strip(), variables)
