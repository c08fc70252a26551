"""Users and their logins on each kind of database, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.auth.access import Access, Caller
from gateway.auth.access_tokens import AccessTokens
from gateway.auth.logins import LoginLimits, Logins, Tokens
from gateway.auth.passwords import Passwords
from gateway.auth.users import Users
from gateway.db import AnyRow, Database
from gateway.limits.meter import Meter
from gateway.limits.windows import MemoryWindows
from gateway.vault import Vault
from tests.harness.virtual_time import VirtualClock, VirtualDatabase, virtual_loop

EMAIL = "user@example.com"
PASSWORD = "secure_password"
ADMIN_TOKEN = "canary-admin-token-4242"
SECRET = "a secret of more than 32 characters"
ADDRESS = "192.0.2.1"


@dataclass(slots=True)
class Desk:
    """Where users are made and log in."""

    db: Database
    passwords: Passwords
    access_tokens: AccessTokens
    users: Users
    logins: Logins
    access: Access

    async def user(self, email: str = EMAIL, account: str = "local") -> AnyRow:
        """A new user."""
        return await self.users.create(email, PASSWORD, account)

    async def log_in(self, email: str = EMAIL, password: str = PASSWORD) -> Tokens:
        """A login."""
        return await self.logins.log_in(email, password, ADDRESS)

    async def caller(self, tokens: Tokens) -> Caller:
        """Whom an access token names."""
        return await self.access.caller(bearer=tokens.access_token)

    async def pass_time(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


def make_desk(
    db: Database,
    folder: Path,
    *,
    secret: str = SECRET,
    limits: LoginLimits | None = None,
    open_mode: bool = True,
) -> Desk:
    """A desk; without `secret` it keeps one of its own, which `access_tokens.start()` finds."""
    meter, passwords = Meter(MemoryWindows(db.clock), db.clock, {}), Passwords()
    access_tokens = AccessTokens(db, Vault(folder), secret, seconds=3600)
    logins = Logins(db, passwords, access_tokens, meter, limits or LoginLimits(0, 0), refresh_days=30)
    access = Access(db, ADMIN_TOKEN, logins, meter, open_mode=open_mode, pairings_per_minute=2)
    return Desk(db, passwords, access_tokens, Users(db, passwords), logins, access)


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk on a fresh database of each kind; the test is marked `virtual_time`."""
    db = VirtualDatabase(database_url, VirtualClock(virtual_loop()))
    made = make_desk(db, tmp_path)
    yield made
    made.passwords.close()
    await db.close()
