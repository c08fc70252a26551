"""API keys: made, shown once, and recognised by their hash."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth.clients import queries
from gateway.auth.clients.scopes import ApiScope
from gateway.db import Database
from gateway.errors import Unauthorized
from gateway.ids import make_id
from gateway.vault import hash_token, make_token

PREFIX = "wgk_"
SHOWN = len(PREFIX) + 6
"""So many characters of a key are kept, for people."""
USED_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The client behind a key, and what the key is for."""

    client_id: str
    name: str
    account_id: str
    scopes: frozenset[ApiScope]


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made: its id, and itself, which is shown this once."""

    id: str
    token: str


async def issue(
    tx: AsyncConnection, client_id: str, now: float, *, name: str, scopes: Collection[str], expires_at: float | None
) -> NewKey:
    """A new key of a client; `expires_at` is in epoch seconds (None: never)."""
    made = NewKey(make_id(now), make_token(PREFIX))
    await queries.insert_key(
        tx,
        {
            "id": made.id,
            "client_id": client_id,
            "key_hash": hash_token(made.token),
            "prefix": made.token[:SHOWN],
            "scopes": " ".join(sorted(scopes)),
            "name": name,
            "expires_at": expires_at,
            "created_at": now,
        },
    )
    return made


class ApiKeys:
    """Recognises keys."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def identify(self, token: str) -> KeyHolder:
        """The client behind a key.

        Raises:
            Unauthorized: there is no such key, it has ended, or its client may not call any more.
        """
        async with self._db.read() as connection:
            found = await queries.find_holder(connection, hash_token(token))
        if found is None:
            raise Unauthorized("the API key is not valid")
        if found.revoked_at is not None or found.disabled:
            raise Unauthorized("the API key is not valid any more: it was revoked, or its client disabled")
        if found.expires_at is not None and found.expires_at <= found.read_at:
            raise Unauthorized("the API key has expired")
        stale_at = found.read_at - USED_EVERY_SECONDS
        if found.last_used_at is None or found.last_used_at <= stale_at:
            async with self._db.write() as tx:
                await queries.note_use(tx, found.id, found.read_at, stale_at)
        scopes = frozenset(ApiScope(word) for word in found.scopes.split())
        return KeyHolder(found.client_id, found.name, found.account_id, scopes)
