"""How long anything may take, in seconds."""

ACQUIRE_SECONDS = 2.0
"""How long to wait for a connection. Where a link has frozen it takes SQLAlchemy two more to give the connection up."""
ANSWER_SECONDS = 4.0
"""How long a transaction may take: whoever asked is told within five seconds that the database is away."""
BULK_SECONDS = 30.0
IDLE_SECONDS = 5.0
"""How long a transaction may wait for its replica, which may have frozen and holds locks: a lease, and no longer."""
LOCK_SECONDS = 2.0
"""How long a statement waits for a lock: then its replica tries again, and does other things before."""
