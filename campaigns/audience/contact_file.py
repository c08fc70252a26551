"""Reading a contact list as people really have it.

CSV with comma, semicolon, tab or bar; UTF-8 with or without BOM, UTF-16, or a Windows code page; with a header in
any order and language, or none. Each row becomes a `ContactRow` that tells its fate, so that nobody is lost
silently: the four counts always add up to the rows of the file.

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

from campaigns.audience.contact_columns import Layout, guess_delimiter, guess_layout, name_columns, rows_of
from gateway.phone import BlankPhoneNumber, InvalidPhoneNumber, PhoneNumber, read_phone

Fate = Literal["ok", "duplicate", "invalid", "blank"]

SAMPLE_LINES = 100
MAX_LINE = 100_000  # characters

_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")
_SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # Excel's own way of naming the delimiter
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


class ContactFileError(ValueError):
    """The file as a whole cannot be read as a contact list; the message says why."""


@dataclass(frozen=True, slots=True)
class ContactRow:
    """One row: `line` is where it begins in the file, from 1; `reason` is empty only where the fate is `ok`."""

    line: int
    phone: PhoneNumber | None
    fate: Fate
    reason: str = ""
    variables: dict[str, str] = field(default_factory=dict)


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
            phone = read_phone(text, default_region=self._default_region, strict=self._strict)
        except BlankPhoneNumber as blank:
            reason = blank.reason if any(variables.values()) else "the row is empty"
            return ContactRow(record.line, None, "blank", reason, variables)
        except InvalidPhoneNumber as invalid:
            return ContactRow(record.line, None, "invalid", invalid.reason, variables)
        first = self._first_line.setdefault(int("1" + phone.digits), record.line)  # "1": a zero may lead
        if first != record.line:
            return ContactRow(record.line, phone, "duplicate", f"the same number as in line {first}", variables)
        return ContactRow(record.line, phone, "ok", "", variables)


def read_contacts(source: Path | BinaryIO | TextIO, *, default_region: str = "", strict: bool = False) -> ContactFile:
    """Open a contact list and find out how it is written; its rows are then read while iterating.

    A stream stays the caller's to close. Raises `ContactFileError` if it is empty, a workbook, or has no column of
    phone numbers, and `OSError` if the path cannot be opened. While iterating: `ContactFileError` for a line that is
    longer than any row of people.
    """
    with ExitStack() as resources:
        lines = _lines(_as_text(source, resources))
        sample = list(islice(lines, SAMPLE_LINES))
        separator = _SEPARATOR_LINE.fullmatch(sample[0]) if sample else None
        skipped = 1 if separator else 0
        delimiter = separator[1] if separator else guess_delimiter(sample)
        first_rows = [row for row in rows_of(sample[skipped:], delimiter) if any(cell.strip() for cell in row)]
        layout = guess_layout(first_rows, lambda cell: _likeness(cell, default_region))
        if layout is None:
            raise ContactFileError(_why_no_layout(first_rows))
        records = _records(chain(sample[skipped:], lines), delimiter, skipped)
        return ContactFile(
            _without_header(records) if layout.has_header else records,
            layout,
            resources.pop_all(),
            default_region=default_region,
            strict=strict,
        )


def _why_no_layout(first_rows: list[list[str]]) -> str:
    if not first_rows:
        return "the file is empty"
    columns = ", ".join(name_columns(first_rows[0], 0)[:10])
    return f"no column is known to hold phone numbers: name one of them 'phone' (columns: {columns[:300]})"


def _likeness(cell: str, default_region: str) -> int:
    try:
        return 1 if read_phone(cell, default_region=default_region).grade == "invalid" else 2
    except InvalidPhoneNumber:
        return 0


# --- from bytes to cells ---


def _as_text(source: Path | BinaryIO | TextIO, resources: ExitStack) -> TextIO:
    if isinstance(source, io.TextIOBase):
        return cast("TextIO", source)
    if isinstance(source, Path):
        binary = resources.enter_context(source.open("rb"))
    else:
        binary = io.BufferedReader(cast("io.RawIOBase", source))
        resources.callback(binary.detach)
    head = binary.peek(4096)[:4096]
    if head.startswith(_WORKBOOKS):
        raise ContactFileError("this is a spreadsheet workbook, not a text: save it as CSV (UTF-8)")
    text = io.TextIOWrapper(binary, _encoding(head), errors=_AS_WINDOWS, newline="")
    resources.callback(text.detach)
    return text


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
