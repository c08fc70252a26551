"""Who is calling, decided in one place. Routes ask for a `Caller` and use what it may see in their queries."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Header

from gateway.auth.models import LOCAL_ACCOUNT
from gateway.auth.tokens import find
from gateway.db import Database
from gateway.errors import FieldError, InvalidNumber, NotFound, Unauthorized, ValidationFailed
from gateway.phone import InvalidPhoneNumber, PhoneNumber, read_phone
from gateway.settings import PhoneSettings
from gateway.vault import same


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: an operator, the owner of one number, or anybody (open mode)."""

    account_id: str
    is_admin: bool = False
    number: str | None = None

    @property
    def is_open(self) -> bool:
        """Nobody in particular: open mode, where the sender number in the request is all there is."""
        return not self.is_admin and self.number is None

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

    def __init__(self, db: Database, admin_token: str, *, open_mode: bool) -> None:
        self._db = db
        self._admin_token = admin_token
        self._open_mode = open_mode

    async def caller(
        self,
        x_admin_token: Annotated[str | None, Header(description="Operator's token")] = None,
        x_sender_token: Annotated[str | None, Header(description="Token of a paired number")] = None,
    ) -> Caller:
        """The caller of a request.

        Raises:
            Unauthorized: a credential is wrong, or none was given in token mode.
        """
        if x_admin_token is not None:
            return self._admin(x_admin_token)
        if x_sender_token is not None:
            async with self._db.read() as connection:
                found = await find(connection, x_sender_token)
            if found is None:
                raise Unauthorized("the X-Sender-Token is not valid; it is once the phone has scanned")
            return Caller(account_id=found[1], number=found[0])
        if self._open_mode:
            return Caller(account_id=LOCAL_ACCOUNT)
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
