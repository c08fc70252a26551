"""Reading a contact list as people really have it.

CSV with comma, semicolon, tab or bar; UTF-8 with or without BOM, UTF-16, or a Windows code page; or an XLSX workbook;
with a header in any order and language, or none. Each row becomes a `ContactRow` that tells its fate, so that nobody is
lost silently: the four counts always add up to the rows of the file.

The file is streamed: what is kept in memory is the first rows, and one small entry per different number.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self, TextIO, cast

from campaigns.audience.contact_columns import (
    Layout,
    guess_delimiter,
    guess_layout,
    layout_with_phone,
    name_columns,
    rows_of,
)
from campaigns.audience.workbook import WorkbookError, open_workbook
from gateway.phone import BlankPhoneNumber, InvalidPhoneNumber, PhoneNumber, read_phone, read_stored

Fate = Literal["ok", "duplicate", "invalid", "blank"]

SAMPLE_LINES = 100
MAX_LINE = 100_000  # characters

_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")
_SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # Excel's own way of naming the delimiter
_DIGITS = re.compile(r"[0-9]{7,15}")
_XLSX = b"PK\x03\x04"
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"


class ContactFileError(ValueError):
    """The file as a whole cannot be read as a contact list; the message says why."""


@dataclass(frozen=True, slots=True)
class ContactRow:
    """One row: `line` is where it begins in the file, from 1; `reason` is empty only where the fate is `ok`.

    `written` is the number as it stands in the file.
    """

    line: int
    phone: PhoneNumber | None
    fate: Fate
    reason: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    written: str = ""


@dataclass(frozen=True, slots=True)
class _Record:
    """The cells of one row, or why they cannot be told apart."""

    line: int
    cells: list[str]
    problem: str = ""


class ContactFile:
    """The rows of a file, to be iterated over once; `counts` is complete when the iteration is.

    A file that was given by its path is closed at its end, and on leaving the `with` block.
    """

    def __init__(
        self, records: Iterator[_Record], layout: Layout, resources: ExitStack, *, default_region: str, strict: bool
    ) -> None:
        self.layout = layout
        self.counts: Counter[Fate] = Counter()
        self._records = records
        self._resources = resources
        self._default_region = default_region
        self._strict = strict
        self._first_line: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; may be called again."""
        self._resources.close()

    def __iter__(self) -> Iterator[ContactRow]:
        for record in self._records:
            row = self._judge(record)
            self.counts[row.fate] += 1
            yield row
        self.close()

    def _judge(self, record: _Record) -> ContactRow:
        if record.problem:
            return ContactRow(record.line, None, "invalid", record.problem)
        names, at = self.layout.names, self.layout.phone
        if len(record.cells) > len(names):
            names = (*names, *name_columns((), len(record.cells))[len(names) :])
        variables = {names[index]: cell for index, cell in enumerate(record.cells) if index != at}
        text = record.cells[at] if at < len(record.cells) else ""
        try:
            phone = self._read(text)
        except BlankPhoneNumber as blank:
            reason = blank.reason if any(variables.values()) else "the row is empty"
            return ContactRow(record.line, None, "blank", reason, variables, text)
        except InvalidPhoneNumber as invalid:
            return ContactRow(record.line, None, "invalid", invalid.reason, variables, text)
        first = self._first_line.setdefault(int("1" + phone.digits), record.line)  # "1": a zero may lead
        if first != record.line:
            return ContactRow(record.line, phone, "duplicate", f"the same number as in line {first}", variables, text)
        return ContactRow(record.line, phone, "ok", "", variables, text)

    def _read(self, text: str) -> PhoneNumber:
        """The number of a row. Our own exports have lost the plus: a region would make another number of the digits."""
        if self.layout.is_ours and _DIGITS.fullmatch(text):
            return read_stored(text, strict=self._strict)
        return read_phone(text, default_region=self._default_region, strict=self._strict)


def read_contacts(
    source: Path | BinaryIO | TextIO, *, default_region: str = "", strict: bool = False, phone_column: str = ""
) -> ContactFile:
    """Open a contact list and find out how it is written; its rows are then read while iterating.

    `phone_column` names the column of the numbers where it is not to be guessed. A stream stays the caller's to close.
    Raises `ContactFileError` if it is empty, an old workbook, or has no column of phone numbers, and `OSError` if the
    path cannot be opened. While iterating: `ContactFileError` for a line that is longer than any row of people.
    """
    with ExitStack() as resources:
        first_rows, records = _open(source, resources)
        layout = _layout(first_rows, default_region, phone_column)
        return ContactFile(
            _without_header(records) if layout.has_header else records,
            layout,
            resources.pop_all(),
            default_region=default_region,
            strict=strict,
        )


