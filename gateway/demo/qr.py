"""A QR code in a terminal: the picture that the API gives, as characters. Pure."""

import base64
import io

from PIL import Image
from rich.text import Text

QUIET = 2  # modules of white around the code
_BORDER = 4  # modules of white in the API's picture
_STYLE = "#000000 on #ffffff"
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot of a braille character, row by row."""

Modules = list[list[bool]]


def read_png(encoded: str) -> Modules:
    """The modules of a QR code, True for dark, with `QUIET` modules of white around; from its PNG in base64."""
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        grey = picture.convert("L")
    first_dark = next(at for at in range(grey.width) if grey.getpixel((at, at)) == 0)
    size = first_dark // _BORDER
    places = range(_BORDER - QUIET, grey.width // size - _BORDER + QUIET)
    half = size // 2
    return [[grey.getpixel((x * size + half, y * size + half)) == 0 for x in places] for y in places]


def draw(modules: Modules) -> Text:
    """Two modules to a character: as wide as the code, half as high, and a phone can read it."""
    width = len(modules)
    rows = [*modules, *[[False] * width] * (width % 2)]
    lines = ("".join(_HALVES[pair] for pair in zip(*pair_of_rows, strict=True)) for pair_of_rows in _chunks(rows, 2))
    return Text("\n".join(lines), style=_STYLE, no_wrap=True)


def draw_small(modules: Modules) -> Text:
    """Eight modules to a character, for a low terminal: to look at only, for the dots do not touch."""
    width = len(modules) + len(modules) % 2
    blank = [False] * width
    rows = [[*row, *blank][:width] for row in modules]
    rows += [blank] * (-len(rows) % 4)
    lines = ("".join(_braille(four, x) for x in range(0, width, 2)) for four in _chunks(rows, 4))
    return Text("\n".join(lines), style=_STYLE, no_wrap=True)


def _chunks(rows: Modules, size: int) -> list[Modules]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def _braille(rows: Modules, x: int) -> str:
    dark = (_DOTS[y][dx] for y in range(4) for dx in range(2) if rows[y][x + dx])
    return chr(_BRAILLE + sum(dark))
