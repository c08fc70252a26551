"""A CSV file that is written while it is read: what is in a cell, and what a fault on the way does."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.db import DatabaseAway
from gateway.http.csv_stream import Cell, CsvResponse, stream_csv

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def slices(
    *given: Sequence[Sequence[Cell]], fault: Exception | None = None
) -> AsyncIterator[Sequence[Sequence[Cell]]]:
    """Slices of rows, and then perhaps a fault."""
    for rows in given:
        yield rows
    if fault is not None:
        raise fault


async def parts(response: CsvResponse) -> list[bytes]:
    """The body as it is sent."""
    return [part async for part in response.body_iterator if isinstance(part, bytes)]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        (None, ""),
        (0, "0"),
        (-5, "-5"),
        ("=1+1", "'=1+1"),
        ("+44 7700 900100", "'+44 7700 900100"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("a=1", "a=1"),
        ("'=1", "'=1"),
        ('a, "b"\nc; d\r\ne', 'a, "b"\nc; d\r\ne'),
        ("👩‍💻 عائشة", "👩‍💻 عائشة"),
        (NOON, "2026-11-21T12:00:00Z"),
        (NOON.replace(microsecond=250_000), "2026-11-21T12:00:00.250000Z"),
        (NOON.astimezone(timezone(timedelta(hours=5))), "2026-11-21T12:00:00Z"),
    ],
)
async def test_a_cell_is_read_as_it_was_and_is_no_formula(cell: Cell, shown: str) -> None:
    body = b"".join(await parts(await stream_csv("a.csv", ("one", "two"), slices([[cell, "next"]]))))
    found = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    assert found == [["one", "two"], [shown, "next"]]


async def test_a_file_begins_with_a_byte_order_mark_and_has_its_columns_once() -> None:
    assert await parts(await stream_csv("a.csv", ("n",), slices([[1], [2]], [[3]]))) == [
        b"\xef\xbb\xbfn\r\n1\r\n2\r\n",
        b"3\r\n",
    ]
    assert await parts(await stream_csv("a.csv", ("n",), slices())) == [b"\xef\xbb\xbfn\r\n"]


async def test_a_fault_before_the_first_row_is_an_answer_and_a_later_one_breaks_off() -> None:
    with pytest.raises(DatabaseAway):
        await stream_csv("a.csv", ("n",), slices(fault=DatabaseAway("gone")))
    response = await stream_csv("a.csv", ("n",), slices([[1]], fault=DatabaseAway("gone")))
    with pytest.raises(DatabaseAway):
        await parts(response)
