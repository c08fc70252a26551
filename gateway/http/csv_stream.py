"""Tables as CSV files, written while they are read: of a table of any length a few rows are in memory.

    @router.get("/things/export", response_class=CsvResponse, responses=csv_answer("All things", EXAMPLE))
    async def export() -> CsvResponse:
        return await stream_csv("things.csv", ("id", "name"), service.rows())

The file is UTF-8 with a byte order mark, without which Excel takes it for another code page. A text that a spreadsheet
would take for a formula begins with an apostrophe, so that nobody's name is carried out on somebody's computer.
Phone numbers are best given as digits: with a + they would need one too.
"""

import asyncio
import codecs
import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from starlette.responses import StreamingResponse

Cell: TypeAlias = str | int | datetime | None
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


class CsvResponse(StreamingResponse):
    """A CSV file that is saved, not shown."""

    media_type = "text/csv"


def csv_answer(description: str, example: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI tells of a route that answers with CSV."""
    return {200: {"description": description, "content": {"text/csv": {"example": example}}}}


async def stream_csv(
    filename: str, columns: Sequence[str], slices: AsyncIterator[Iterable[Sequence[Cell]]]
) -> CsvResponse:
    """The file of these columns and rows; `filename` is plain ASCII.

    The first slice is read before the answer begins, so that an error in it is answered as any other. After that a
    fault breaks the connection off: what was loaded so far is not taken for the whole.
    """
    first = await anext(slices, None) or ()
    headers = {"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"}
    return CsvResponse(_parts(columns, first, slices), headers=headers)


async def _parts(
    columns: Sequence[str], first: Iterable[Sequence[Cell]], slices: AsyncIterator[Iterable[Sequence[Cell]]]
) -> AsyncIterator[bytes]:
    yield codecs.BOM_UTF8 + await asyncio.to_thread(_encode, [columns, *first])
    async for rows in slices:
        yield await asyncio.to_thread(_encode, rows)


def _encode(rows: Iterable[Sequence[Cell]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_shown(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell
    return str(cell)
