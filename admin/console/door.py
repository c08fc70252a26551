"""The console's door: who may come in, how long they stay, and that a change was meant by them.

Who shows the admin token, an operator's one-time link, or a user's email and password gets a cookie that no script can
read and that no other site sends along with a change. Every change has to bring a second proof, which only a page of
ours can know. The cookie opens nothing but the console: on an operator's or a user's behalf the console calls the API
as anybody else would (`own_api.py`).
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Cookie, Header, Request

from admin.console import queries
from gateway.auth.access_tokens import AccessTokens
from gateway.auth.emails import fold
from gateway.auth.logins import WRONG, Logins
from gateway.db import AnyRow, Database, read_now
from gateway.errors import Forbidden, Unauthorized
from gateway.limits.meter import Meter
from gateway.vault import hash_token, make_token, same

log = structlog.get_logger()

COOKIE = "waha_gateway_console"
COOKIE_PATH = "/console"
CSRF_HEADER = "X-CSRF-Token"
LINK_SECONDS = 900.0
SEEN_EVERY_SECONDS = 30.0
"""A click is noted no more often than that."""
SAFE_METHODS = ("GET", "HEAD")

ConsoleCookie = Annotated[str | None, Cookie(alias=COOKIE)]
CsrfToken = Annotated[str | None, Header(alias=CSRF_HEADER)]


class NotLoggedIn(Unauthorized):
    """Log in to see the console."""


class NotMeant(Forbidden):
    """This page is too old to change anything. Load it again."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at the console: an operator, or a user with what their account owns.

    `credential` are the headers with which the API is called on their behalf. `csrf_token` is what their changes have
    to bring. `account_id` is whose rows they may see; None is everybody's.
    """

    name: str
    is_operator: bool
    account_id: str | None
    credential: dict[str, str]
    csrf_token: str


@dataclass(frozen=True, slots=True)
class DoorParts:
    """What the door needs. Lengths are seconds: without a click, and in all."""

    db: Database
    logins: Logins
    access_tokens: AccessTokens
    meter: Meter
    admin_token: str
    idle_seconds: float
    longest_seconds: float
    logins_per_minute: int


class Door:
    """Lets visitors in and out; its `visitor`, `operator` and `watcher` are dependencies of the console's routes."""

    def __init__(self, parts: DoorParts) -> None:
        self._parts = parts
        self._db = parts.db

    # --- coming in --------------------------------------------------------------------------------------------

    async def log_in_operator(self, token: str, address: str) -> str:
        """The cookie of an operator who shows the admin token.

        Raises:
            RateLimited: it was tried too often from this address.
            Unauthorized: it is another token.
        """
        await self._count(address)
        if not same(token.strip(), self._parts.admin_token):
            raise Unauthorized("this is not the admin token")
        return await self._let_in("operator")

    async def log_in_user(self, email: str, password: str, address: str) -> str:
        """The cookie of a user of the scheduler API.

        Raises:
            RateLimited: it was tried too often.
            Unauthorized: the email or the password is not right.
        """
        try:
            folded = fold(email)
        except ValueError:
            raise Unauthorized(WRONG) from None
        tokens = await self._parts.logins.log_in(folded, password, address)
        token = self._parts.access_tokens.read(tokens.access_token)
        return await self._let_in("user", token.user_id, token.login_id)

    async def make_link(self) -> tuple[str, float]:
        """A code that lets an operator in once, and when it is over (epoch seconds)."""
        code = make_token("wgl_")
        async with self._db.write() as tx:
            now = await read_now(tx)
            await queries.insert_link(tx, hash_token(code), now, now + LINK_SECONDS)
        return code, now + LINK_SECONDS

    async def use_link(self, code: str, address: str) -> str:
        """The cookie of an operator who comes by a link.

        Raises:
            RateLimited: it was tried too often from this address.
            Unauthorized: the link was used, is too old, or never was one.
        """
        await self._count(address)
        async with self._db.write() as tx:
            good = await queries.use_link(tx, hash_token(code), await read_now(tx))
        if not good:
            raise Unauthorized("this link was used already, or is too old")
        return await self._let_in("operator")

    async def _count(self, address: str) -> None:
        await self._parts.meter.hit("logins from one address", address, self._parts.logins_per_minute)

    async def _let_in(self, kind: str, user_id: str | None = None, login_id: str | None = None) -> str:
        cookie = make_token("wgc_")
        async with self._db.write() as tx:
            await queries.insert_login(tx, hash_token(cookie), await read_now(tx), user_id, login_id)
        log.info("console_entered", kind=kind, user_id=user_id)
        return cookie

    # --- being in ---------------------------------------------------------------------------------------------

    async def visitor(self, request: Request, cookie: ConsoleCookie = None, csrf_token: CsrfToken = None) -> Visitor:
        """Who looks at a page, or changes something by it.

        Raises:
            NotLoggedIn: nobody, or not any more.
            NotMeant: a change without the proof that a page of ours gives.
        """
        visitor = await self.look(cookie, clicked=True)
        if request.method not in SAFE_METHODS and not same(csrf_token or "", visitor.csrf_token):
            raise NotMeant
        return visitor

    async def operator(self, request: Request, cookie: ConsoleCookie = None, csrf_token: CsrfToken = None) -> Visitor:
        """As `visitor`, on a page that is for operators.

        Raises:
            Forbidden: a user.
        """
        visitor = await self.visitor(request, cookie, csrf_token)
        if not visitor.is_operator:
            raise Forbidden("this page is for operators")
        return visitor

    async def watcher(self, cookie: ConsoleCookie = None) -> Visitor:
        """As `visitor`, for a part of a page that asks by itself: that keeps nobody in.

        Raises:
            NotLoggedIn: nobody, or not any more.
        """
        return await self.look(cookie)

    async def look(self, cookie: str | None, *, clicked: bool = False) -> Visitor:
        """Who has this cookie; `clicked` keeps them in for longer.

        Raises:
            NotLoggedIn: nobody, or not any more.
        """
        if cookie is None:
            raise NotLoggedIn
        hashed = hash_token(cookie)
        async with self._db.read() as connection:
            now = await read_now(connection)
            row = await queries.find_login(connection, hashed)
        if row is None or not self._holds(row, now):
            raise NotLoggedIn
        visitor = await self._visitor_of(row, cookie, now)
        if clicked and now - row.seen_at >= SEEN_EVERY_SECONDS:
            async with self._db.write() as tx:
                await queries.see(tx, hashed, now)
        return visitor

    def _holds(self, row: AnyRow, now: float) -> bool:
        idle, longest = self._parts.idle_seconds, self._parts.longest_seconds
        return bool(now - row.seen_at < idle and now - row.created_at < longest)

    async def _visitor_of(self, row: AnyRow, cookie: str, now: float) -> Visitor:
        proof = csrf_token_of(cookie)
        if row.login_id is None:
            return Visitor("operator", True, None, {"X-Admin-Token": self._parts.admin_token}, proof)
        token = self._parts.access_tokens.make(row.user_id, row.login_id, now)
        try:
            found = await self._parts.logins.identify(token)
        except Unauthorized:
            raise NotLoggedIn from None
        return Visitor(found.email, False, found.account_id, {"Authorization": f"Bearer {token}"}, proof)

    # --- going out --------------------------------------------------------------------------------------------

    async def log_out(self, cookie: str) -> None:
        """End the login of a cookie, and a user's login with it."""
        async with self._db.write() as tx:
            row = await queries.find_login(tx, hash_token(cookie))
            await queries.remove_login(tx, hash_token(cookie))
        if row is not None and row.login_id is not None:
            await self._parts.logins.end(row.login_id)

    async def forget_old(self, now: float) -> None:
        """Remove what lets nobody in any more."""
        idle, longest = self._parts.idle_seconds, self._parts.longest_seconds
        async with self._db.write() as tx:
            await queries.forget_old(tx, seen_before=now - idle, created_before=now - longest, now=now)


def csrf_token_of(cookie: str) -> str:
    """The proof that belongs to a cookie: whoever can read our page has it, and a cookie cannot be found from it."""
    return hmac.new(cookie.encode(), b"changes at the console", hashlib.sha256).hexdigest()
