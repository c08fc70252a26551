"""QR codes as one path: the same modules as the library draws, with white around them."""

import re

import pytest
import qrcode
from qrcode.constants import ERROR_CORRECT_L

from sessions.pairing.page.drawing import BORDER, draw_path


@pytest.mark.parametrize("value", ["2@" + "x" * 230, "2@abc,def=", "é"])
def test_the_path_covers_the_dark_modules_and_no_other(value: str) -> None:
    drawing = draw_path(value)
    dark = set()
    for x, y, width, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", drawing.path):
        assert width == back
        dark |= {(int(x) + step, int(y)) for step in range(int(width))}
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_L, border=BORDER)
    code.add_data(value)
    matrix = code.get_matrix()
    assert dark == {(x, y) for y, row in enumerate(matrix) for x, on in enumerate(row) if on}
    assert drawing.size == len(matrix)
    assert re.sub(r"M\d+ \d+h\d+v1h-\d+z", "", drawing.path) == ""


def test_there_are_four_modules_of_white_around_it() -> None:
    drawing = draw_path("2@abc")
    columns = [int(x) for x in re.findall(r"M(\d+) ", drawing.path)]
    ends = [int(x) + int(width) for x, width in re.findall(r"M(\d+) \d+h(\d+)", drawing.path)]
    assert (min(columns), max(ends)) == (4, drawing.size - 4)
