"""The code that is shown, and when it runs out."""

import base64
import io

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


async def test_the_first_code_of_a_pairing_lives_sixty_seconds_and_the_next_ones_twenty() -> None:
    book = QrBook()
    first = await book.show(NUMBER, "one", NOW, UNTIL)
    assert first.expires_at == NOW + 60
    second = await book.show(NUMBER, "two", NOW + 60, UNTIL)
    assert second.expires_at == NOW + 80


async def test_a_code_that_is_asked_for_again_is_the_same_with_the_same_end() -> None:
    book = QrBook()
    first = await book.show(NUMBER, "one", NOW, UNTIL)
    again = await book.show(NUMBER, "one", NOW + 30, UNTIL)
    assert again is first


async def test_a_code_first_seen_late_in_its_pairing_is_none_of_the_long_ones() -> None:
    shown = await QrBook().show(NUMBER, "three", NOW + 70, UNTIL)
    assert shown.expires_at == NOW + 90


async def test_a_new_pairing_begins_with_a_long_code_again() -> None:
    book = QrBook()
    await book.show(NUMBER, "one", NOW, UNTIL)
    book.forget(NUMBER)
    shown = await book.show(NUMBER, "two", NOW + 200, UNTIL + 200)
    assert shown.expires_at == NOW + 260
    book.forget("12125550100")  # one that shows none
