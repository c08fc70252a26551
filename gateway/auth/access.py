"""Who is calling, decided in one place. Routes ask for a `Caller` and use what it may see in their queries."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from gateway.auth.bearer import BearerScheme
from gateway.auth.clients.keys import PREFIX as KEY_PREFIX
from gateway.auth.clients.keys import ApiKeys, KeyHolder
from gateway.auth.clients.scopes import ApiScope, scope_of_request
from gateway.auth.logins import Logins
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.auth.tokens import PREFIX, find
from gateway.db import Database
from gateway.errors import FieldError, Forbidden, InvalidNumber, NotFound, Unauthorized, ValidationFailed
from gateway.folding import fold
from gateway.limits.meter import Meter
from gateway.phone import InvalidPhoneNumber, PhoneNumber, read_phone
from gateway.settings import PhoneSettings
from gateway.vault import same

AdminToken = Annotated[str | None, Header(description="Operator's token")]
SenderToken = Annotated[str | None, Header(description="Token of a paired number")]
PairingToken = Annotated[str | None, Header(description="Token of the number, also before the scan")]
BearerToken = Annotated[str | None, Depends(BearerScheme())]
Needs = Annotated[ApiScope, Depends(scope_of_request)]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows a request is about: an account's, those of one number of ours, or both; neither is everybody's."""

    number: str | None = None
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: an operator, a user who logged in, the owner of one number, or anybody (open mode).

    `user` is the email of a user, and `client` another system with its key: they act for all that their account owns, a
    client as far as the key's scopes go. `is_anonymous` is somebody without a
    credential where one is needed for everything but to open a pairing; `is_pending` has a token that no scan has made
    valid yet.
    """

    account_id: str
    is_admin: bool = False
    number: str | None = None
    is_anonymous: bool = False
    is_pending: bool = False
    user: str | None = None
    client: KeyHolder | None = None

    @property
    def is_open(self) -> bool:
        """Nobody in particular: open mode, where the sender number in the request is all there is."""
        return not self.is_admin and self.number is None and self.user is None and self.client is None

    @property
    def name(self) -> str:
        """Who does something, as it is kept: a user's email, a client, an operator, a number, or `local`."""
        if self.user is not None:
            return self.user
        if self.client is not None:
            return f"client {self.client.name}"
        if self.is_admin:
            return "operator"
        return LOCAL_ACCOUNT if self.number is None else f"+{self.number}"

    @property
    def may_log_out(self) -> bool:
        """Whether the caller may end a login: it is theirs, or they are an operator, or anybody may (open mode)."""
        return not self.is_anonymous and not self.is_pending

    @property
    def identity(self) -> str | None:
        """Whose requests these are, as proved by a credential; None is nobody in particular, who has an address only.

        A token that no scan has made valid yet proves nothing: everybody may have many of them.
        """
        if self.user is not None:
            return f"user {self.user}"
        if self.client is not None:
            return f"client {self.client.client_id}"
        return f"sender {self.number}" if self.number is not None and not self.is_pending else None

    def may_use(self, number: str) -> bool:
        """Whether the caller may act for `number` (digits), whatever the database says.

        Never true of a user or a client: which numbers their account has is known there only (`sessions/ownership.py`).
        """
        return self.is_admin or self.is_open or self.number == number

    @property
    def account_scope(self) -> str | None:
        """The account whose rows the caller may see; None is everybody's, for an operator."""
        return None if self.is_admin else self.account_id

    @property
    def whole_account(self) -> str | None:
        """The account of which the caller may see every number and campaign; None where it is the number that counts.

        An operator is not bound to any, a sender's token opens one number, and open mode knows numbers only.
        """
        return self.account_id if self.user is not None or self.client is not None else None

    def require(self, needs: ApiScope) -> None:
        """Refuse a client whose key is not for what it asks; nobody else has scopes.

        Raises:
            Forbidden: naming the scope.
        """
        if self.client is not None and needs not in self.client.scopes:
            raise Forbidden(f"this API key does not have the scope {needs}")

    def scope(self, requested: str | None) -> Scope:
        """Whose data this request is about; everybody's is for an operator only.

        Raises:
            NotFound: it is another sender's.
            ValidationFailed: open mode, and no number was given.
        """
        if self.whole_account is not None:
            return Scope(requested, self.account_id)
        if requested is not None:
            if not self.may_use(requested):
                raise NotFound
            return Scope(requested)
        if self.is_open:
            message = "say whose: add ?sender_number="
            raise ValidationFailed(message, errors=[FieldError("sender_number", "is required", "missing")])
        return Scope(self.number)


