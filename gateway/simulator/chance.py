"""The simulator's chance: always seeded, so that a run can be had again."""

import random


def seeded(*parts: int | str) -> random.Random:
    """A generator of its own for these parts; equal parts give equal numbers. Nothing secret hangs on it."""
    return random.Random(":".join(str(part) for part in parts))  # noqa: S311
