"""How a command fails: one line on stderr and an exit status, never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic.util import CommandError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.db import DatabaseError

FAILED = 1
WRONG_SETTINGS = 2


class CommandFailed(Exception):
    """A command could not do its work; the message is one line saying why and what to do."""


def one_line(error: BaseException) -> str:
    """What `error` says, on one line."""
    text = " ".join(str(error).split())
    return text or type(error).__name__


@contextmanager
def database_failures(url: str) -> Iterator[None]:
    """Turn what drivers, SQLAlchemy and Alembic throw at a database that cannot be used into one line.

    Raises:
        DatabaseError: instead of any of those.
    """
    try:
        yield
    except CommandError as error:
        reason = f"its schema is of another version of the gateway ({one_line(error)})"
        raise DatabaseError(f"{_shown(url)}: {reason}; use the version that wrote it, or a newer one") from error
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"{_shown(url)}: its driver is missing ({error.name}); "
            "install it with: python3 -m pip install 'waha-gateway[postgres]'"
        ) from error
    except DBAPIError as error:
        raise DatabaseError(f"{_shown(url)}: cannot be used ({one_line(error.orig or error)})") from error
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseError(f"{_shown(url)}: cannot be used ({one_line(error)})") from error


def _shown(url: str) -> str:
    """The address without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "database.url"
