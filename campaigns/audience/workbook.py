"""The cells of an XLSX workbook as texts, row by row.

A workbook is a zip of XML that anybody may have made. So what it says that it unpacks to is checked before anything is
unpacked (and zipfile unpacks no more than was said); defusedxml, which openpyxl uses where it is installed, takes no
entities; and rows and columns have an end.
"""

import importlib
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Any, BinaryIO

warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")  # about what it leaves out: styles, charts

MAX_UNPACKED = 256 * 1024 * 1024
"""Bytes of all parts together; 100,000 people with ten columns are 50 million."""
MAX_PARTS = 10_000
MAX_COLUMNS = 256
"""A row that has one more is refused; single cells far out are not read."""
MAX_ROWS = 1_048_576
"""What Excel itself can have."""

_ERRORS = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"})
_LONGEST_EXACT = 1e15


class WorkbookError(ValueError):
    """It cannot be read as a workbook; the message says why."""


@contextmanager
def open_workbook(source: BinaryIO) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """The rows of the first visible sheet that has any, each with its number in the sheet; empty rows are left out.

    Formulas give the values that were saved with them. Raises `WorkbookError`, also while iterating.
    """
    if not source.seekable():
        raise WorkbookError("a workbook can be read from a file only, not from a pipe: save it as CSV (UTF-8)")
    openpyxl = importlib.import_module("openpyxl")  # a fifth of a second, of which most processes make no use
    assert openpyxl.DEFUSEDXML, "openpyxl must not read what strangers made without defusedxml"
    with _told_as_ours():
        _refuse_bombs(source)
        book = openpyxl.load_workbook(source, read_only=True, data_only=True, keep_links=False)
    try:
        yield _rows_of_first(book)
    finally:
        book.close()


def as_text(value: Any) -> str:
    """A cell's value as somebody would have typed it: 4.47700900123E+11 is "447700900123"; errors are empty."""
    if value is None or (isinstance(value, str) and value in _ERRORS):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _LONGEST_EXACT:
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time.min else value.isoformat(" ", "minutes")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _refuse_bombs(source: BinaryIO) -> None:
    with zipfile.ZipFile(source) as archive:
        parts = archive.infolist()
        unpacked = sum(part.file_size for part in parts)
    source.seek(0)
    if unpacked > MAX_UNPACKED or len(parts) > MAX_PARTS:
        raise WorkbookError(
            f"this workbook unpacks to {unpacked} bytes, at most {MAX_UNPACKED} are read: save it as CSV"
        )


def _rows_of_first(book: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows of the first sheet with content; the visible ones come first."""
    with _told_as_ours():
        for sheet in sorted(book.worksheets, key=lambda sheet: sheet.sheet_state != "visible"):
            sheet.reset_dimensions()  # what a file says of its size need not be true
            rows = _rows(sheet)
            first = next(rows, None)
            if first is not None:
                yield first
                yield from rows
                return


def _rows(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    width = 0
    for number, values in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS + 1, values_only=True), start=1):
        if number > MAX_ROWS:
            raise WorkbookError(f"this workbook has more than {MAX_ROWS} rows")
        if any(values[width:]):
            width = len(values)
            while values[width - 1] is None:
                width -= 1
        cells = [as_text(value) for value in values[:width]]
        while cells and not cells[-1].strip():
            cells.pop()
        if len(cells) > MAX_COLUMNS:
            raise WorkbookError(f"row {number} of this workbook has more than {MAX_COLUMNS} columns")
        if cells:
            yield number, cells


@contextmanager
def _told_as_ours() -> Iterator[None]:
    """What openpyxl raises on a file that is none, or is broken, is told as one error; it can be of nearly any kind."""
    try:
        yield
    except (WorkbookError, MemoryError):
        raise
    except Exception as error:
        raise WorkbookError(
            "this looks like a spreadsheet workbook, but cannot be read as XLSX: save it as CSV (UTF-8)"
        ) from error
