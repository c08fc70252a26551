"""Workbooks: cells as somebody would have typed them, and what a hostile one cannot do."""

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import pytest
from openpyxl import Workbook

from campaigns.audience.workbook import MAX_COLUMNS, MAX_ROWS, WorkbookError, as_text, open_workbook

SHEET = "xl/worksheets/sheet1.xml"


def saved(*rows: tuple[Any, ...]) -> bytes:
    """An XLSX file with these rows."""
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def changed(content: bytes, change: Callable[[str], str]) -> bytes:
    """The file with another sheet in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data.decode()) if name == SHEET else data)
    return out.getvalue()


def rows_of(content: bytes) -> list[tuple[int, list[str]]]:
    with open_workbook(io.BytesIO(content)) as rows:
        return list(rows)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (447700900123, "447700900123"),
        (4.47700900123e11, "447700900123"),
        (1.5, "1.5"),
        ("#N/A", ""),
        (" as it is ", " as it is "),
        (datetime(2026, 1, 2), "2026-01-02"),  # noqa: DTZ001 - cells know no time zone
        (datetime(2026, 1, 2, 3, 4), "2026-01-02 03:04"),  # noqa: DTZ001
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
    ],
)
def test_a_cell_is_what_somebody_would_have_typed(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_rows_have_their_numbers_and_empty_ones_are_left_out() -> None:
    assert rows_of(saved(("phone", "name"), (), (None, " "), (1, None))) == [(1, ["phone", "name"]), (4, ["1"])]


def test_the_first_visible_sheet_with_rows_is_read() -> None:
    book = Workbook()
    hidden, shown = book.create_sheet("hidden"), book.create_sheet("shown")
    hidden.sheet_state = "hidden"
    hidden.append(["secret"])
    shown.append(["shown"])
    content = io.BytesIO()
    book.save(content)
    assert rows_of(content.getvalue()) == [(1, ["shown"])]


def test_entities_are_not_taken() -> None:
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    content = changed(saved(("phone",)), lambda xml: laughs + xml[xml.find("<worksheet") :])
    with pytest.raises(WorkbookError, match="cannot be read"):
        rows_of(content)


def test_a_row_or_a_column_far_out_ends_the_reading_and_not_the_process() -> None:
    far_row = changed(
        saved(("phone",)), lambda xml: xml.replace('r="1"', 'r="99999999999"').replace("A1", "A99999999999")
    )
    with pytest.raises(WorkbookError, match=f"more than {MAX_ROWS} rows|cannot be read"):
        rows_of(far_row)
    far_column = changed(saved(("phone", "name")), lambda xml: xml.replace('r="B1"', 'r="XFD1"'))
    assert rows_of(far_column) == [(1, ["phone"])]
    with pytest.raises(WorkbookError, match=f"more than {MAX_COLUMNS} columns"):
        rows_of(saved(tuple(range(1, MAX_COLUMNS + 2))))


def test_what_is_not_a_file_cannot_be_a_workbook() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(WorkbookError, match="pipe"), open_workbook(Pipe(saved(("phone",)))):
        pass
