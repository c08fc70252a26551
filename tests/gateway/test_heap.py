"""What the garbage collector of a serving process looks at, and when."""

import gc
from collections.abc import Iterator

import pytest

from gateway.heap import RARELY, growing_heap, settle_heap


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The collector of this process as it was."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_nothing_is_collected_while_modules_are_loaded() -> None:
    with growing_heap():
        assert not gc.isenabled()

    assert gc.isenabled()


def test_a_settled_heap_is_not_looked_at_again() -> None:
    kept: list[list[object]] = [[] for _ in range(1000)]

    settle_heap()

    assert gc.get_freeze_count() > len(kept)
    assert gc.get_threshold() == RARELY


def test_what_comes_later_and_stands_in_circles_is_still_found() -> None:
    settle_heap()
    circle: list[object] = []
    circle.append(circle)
    del circle

    assert gc.collect() >= 1
