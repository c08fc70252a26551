"""What the garbage collector of a serving process looks at."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

RARELY = (10_000, 20, 20)
"""When to collect: what a message needs is given back without it, and whatever is left in circles is little."""


@contextmanager
def growing_heap() -> Iterator[None]:
    """Collect nothing while modules are loaded: nearly all they make stays, and looking at it costs a sixth more."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def settle_heap() -> None:
    """Take all that is there now out of every later collection: modules and routes stay for good.

    A collection holds up all threads of the process; to be called when everything is built, and before it serves. From
    then on it is a matter of many objects: Python's own thresholds are reached by every group of messages.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARELY)
