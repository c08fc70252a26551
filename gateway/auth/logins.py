"""Logging in, staying logged in, logging out.

A login is a family of tokens. Its refresh token can be used once, and gives the next one; whoever comes with a used one
ends the family, because it is not known which of the two is the thief. That holds for two who come at the same moment,
and for a client that lost the answer, too: from here they look like a theft (docs/decisions/who-logs-in.md).
"""

from dataclasses import dataclass

import structlog

from gateway.auth import queries
from gateway.auth.access_tokens import AccessTokens
from gateway.auth.passwords import Passwords
from gateway.db import Database, read_now
from gateway.errors import Unauthorized
from gateway.ids import make_id
from gateway.limits.meter import Meter
from gateway.vault import hash_token, make_token

log = structlog.get_logger()

DAY = 86_400.0
WRONG = "the email or the password is not right"
"""Said of an unknown email, a wrong password and a disabled user alike."""
OVER = "the refresh token is not valid any more; log in again"


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """How often it may be tried in a minute, for one email and from one address (0: without limit)."""

    per_email: int
    per_address: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client gets: a token to call with, good for `expires_in` seconds, and one to get the next pair with."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The user behind an access token."""

    email: str
    account_id: str


class Logins:
    """Checks passwords and tokens; `refresh_days` without a refresh end a login."""

    def __init__(
        self,
        db: Database,
        passwords: Passwords,
        access_tokens: AccessTokens,
        meter: Meter,
        limits: LoginLimits,
        *,
        refresh_days: float,
    ) -> None:
        self._db = db
        self._passwords = passwords
        self._access_tokens = access_tokens
        self._meter = meter
        self._limits = limits
        self._refresh_seconds = refresh_days * DAY

    async def log_in(self, email: str, password: str, address: str) -> Tokens:
        """Begin a login of the user with this folded email.

        Raises:
            RateLimited: it was tried too often.
            Unauthorized: it is not right; whether there is such a user cannot be told from it.
        """
        await self._meter.hit("logins from one address", address, self._limits.per_address)
        await self._meter.hit("logins with one email", email, self._limits.per_email)
        async with self._db.read() as connection:
            found = await queries.find_by_email(connection, email)
        right = await self._passwords.matches(found.password_hash if found else None, password)
        if found is None or not right:
            raise Unauthorized(WRONG)
        refresh_token = make_token("wgr_")
        async with self._db.write() as tx:
            now = await read_now(tx)
            user = await queries.lock_user(tx, found.id)
            if user is None or user.disabled or user.password_hash != found.password_hash:
                raise Unauthorized(WRONG)
            login_id = make_id(now)
            times = {"created_at": now, "expires_at": now + self._refresh_seconds}
            await queries.insert_login(tx, {"id": login_id, "user_id": user.id, **times})
            await queries.insert_refresh_token(tx, hash_token(refresh_token), login_id, now)
            await queries.change_user(tx, user.id, {"last_login_at": now})
        log.info("user_logged_in", user_id=user.id)
        return self._tokens(user.id, login_id, refresh_token, now)

    async def refresh(self, refresh_token: str) -> Tokens:
        """The next pair of tokens.

        Raises:
            Unauthorized: it is none, is over, or was used before; then its whole family has ended.
        """
        old, new = hash_token(refresh_token), make_token("wgr_")
        async with self._db.write() as tx:
            now = await read_now(tx)
            login_id = await queries.login_of(tx, old)
            user = None
            if login_id is not None and await queries.use_refresh_token(tx, old, now):
                user = await queries.prolong_login(tx, login_id, now, now + self._refresh_seconds)
            if user is not None and login_id is not None:
                await queries.insert_refresh_token(tx, hash_token(new), login_id, now)
            elif login_id is not None:
                await queries.end_login(tx, login_id)
        if login_id is None:
            raise Unauthorized(OVER)
        if user is None:
            log.warning("login_ended", login_id=login_id, reason="a refresh token was used twice, or too late")
            raise Unauthorized(OVER)
        return self._tokens(user.id, login_id, new, now)

    async def log_out(self, refresh_token: str) -> None:
        """End the login of a refresh token, used or not; one that has ended is left as it is."""
        async with self._db.write() as tx:
            login_id = await queries.login_of(tx, hash_token(refresh_token))
            if login_id is not None:
                await queries.end_login(tx, login_id)

    async def end(self, login_id: str) -> None:
        """End a login by its id; one that has ended is left as it is."""
        async with self._db.write() as tx:
            await queries.end_login(tx, login_id)

    async def identify(self, access_token: str) -> LoggedIn:
        """The user behind an access token.

        Raises:
            Unauthorized: it is none of ours, its time is over, or its login has ended.
        """
        token = self._access_tokens.read(access_token)
        async with self._db.read() as connection:
            found = await queries.find_caller(connection, token.user_id, token.login_id)
        if found is None:
            raise Unauthorized("the Bearer token is not valid any more: its login has ended")
        if found.read_at >= token.expires_at:
            raise Unauthorized("the Bearer token has expired; get the next one with POST /api/auth/refresh")
        return LoggedIn(found.email, found.account_id)

    async def forget_old(self, now: float) -> None:
        """Remove what can be of no use any more."""
        async with self._db.write() as tx:
            await queries.forget_old(tx, now, now - self._refresh_seconds)

    def _tokens(self, user_id: str, login_id: str, refresh_token: str, now: float) -> Tokens:
        access_token = self._access_tokens.make(user_id, login_id, now)
        return Tokens(access_token, refresh_token, self._access_tokens.seconds)
