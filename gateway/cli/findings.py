"""What `gateway check` looks at, and what it finds. Nothing is created or changed by looking."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway import schema
from gateway.cli.api import Api, GatewayRefused
from gateway.cli.failures import CommandFailed, database_failures
from gateway.cli.known_servers import KnownServer, known_servers
from gateway.cli.options import base_url
from gateway.db import Database, DatabaseError
from gateway.settings import Settings
from gateway.vault import admin_token_file
from gateway.waha.client import WahaClient
from gateway.waha.errors import WahaConnectionLost, WahaError, WahaTimeout, WahaUnauthorized, WahaUnreachable
from gateway.waha.schemas import ServerVersion

State = Literal["works", "note", "broken"]
_IDS_IGNORED = frozenset({"WEBJS", "WPP"})
FORGETFUL = (2026, 6, 1)
"""The first version of WAHA that keeps sessions and their configuration over a restart."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` is what to do, empty where nothing is."""

    part: str
    state: State
    text: str
    advice: str = ""


async def look_at_all(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which a person would mend things."""
    here = [
        _look_at_folder("data folder", settings.database.data_folder, "database.data_folder"),
        _look_at_log(settings.logging.file),
        _look_at_admin_token(settings),
    ]
    database = await look_at_database(settings.database.url)
    servers, removed = await known_servers(settings)
    others = await asyncio.gather(_look_at_gateway(settings), *(look_at_server(server) for server in servers))
    gone = [_removed(name) for name in removed]
    return [*here, database, *others, *gone, *_nothing_to_look_at(servers)]


def _look_at_folder(part: str, folder: Path, key: str) -> Finding:
    """Whether files can be made in `folder`, which may not exist yet."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        return Finding(part, "broken", f"{nearest} is not a folder", f"set {key} to another place")
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Finding(part, "broken", f"{nearest} cannot be written to", f"allow it, or set {key} to another place")
    return Finding(part, "works", str(folder) if folder.exists() else f"{folder} will be made at the first start")


def _look_at_log(file: str) -> Finding:
    if not file:
        return Finding("log", "works", "on stderr")
    return _look_at_folder("log", Path(file).parent, "logging.file")


def _look_at_admin_token(settings: Settings) -> Finding:
    if settings.auth.admin_token.get_secret_value():
        return Finding("admin token", "works", "the one of auth.admin_token")
    file = admin_token_file(settings.database.data_folder)
    return Finding("admin token", "works", f"in {file}" if file.exists() else f"made at the first start, in {file}")


async def look_at_database(url: str) -> Finding:
    """Whether the database can be written, and is of this version."""
    try:
        with database_failures(url):
            return await _look_into(Database(url))
    except DatabaseError as error:
        return Finding("database", "broken", str(error), "mend it, or set database.url to another place")


async def _look_into(db: Database) -> Finding:
    try:
        if db.path is not None and not db.path.exists():
            folder = _look_at_folder("database", db.path.parent, "database.url")
            return folder if folder.state == "broken" else Finding("database", "works", f"{db.path} will be made")
        async with db.write(bulk=True) as tx:  # a gateway that runs may hold it for a moment
            current = await schema.current_revision(tx)
    finally:
        await db.close()
    shown = db.url.render_as_string(hide_password=True) if db.path is None else str(db.path)
    if current == schema.newest_revision():
        return Finding("database", "works", f"{shown}, version {current}")
    text = f"{shown}, version {current or 'none'}, but this gateway needs {schema.newest_revision()}"
    if db.is_sqlite:
        return Finding("database", "note", text, "gateway serve brings it up to date by itself")
    return Finding("database", "broken", text, "run: gateway migrate")


async def _look_at_gateway(settings: Settings) -> Finding:
    url = base_url(settings.server.host, settings.server.port)
    try:
        async with Api(url) as api:
            health = await api.get("/health")
    except GatewayRefused as refused:
        if refused.status == 503:
            return Finding("gateway", "broken", f"runs at {url}, unhealthy", f"look at {url}/health/detailed")
        return Finding("gateway", "note", f"does not run at {url}", f"what answers there is no gateway ({refused})")
    except CommandFailed:
        return Finding("gateway", "note", f"does not run at {url}", "start it with: gateway serve")
    return Finding("gateway", "works", f"runs at {url}, {health.get('status', 'and says nothing of its health')}")


async def look_at_server(server: KnownServer) -> Finding:
    """Whether a WAHA server is reached, takes our key, what runs there, and what is worth to be known of it."""
    part = f"WAHA {server.name}"
    where = f"PATCH /api/admin/servers/{server.name}" if server.stored else "[[waha.servers]]"
    if server.api_key is None:
        advice = f"bring back the secret.key it was stored with, or store its key anew: {where}"
        return Finding(part, "broken", f"{server.url}: its stored key cannot be read", advice)
    try:
        async with WahaClient(server.url, server.api_key) as client:
            await client.ping()
            version = await client.server_version()
            sessions = await client.list_sessions()
    except WahaError as error:
        return Finding(part, "broken", f"{server.url}: {error}", _advice(error, where))
    except ValueError as error:
        return Finding(part, "broken", f"{server.url}: {error}", f"correct its url: {where}")
    states = Counter(session.status.value for session in sessions)
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no sessions"
    room = f"; {server.placed} of {server.capacity} places taken" if server.stored else ""
    text = f"{server.url}, {version.engine} {version.version}: {told}{room}"
    notes = _notes(server, version, [session.name for session in sessions])
    return Finding(part, "note" if notes else "works", text, "\n".join(notes))


def _notes(server: KnownServer, version: ServerVersion, names: Sequence[str]) -> list[str]:
    """What is no fault of a server that answers, but should be known."""
    foreign = [name for name in names if name not in server.ours] if server.stored else []
    found = {
        "this engine gives messages ids of its own: an uncertain send waits for a person": version.engine
        in _IDS_IGNORED,
        "before 2026.6.1 WAHA forgets sessions when it restarts: update it": _is_before(version.version, FORGETFUL),
        f"it gets no new sessions: POST /api/admin/servers/{server.name}/undrain changes that": server.draining,
        "it is full: add another server, or give it more capacity": server.placed >= server.capacity,
        f"sessions on it that are not ours, and are left alone: {len(foreign)}": bool(foreign),
    }
    return [note for note, holds in found.items() if holds]


def _is_before(version: str, wanted: tuple[int, ...]) -> bool:
    """Whether a version such as 2026.7.1 is older; one that is written in another way is not."""
    parts = version.split(".")
    return all(part.isdigit() for part in parts) and tuple(int(part) for part in parts) < wanted


def _advice(error: WahaError, where: str) -> str:
    if isinstance(error, WahaUnauthorized):
        return f"set its api_key to the server's WAHA_API_KEY: {where}"
    if isinstance(error, WahaUnreachable | WahaTimeout | WahaConnectionLost):
        return f"start the server, or correct its url: {where}"
    return "is this the address of a WAHA? look at its log"


def _removed(name: str) -> Finding:
    text = "is in the settings, but the operator has removed it"
    return Finding(f"WAHA {name}", "note", text, "it comes back when its entry in [[waha.servers]] is changed")


def _nothing_to_look_at(servers: Sequence[KnownServer]) -> list[Finding]:
    if servers:
        return []
    advice = "add one to config.toml under [[waha.servers]]; to try without a phone: gateway simulate"
    return [Finding("WAHA", "broken", "no server is known", advice)]
