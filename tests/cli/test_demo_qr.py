"""QR codes in a terminal, held against the code that the picture was drawn from."""

import pytest
import qrcode
from qrcode.constants import ERROR_CORRECT_L

from gateway.demo.qr import QUIET, Modules, draw, draw_small, read_png
from sessions.pairing.qr_codes import draw_png

VALUES = ["2@" + "A" * 228, "short", "2@" + "zZ9+/" * 30]


def modules_of(value: str) -> Modules:
    """What a QR library says the code is, with the white that we draw around it."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_L, border=QUIET)
    code.add_data(value)
    code.make(fit=True)
    return [[bool(module) for module in row] for row in code.get_matrix()]


@pytest.mark.parametrize("value", VALUES)
def test_the_modules_are_read_back_from_the_picture_of_the_api(value: str) -> None:
    assert read_png(draw_png(value)) == modules_of(value)


@pytest.mark.parametrize("value", VALUES)
def test_two_modules_make_a_character_and_none_is_lost(value: str) -> None:
    modules = modules_of(value)
    lines = draw(modules).plain.split("\n")
    upper = [[char in "▀█" for char in line] for line in lines]
    lower = [[char in "▄█" for char in line] for line in lines]
    drawn = [row for pair in zip(upper, lower, strict=True) for row in pair]

    assert drawn[: len(modules)] == modules
    assert len(lines) == (len(modules) + 1) // 2


@pytest.mark.parametrize("value", VALUES)
def test_eight_modules_make_a_small_character_and_none_is_lost(value: str) -> None:
    modules = modules_of(value)
    lines = draw_small(modules).plain.split("\n")
    dots = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
    drawn = [
        [bool((ord(line[x // 2]) - 0x2800) & dots[y % 4][x % 2]) for x in range(len(modules))]
        for y, line in ((y, lines[y // 4]) for y in range(len(modules)))
    ]

    assert drawn == modules


def test_the_code_of_a_pairing_fits_a_usual_terminal() -> None:
    modules = modules_of("2@" + "A" * 235)
    small = draw_small(modules).plain.split("\n")

    assert len(draw(modules).plain.split("\n")[0]) <= 80
    assert len(small) <= 20
    assert len(small[0]) <= 40
