"""The code that is shown, and when it runs out."""

import base64
import io
from types import SimpleNamespace
from typing import Any

import pytest
import qrcode
from PIL import Image

from sessions.pairing.qr_codes import QrBook, draw_png

NUMBER = "447700900001"
NOW = 1_800_000_000.0
UNTIL = NOW + 160


def modules(png: str) -> list[list[bool]]:
    """The black squares of a picture with 8 pixels to each and four white ones around."""
    picture = Image.open(io.BytesIO(base64.b64decode(png, validate=True))).convert("L")
    size = picture.width // 8 - 8
    return [[picture.getpixel((8 * (x + 4) + 4, 8 * (y + 4) + 4)) == 0 for x in range(size)] for y in range(size)]


@pytest.mark.parametrize("value", ["2@short", "2@" + "x" * 230 + ",key=,secret="])
def test_the_picture_is_the_code_of_the_value_and_of_no_other(value: str) -> None:
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_L, border=0)
    code.add_data(value)
    code.make(fit=True)
    assert modules(draw_png(value)) == code.get_matrix()
    assert draw_png(value) != draw_png(f"{value}.")


def session(*, shows_since: float = NOW, event_at: float = 1.0, until: float = UNTIL) -> Any:
    """A session's row: WAHA shows codes since then, and told the last one at `event_at`."""
    return SimpleNamespace(number=NUMBER, status_at=shows_since, event_at=event_at, pairing_until=until)


async def test_the_first_code_of_a_pairing_lives_sixty_seconds_and_the_next_ones_twenty() -> None:
    book = QrBook()
    first = await book.show(session(), "one", NOW)
    assert first.expires_at == NOW + 60
    second = await book.show(session(event_at=2.0), "two", NOW + 60)
    assert second.expires_at == NOW + 80


async def test_a_first_code_that_is_seen_late_ends_no_later_than_it_does() -> None:
    shown = await QrBook().show(session(), "one", NOW + 30)
    assert shown.expires_at == NOW + 60


async def test_a_code_that_is_asked_for_again_is_the_same_with_the_same_end() -> None:
    book = QrBook()
    first = await book.show(session(), "one", NOW)
    png = first.png
    again = await book.show(session(event_at=2.0), "one", NOW + 30)
    assert (again.expires_at, again.png) == (NOW + 60, png)
    assert book.newest(session(event_at=2.0), NOW + 30) is again


async def test_a_code_that_outlives_its_time_is_asked_for_again_soon_and_not_at_once() -> None:
    book = QrBook()
    await book.show(session(), "one", NOW)
    again = await book.show(session(), "one", NOW + 61)
    assert again.expires_at == NOW + 63


async def test_a_code_first_seen_late_in_its_pairing_is_none_of_the_long_ones() -> None:
    shown = await QrBook().show(session(), "three", NOW + 70)
    assert shown.expires_at == NOW + 90


async def test_a_new_pairing_begins_with_a_long_code_again() -> None:
    book = QrBook()
    await book.show(session(), "one", NOW)
    shown = await book.show(session(shows_since=NOW + 200, until=UNTIL + 200), "two", NOW + 200)
    assert shown.expires_at == NOW + 260


async def test_a_code_is_the_newest_until_waha_tells_another_or_its_time_is_over() -> None:
    book = QrBook()
    shown = await book.show(session(), "one", NOW)
    assert book.newest(session(), NOW + 59) is shown
    assert book.newest(session(event_at=2.0), NOW + 1) is None
    assert book.newest(session(shows_since=NOW + 1), NOW + 1) is None
    assert book.newest(session(), NOW + 60) is None


async def test_a_code_of_an_earlier_pairing_is_not_shown_any_more() -> None:
    book = QrBook()
    shown = await book.show(session(), "one", NOW)
    assert book.last(session(event_at=2.0), NOW + 1) is shown
    assert book.last(session(until=UNTIL + 1), NOW + 1) is None
    book.forget(NUMBER)
    assert book.last(session(), NOW + 1) is None
    book.forget("12125550100")  # one that shows none
