"""The database: one SQLAlchemy Core path for SQLite and PostgreSQL.

`read()` gives a connection for looking. `write()` gives one for changing: it begins, and commits at the end
or rolls back on an error. Nobody holds a transaction across a network call.

On SQLite writers queue up in this process (fairly, instead of by SQLite's polling) and begin IMMEDIATE; on PostgreSQL
row locks do the same work. What is written to SQLite is executed where it is called: a change of threads takes longer
than most statements, and on a busy event loop hundreds of times as long, with everybody else waiting for the writer.
Only the commit, which waits for the disk, is left to a thread; and so is what is read, which may be much, and what is
written `aside`, by those who would rather wait longer themselves than hold up the event loop.

Times in tables are epoch seconds as doubles, the same on both databases. `gateway_now()` in SQL is the only
clock that rows obey: on SQLite it is this process's clock (one process owns the file), on PostgreSQL it is the
server's, so that replicas need not agree on the time.

Nothing here waits for ever. PostgreSQL ends a transaction whose replica has frozen, and a wait for a lock; a link that
has frozen is given up by a timer, which ends the connection without asking: to be polite would mean to wait again.
"""

from gateway.db.columns import ID, SECONDS, AnyRow, table_of
from gateway.db.database import Database, PoolFigures, read_now
from gateway.db.endings import after, announce
from gateway.db.engines import APPLICATION, async_url
from gateway.db.errors import DatabaseAway, DatabaseError, DatabaseInUse, LockWaitEnded
from gateway.db.waits import IDLE_SECONDS

__all__ = [
    "APPLICATION",
    "ID",
    "IDLE_SECONDS",
    "SECONDS",
    "AnyRow",
    "Database",
    "DatabaseAway",
    "DatabaseError",
    "DatabaseInUse",
    "LockWaitEnded",
    "PoolFigures",
    "after",
    "announce",
    "async_url",
    "read_now",
    "table_of",
]