class Access:
    """Makes a `Caller` out of a request's headers.

    Where there are several credentials one counts: the operator's token, else the sender's token, which opens less than
    the Bearer token beside it. That one must be right.
    """

    def __init__(
        self,
        db: Database,
        admin_token: str,
        logins: Logins,
        meter: Meter,
        *,
        open_mode: bool,
        pairings_per_minute: int,
    ) -> None:
        self._db = db
        self._admin_token = admin_token
        self._logins = logins
        self._keys = ApiKeys(db)
        self._meter = meter
        self._open_mode = open_mode
        self._pairings_per_minute = pairings_per_minute

    async def caller(
        self,
        x_admin_token: AdminToken = None,
        x_sender_token: SenderToken = None,
        bearer: BearerToken = None,
        needs: Needs = ApiScope.MANAGE,
    ) -> Caller:
        """The caller of a request.

        Raises:
            Unauthorized: a credential is wrong, or none was given in token mode.
            Forbidden: an API key that is not for this.
        """
        return await self._counted(
            self._decide(x_admin_token, x_sender_token, bearer, pairing=False, anonymous=self._open_mode), needs
        )

    async def pairing(
        self,
        x_admin_token: AdminToken = None,
        x_sender_token: PairingToken = None,
        bearer: BearerToken = None,
        needs: Needs = ApiScope.MANAGE,
    ) -> Caller:
        """The caller of a route that shows a session: the token counts before the phone has scanned, too.

        Raises:
            Unauthorized: a credential is wrong, or none was given in token mode.
            Forbidden: an API key that is not for this.
        """
        return await self._counted(
            self._decide(x_admin_token, x_sender_token, bearer, pairing=True, anonymous=self._open_mode), needs
        )

    async def anybody(
        self,
        request: Request,
        x_admin_token: AdminToken = None,
        x_sender_token: PairingToken = None,
        bearer: BearerToken = None,
        needs: Needs = ApiScope.MANAGE,
    ) -> Caller:
        """The caller who opens a pairing: also somebody who has no credential yet, but not too often.

        Raises:
            Unauthorized: a credential is wrong.
            Forbidden: an API key that is not for this.
            RateLimited: too many pairings from this address without a credential.
        """
        caller = await self._decide(x_admin_token, x_sender_token, bearer, pairing=True, anonymous=True)
        if caller.is_open:
            address = request.client.host if request.client else ""
            await self._meter.hit("pairings without a credential", address, self._pairings_per_minute)
        caller.require(needs)
        return caller

    async def _counted(self, deciding: Awaitable[Caller], needs: ApiScope) -> Caller:
        """The caller, whose request is counted: a refused one for its address, an operator's not at all.

        Raises:
            Forbidden: an API key that is not for this.
            RateLimited: there were too many.
        """
        try:
            caller = await deciding
        except Unauthorized:
            await self._meter.count(None)
            raise
        if not caller.is_admin:
            await self._meter.count(caller.identity)
        caller.require(needs)
        return caller

    async def _decide(
        self, admin: str | None, sender: str | None, bearer: str | None, *, pairing: bool, anonymous: bool
    ) -> Caller:
        if admin is not None:
            return self._admin(admin)
        if sender is not None:
            async with self._db.read() as connection:
                found = await find(connection, sender)
            if found is None or not (found.valid or pairing):
                raise Unauthorized("the X-Sender-Token is not valid; it is once the phone has scanned")
            return Caller(account_id=found.account_id, number=found.number, is_pending=not found.valid)
        if bearer is not None:
            return await self.of_bearer(bearer)
        if anonymous:
            return Caller(account_id=LOCAL_ACCOUNT, is_anonymous=not self._open_mode)
        raise Unauthorized(
            "send an X-Sender-Token (given when a session is created), the Bearer token of a login, an API key as "
            "Bearer token, or an X-Admin-Token"
        )

    async def of_bearer(self, token: str) -> Caller:
        """The caller behind a Bearer token, told by what kind of token it is: a client's key, or a user's access token.

        Raises:
            Unauthorized: it is not valid, or not any more.
        """
        if token.startswith(KEY_PREFIX):
            holder = await self._keys.identify(token)
            return Caller(account_id=holder.account_id, client=holder)
        found = await self._logins.identify(token)
        return Caller(account_id=found.account_id, user=found.email)

    async def of_named_key(self, name: str, key: str, needs: ApiScope) -> Caller:
        """The client that a request's body names, with its key: for a door that has both there.

        Raises:
            Unauthorized: the key is not valid, or another client's.
            Forbidden: it is not for this.
        """

        async def decide() -> Caller:
            caller = await self.of_bearer(key) if key.startswith(KEY_PREFIX) else None
            if caller is None or caller.client is None or fold(caller.client.name) != fold(name):
                raise Unauthorized("there is no such client, or the API key is not its own")
            return caller

        return await self._counted(decide(), needs)

    async def of_token(self, token: str | None) -> Caller:
        """The caller who shows one token, of whichever kind, or none, to look: the first message of a WebSocket.

        Raises:
            Unauthorized: it is not valid, or not any more, or none was given in token mode.
            Forbidden: an API key that is not for looking.
        """
        if token is None:
            return await self._decide(None, None, None, pairing=False, anonymous=self._open_mode)
        if same(token, self._admin_token):
            return self._admin(token)
        if token.startswith(PREFIX):
            return await self._decide(None, token, None, pairing=False, anonymous=False)
        caller = await self.of_bearer(token)
        caller.require(ApiScope.READ)
        return caller

    async def account(
        self,
        x_admin_token: AdminToken = None,
        x_sender_token: SenderToken = None,
        bearer: BearerToken = None,
        needs: Needs = ApiScope.MANAGE,
    ) -> Caller:
        """The caller of a route about what an account owns and no sender does: templates, recipients, schedules.

        Raises:
            Unauthorized: a credential is wrong, or none was given in token mode.
            Forbidden: a sender's token, which opens that sender's data only, or an API key that is not for this.
        """
        caller = await self.caller(x_admin_token, x_sender_token, bearer, needs)
        if caller.number is not None:
            raise Forbidden("an X-Sender-Token opens that sender's data only, not what the account owns")
        return caller

    async def admin(self, x_admin_token: AdminToken = None) -> Caller:
        """The operator, and nobody else."""
        return await self._counted(self._operator(x_admin_token), ApiScope.MANAGE)

    async def is_operator(
        self, x_admin_token: Annotated[str | None, Header(description="Operator's token, for more")] = None
    ) -> bool:
        """Whether it is the operator, on a route that anybody may ask; a wrong token is told all the same."""
        return x_admin_token is not None and self._admin(x_admin_token).is_admin

    async def _operator(self, token: str | None) -> Caller:
        if token is None:
            raise Unauthorized("send the X-Admin-Token")
        return self._admin(token)

    def _admin(self, token: str) -> Caller:
        if not same(token, self._admin_token):
            raise Unauthorized("the X-Admin-Token is not valid")
        return Caller(account_id=LOCAL_ACCOUNT, is_admin=True)


class PhoneReader:
    """Reads numbers by the settings: everything that is scoped or compared went through here first."""

    def __init__(self, settings: PhoneSettings) -> None:
        self._settings = settings

    def read(self, text: str) -> PhoneNumber:
        """`text` as a number; raises `InvalidPhoneNumber`."""
        return read_phone(text, default_region=self._settings.default_region, strict=self._settings.strict)

    def number(self, text: str, field: str) -> PhoneNumber:
        """A request's `field` as a number.

        Raises:
            InvalidNumber: it cannot be read as one.
        """
        try:
            return self.read(text)
        except InvalidPhoneNumber as error:
            message = str(error)
            raise InvalidNumber(f"{field}: {message}", errors=[FieldError(field, message, "invalid_format")]) from None

    def digits(self, text: str, field: str) -> str:
        """The digits of a request's `field`; raises as `number` does."""
        return self.number(text, field).digits

    def grade(self, digits: str) -> str:
        """What libphonenumber thinks of a stored number."""
        return read_phone(f"+{digits}").grade

    def optional_digits(self, text: str | None, field: str = "sender_number") -> str | None:
        """As `digits`; None stays None."""
        return None if text is None else self.digits(text, field)
