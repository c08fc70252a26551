"""QR codes as one path, for a page that draws them as SVG by itself. Pure.

The library's own SVG has a square for each module: five times as long, and with seams where a browser rounds.
"""

from functools import lru_cache
from itertools import groupby

import qrcode
from pydantic import BaseModel, Field
from qrcode.constants import ERROR_CORRECT_L

BORDER = 4


class Drawing(BaseModel):
    """A QR code with its quiet zone: `path` is dark in a square of `size` by `size` modules."""

    size: int
    path: str = Field(description="The `d` of an SVG path")


@lru_cache(maxsize=256)
def draw_path(value: str) -> Drawing:
    """The QR code of `value`, with the same level and quiet zone as the PNG."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_L, border=BORDER)
    code.add_data(value)
    code.make(fit=True)
    rows = code.get_matrix()
    runs: list[str] = []
    for y, row in enumerate(rows):
        x = 0
        for dark, group in groupby(row):
            width = len(list(group))
            if dark:
                runs.append(f"M{x} {y}h{width}v1h-{width}z")
            x += width
    return Drawing(size=len(rows), path="".join(runs))
