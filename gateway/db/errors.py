"""What can be wrong with a database, and which of the drivers' errors say that it is away."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InternalError, SQLAlchemyError

_LOCK_NOT_AVAILABLE = "55P03"
_GONE = ("08", "53", "57P0", "57014", _LOCK_NOT_AVAILABLE, "25P03", "40001", "40P01")
"""How SQLSTATE begins where PostgreSQL is gone, full, stopping or starting, and where it has given up: a statement that
took too long, a wait for a lock, a transaction that was idle or in the way of another."""
_READ_ONLY = "25006"
_CLOSED = (_READ_ONLY, "28", "3D", "58")
"""The same where it takes no writes (a standby, a disk that is nearly full), lets us in no more, does not know the
database, or cannot use its files."""
_AWAY_STATES = (*_GONE, *_CLOSED)
"""Whatever was asked may be asked again."""
_BUSY_FILE = ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR")
_CLOSED_FILE = ("SQLITE_READONLY", "SQLITE_NOMEM", "SQLITE_PROTOCOL")
_AWAY_ERRORS = (*_BUSY_FILE, *_CLOSED_FILE)


class DatabaseError(Exception):
    """The database cannot be used; the message is one line saying why and what to do."""


class DatabaseInUse(DatabaseError):
    """Another process has the file."""


class DatabaseAway(SQLAlchemyError):
    """The database cannot be reached, or went away in the middle; nothing is wrong with what it was asked."""


class LockWaitEnded(DatabaseAway):
    """Another transaction has kept a lock for longer than `LOCK_SECONDS`; it may be asked for again."""


@contextmanager
def telling_away() -> Iterator[None]:
    """Tell where it was the database that failed."""
    try:
        yield
    except DBAPIError as error:
        if not _went_away(error):
            raise
        waited = getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE
        raise (LockWaitEnded if waited else DatabaseAway)(str(error.orig)) from error


def _went_away(error: DBAPIError) -> bool:
    """Whether it was the database that failed, not the statement."""
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(error, InternalError) and state is None:
        return True  # asyncpg lost its connection between two steps of the protocol
    name = getattr(error.orig, "sqlite_errorname", None)
    told = (state or "").startswith(_AWAY_STATES) or (name or "").startswith(_AWAY_ERRORS)
    return told or error.connection_invalidated
