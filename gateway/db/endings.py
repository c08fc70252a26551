"""Who is told when a transaction has ended.

All of it is kept in a connection's `info`, which belongs to the driver's connection and outlives the transaction.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

_ANNOUNCED = "gateway_announced"
_ENDINGS = "gateway_endings"


@dataclass(slots=True)
class Ending:
    """How a transaction ends; `kept` where it was committed, or may have been."""

    kept: bool = False


def announce(tx: AsyncConnection) -> None:
    """Have `Database.told` set when this transaction has been committed."""
    tx.info[_ANNOUNCED] = True


def was_announced(committed: AsyncConnection) -> bool:
    """Whether it was marked; asked once, when it has been committed."""
    return bool(committed.info.pop(_ANNOUNCED, False))


def after(tx: AsyncConnection, tell: Callable[[bool], None]) -> None:
    """Have `tell` called as soon as this transaction has ended: with False where it surely changed nothing.

    What a commit that failed has done is not known, so that is told as one that has changed something.
    """
    tx.info.setdefault(_ENDINGS, []).append(tell)


@contextmanager
def telling_ends(tx: AsyncConnection) -> Iterator[Ending]:
    """Tell, at the end of the block, whoever asked for it in this transaction; not who did in an earlier one."""
    info, ending = tx.info, Ending()
    info.pop(_ANNOUNCED, None)
    info.pop(_ENDINGS, None)
    try:
        yield ending
    finally:
        for tell in info.pop(_ENDINGS, ()):
            tell(ending.kept)
