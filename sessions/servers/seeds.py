"""Taking over what the settings say about servers: once for each change of an entry.

The table is the truth. What was changed by the API stays, and what was removed stays away, until an entry says
something else than it did when it was taken over last.
"""

from collections.abc import Sequence

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import read_now
from gateway.ids import make_id
from gateway.settings import WahaServerSettings
from gateway.vault import Vault
from sessions.servers import queries

log = structlog.get_logger()


async def take_over(tx: AsyncConnection, vault: Vault, configured: Sequence[WahaServerSettings]) -> None:
    """Write every entry that says something new into the table of servers.

    Raises:
        VaultError: the key file is not the one with which the entries were stored.
    """
    await queries.lock_all(tx)  # replicas that start together do not add a server twice
    now = await read_now(tx)
    seeds = {name: vault.decrypt(said) for name, said in (await queries.seeds(tx)).items()}
    known = {row.name: row for row in await queries.all_servers(tx)}
    for entry in configured:
        key, url = entry.api_key.get_secret_value(), entry.url.rstrip("/")
        said = orjson.dumps([url, key, entry.capacity]).decode()
        if seeds.get(entry.name) == said:
            continue
        values = {"url": url, "api_key_encrypted": vault.encrypt(key), "capacity": entry.capacity}
        if entry.name in known:
            moved = known[entry.name].url != url
            fresh = {"up": True, "failures": 0, "ask_at": 0.0, "last_error": ""}
            await queries.change(tx, known[entry.name].id, **values, **fresh, **({"started_at": None} if moved else {}))
            if moved:
                await queries.forget_stores(tx, known[entry.name].id, now)
        else:
            await queries.add(tx, {"id": make_id(now), "name": entry.name, "created_at": now, **values})
        await queries.keep_seed(tx, entry.name, vault.encrypt(said))
        log.info("server_taken_over", server=entry.name)
