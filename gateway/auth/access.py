"""Who is calling, decided in one place. Routes ask for a `Caller` and use what it may see in their queries."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Header, Request

from gateway.auth.limiter import Limiter
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.auth.tokens import find
from gateway.db import Database
from gateway.errors import FieldError, InvalidNumber, NotFound, Unauthorized, ValidationFailed
from gateway.phone import InvalidPhoneNumber, PhoneNumber, read_phone
from gateway.settings import PhoneSettings
from gateway.vault import same


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: an operator, the owner of one number, or anybody (open mode).

    `is_anonymous` is somebody without a credential where one is needed for everything but to open a pairing;
    `is_pending` has a token that no scan has made valid yet.
    """

    account_id: str
    is_admin: bool = False
    number: str | None = None
    is_anonymous: bool = False
    is_pending: bool = False

    @property
    def is_open(self) -> bool:
        """Nobody in particular: open mode, where the sender number in the request is all there is."""
        return not self.is_admin and self.number is None

    @property
    def may_log_out(self) -> bool:
        """Whether the caller may end a login: it is theirs, or they are an operator, or anybody may (open mode)."""
        return not self.is_anonymous and not self.is_pending

    def may_use(self, number: str) -> bool:
        """Whether the caller may act for `number` (digits)."""
        return self.is_admin or self.is_open or self.number == number

    def scope(self, requested: str | None) -> str | None:
        """The number whose data this request is about; None is everybody's, for an operator only.

        Raises:
            NotFound: it is another sender's.
            ValidationFailed: open mode, and no number was given.
        """
        if requested is not None:
            if not self.may_use(requested):
                raise NotFound
            return requested
        if self.is_open:
            message = "say whose: add ?sender_number="
            raise ValidationFailed(message, errors=[FieldError("sender_number", "is required", "missing")])
        return self.number


class Access:
    """Makes a `Caller` out of a request's headers."""

    def __init__(
        self, db: Database, admin_token: str, limiter: Limiter, *, open_mode: bool, pairings_per_minute: int
    ) -> None:
        self._db = db
        self._admin_token = admin_token
        self._limiter = limiter
        self._open_mode = open_mode
        self._pairings_per_minute = pairings_per_minute

    async def caller(
        self,
        x_admin_token: Annotated[str | None, Header(description="Operator's token")] = None,
        x_sender_token: Annotated[str | None, Header(description="Token of a paired number")] = None,
    ) -> Caller:
        """The caller of a request.

        Raises:
            Unauthorized: a credential is wrong, or none was given in token mode.
        """
        return await self._decide(x_admin_token, x_sender_token, pairing=False, anonymous=self._open_mode)

    async def pairing(
        self,
        x_admin_token: Annotated[str | None, Header(description="Operator's token")] = None,
        x_sender_token: Annotated[str | None, Header(description="Token of the number, also before the scan")] = None,
    ) -> Caller:
        """The caller of a route that shows a session: the token counts before the phone has scanned, too.

        Raises:
            Unauthorized: a credential is wrong, or none was given in token mode.
        """
        return await self._decide(x_admin_token, x_sender_token, pairing=True, anonymous=self._open_mode)

    async def anybody(
        self,
        request: Request,
        x_admin_token: Annotated[str | None, Header(description="Operator's token")] = None,
        x_sender_token: Annotated[str | None, Header(description="Token of the number")] = None,
    ) -> Caller:
        """The caller who opens a pairing: also somebody who has no credential yet, but not too often.

        Raises:
            Unauthorized: a credential is wrong.
            RateLimited: too many pairings from this address without a credential.
        """
        caller = await self._decide(x_admin_token, x_sender_token, pairing=True, anonymous=True)
        if caller.is_open:
            self._limiter.hit("pairings", request.client.host if request.client else "", self._pairings_per_minute)
        return caller

    async def _decide(self, admin: str | None, sender: str | None, *, pairing: bool, anonymous: bool) -> Caller:
        if admin is not None:
            return self._admin(admin)
        if sender is not None:
            async with self._db.read() as connection:
                found = await find(connection, sender)
            if found is None or not (found.valid or pairing):
                raise Unauthorized("the X-Sender-Token is not valid; it is once the phone has scanned")
            return Caller(account_id=found.account_id, number=found.number, is_pending=not found.valid)
        if anonymous:
            return Caller(account_id=LOCAL_ACCOUNT, is_anonymous=not self._open_mode)
        raise Unauthorized("send an X-Sender-Token (given when a session is created) or an X-Admin-Token")

    async def admin(
        self, x_admin_token: Annotated[str | None, Header(description="Operator's token")] = None
    ) -> Caller:
        """The operator, and nobody else."""
        if x_admin_token is None:
            raise Unauthorized("send the X-Admin-Token")
        return self._admin(x_admin_token)

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

    def digits(self, text: str, field: str) -> str:
        """The digits of a request's `field`.

        Raises:
            InvalidNumber: it cannot be read as a number.
        """
        try:
            return self.read(text).digits
        except InvalidPhoneNumber as error:
            message = str(error)
            raise InvalidNumber(f"{field}: {message}", errors=[FieldError(field, message, "invalid_format")]) from None

    def grade(self, digits: str) -> str:
        """What libphonenumber thinks of a stored number."""
        return read_phone(f"+{digits}").grade

    def optional_digits(self, text: str | None, field: str = "sender_number") -> str | None:
        """As `digits`; None stays None."""
        return None if text is None else self.digits(text, field)