def _layout(first_rows: list[list[str]], default_region: str, phone_column: str) -> Layout:
    def likeness(cell: str) -> int:
        return _likeness(cell, default_region)

    if phone_column and first_rows:
        layout = layout_with_phone(first_rows, phone_column, likeness)
        problem = f"there is no column {phone_column[:100]!r} ({_columns(first_rows)})"
    else:
        layout = guess_layout(first_rows, likeness)
        problem = _why_no_layout(first_rows)
    if layout is None:
        raise ContactFileError(problem)
    return layout


def _why_no_layout(first_rows: list[list[str]]) -> str:
    if not first_rows:
        return "the file is empty"
    return f"no column is known to hold phone numbers: name one of them 'phone' ({_columns(first_rows)})"


def _columns(first_rows: list[list[str]]) -> str:
    columns = ", ".join(name_columns(first_rows[0], 0)[:10])
    return f"columns: {columns[:300]}"


def _likeness(cell: str, default_region: str) -> int:
    try:
        return 1 if read_phone(cell, default_region=default_region).grade == "invalid" else 2
    except InvalidPhoneNumber:
        return 0


# --- from bytes to cells ---


def _open(source: Path | BinaryIO | TextIO, resources: ExitStack) -> tuple[list[list[str]], Iterator[_Record]]:
    """The first rows that are not empty, to learn the layout from, and all rows."""
    if isinstance(source, io.TextIOBase):
        return _text_rows(cast("TextIO", source))
    if isinstance(source, Path):
        binary = resources.enter_context(source.open("rb"))
    else:
        binary = io.BufferedReader(cast("io.RawIOBase", source))
        resources.callback(binary.detach)
    head = binary.peek(4096)[:4096]
    if head.startswith(_XLSX):
        return _workbook_rows(binary, resources)
    if head.startswith(_OLD_WORKBOOK):
        raise ContactFileError(
            "this is an old or encrypted workbook: save it as XLSX without a password, or as CSV (UTF-8)"
        )
    text = io.TextIOWrapper(binary, _encoding(head), errors=_AS_WINDOWS, newline="")
    resources.callback(text.detach)
    return _text_rows(text)


def _text_rows(text: TextIO) -> tuple[list[list[str]], Iterator[_Record]]:
    lines = _lines(text)
    sample = list(islice(lines, SAMPLE_LINES))
    separator = _SEPARATOR_LINE.fullmatch(sample[0]) if sample else None
    skipped = 1 if separator else 0
    delimiter = separator[1] if separator else guess_delimiter(sample)
    first_rows = rows_of(sample[skipped:], delimiter)
    return _not_empty(first_rows), _records(chain(sample[skipped:], lines), delimiter, skipped)


def _workbook_rows(binary: BinaryIO, resources: ExitStack) -> tuple[list[list[str]], Iterator[_Record]]:
    try:
        cells = resources.enter_context(open_workbook(binary))
        records = _workbook_records(cells)
        sample = list(islice(records, SAMPLE_LINES))
    except WorkbookError as error:
        raise ContactFileError(str(error)) from error
    return _not_empty(record.cells for record in sample), chain(sample, records)


def _workbook_records(rows: Iterator[tuple[int, list[str]]]) -> Iterator[_Record]:
    try:
        for line, cells in rows:
            yield _Record(line, [_UNSENDABLE.sub("", cell).strip() for cell in cells])
    except WorkbookError as error:
        raise ContactFileError(str(error)) from error


def _not_empty(rows: Iterable[list[str]]) -> list[list[str]]:
    return [row for row in rows if any(cell.strip() for cell in row)]


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(head) >= 4 and not any(head[1:200:2]):  # the upper halves of Latin letters and digits are 0
        return "utf-16-le"
    if len(head) >= 4 and not any(head[0:200:2]):
        return "utf-16-be"
    return "utf-8-sig"


_AS_WINDOWS = "windows-1252-where-not-unicode"


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    """What is not UTF-8 is taken as the Western Windows code page, byte by byte, so that a file can be streamed."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return (wrong.decode("cp1252", "replace") if error.encoding == "utf-8" else "\N{REPLACEMENT CHARACTER}"), error.end


codecs.register_error(_AS_WINDOWS, _windows_1252)


def _lines(text: TextIO) -> Iterator[str]:
    number = 0
    while line := text.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise ContactFileError(f"line {number} is longer than {MAX_LINE} characters: this is not a contact list")
        yield _UNSENDABLE.sub("", line.removeprefix("\ufeff") if number == 1 else line)


def _records(lines: Iterable[str], delimiter: str, skipped: int) -> Iterator[_Record]:
    """All rows with the lines at which they begin; those that cannot be taken apart too, and the rest after them."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = reader.line_num + 1 + skipped
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            last = reader.line_num + skipped
            where = f"line {line}" if last <= line else f"lines {line} to {last}"
            yield _Record(line, [], f"a quotation mark is not closed, or not doubled: {where} cannot be read")
        else:
            yield _Record(line, [cell.strip() for cell in cells])


def _without_header(records: Iterator[_Record]) -> Iterator[_Record]:
    for record in records:
        if any(record.cells):
            break
        yield record
    yield from records
