"""The other ways to pair: a code that is typed on the phone, and the passkey that WhatsApp may ask for (GOWS)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.auth.access import Caller
from gateway.clock import Clock
from gateway.db import AnyRow
from gateway.errors import Conflict, GatewayError, ServiceUnavailable, WahaFailed
from gateway.waha.errors import (
    SessionNotFound,
    SessionNotWorking,
    WahaError,
    WahaInvalidRequest,
    WahaNotFound,
    WahaNotImplemented,
    WahaTimeout,
)
from gateway.waha.schemas import WahaStatus
from sessions.lifecycle import as_gateway_error
from sessions.models import SessionState
from sessions.pairing.bringing_up import Starter
from sessions.pairing.flights import Flights, StillUnderWay
from sessions.pairing.passkeys import STEP_SECONDS, deadline, passkey_hint
from sessions.pairing.service import Pairing

CODE_PATIENCE_SECONDS = 8.0
"""GOWS waits 2 s before it says that a session is still starting; WhatsApp itself answers in about one."""

SAME_SECONDS = 10.0
"""Who asks so soon after another one gets the same code."""


class NotOnThisEngine(GatewayError):
    """The engine of this WAHA server cannot do that."""

    status_code = 501
    error_code = "NOT_IMPLEMENTED"


@dataclass(frozen=True, slots=True)
class TypedCode:
    """A code to type on the phone, until `expires_at` (epoch seconds)."""

    code: str
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class PasskeyStep:
    """What a pairing waits for until `expires_at` (epoch seconds): the `challenge` is for the first step, the `code`
    for the second."""

    step: Literal["challenge", "confirmation"]
    expires_at: float
    hint: str
    challenge: Mapping[str, Any] | None = None
    code: str | None = None


class OtherWays:
    """Pairing codes and passkeys. Numbers are digits that were read and allowed before."""

    def __init__(self, pairing: Pairing, starter: Starter, clock: Clock) -> None:
        self._pairing = pairing
        self._starter = starter
        self._clock = clock
        self._given: dict[str, tuple[float, TypedCode]] = {}
        self._codes: Flights[TypedCode] = Flights("request a pairing code")

    async def stop(self) -> None:
        """Ask for nothing more."""
        await self._codes.stop(0.0)

    async def request_code(self, caller: Caller, number: str) -> TypedCode:
        """A code to type on the phone; the session is started as for the QR. Those who ask at once get the same.

        Raises:
            NotFound: no session.
            Conflict: it is connected or scanned already, or has just left the code.
            NotOnThisEngine: the engine has no such codes.
            ServiceUnavailable: it is still starting, or its WAHA server is away.
        """
        shown = await self._pairing.ask(caller, number)
        instead = f"the other way is the QR code: GET /api/sessions/+{number}/qr"
        if shown.state in (SessionState.CONNECTED, SessionState.SCANNED):
            raise Conflict(f"+{number} is {shown.state.lower()} already, and needs no code; {instead}")
        if shown.state is not SessionState.WAITING_FOR_SCAN:
            raise ServiceUnavailable(f"the session is not ready for a code yet; ask again in some seconds; {instead}")
        try:
            return await self._codes.join(number, lambda: self._request(shown.row), CODE_PATIENCE_SECONDS)
        except (SessionNotWorking, SessionNotFound, WahaNotFound) as error:
            raise Conflict(f"the session takes no code just now ({error.message}); {instead}") from error
        except WahaNotImplemented as error:
            raise NotOnThisEngine(f"this server's engine has no pairing codes; {instead}") from error
        except (StillUnderWay, WahaTimeout) as error:
            raise ServiceUnavailable(f"WhatsApp has not given a code yet; ask again; {instead}") from error
        except WahaError as error:
            told = as_gateway_error(error)
            raise type(told)(f"{told.detail}; {instead}") from error

    async def passkey(self, number: str) -> PasskeyStep:
        """The passkey step that the session waits for.

        Raises:
            NotFound: no session.
            Conflict: it waits for none.
        """
        row = await self._current(number)
        client = self._starter.client(row)
        hint = passkey_hint(row) or ""
        try:
            if row.waha_status == WahaStatus.PASSKEY_REQUIRED:
                challenge = await client.passkey_challenge(row.name)
                until = deadline(row, _seconds(challenge.get("timeout")))
                return PasskeyStep("challenge", until, hint, challenge=challenge)
            if row.waha_status == WahaStatus.PASSKEY_CONFIRMATION_REQUIRED:
                code = await client.passkey_confirmation(row.name)
                return PasskeyStep("confirmation", deadline(row), hint, code=code.code)
        except WahaError as error:
            raise _refusal(number, error) from error
        raise _none_pending(number)

    async def submit_passkey(self, number: str, assertion: Mapping[str, Any]) -> AnyRow:
        """Hand the signed challenge over as it is; the session as it is told then. Raises as `passkey`."""
        row = await self._pairing.get(number)
        try:
            await self._starter.client(row).submit_passkey(row.name, assertion)
        except WahaError as error:
            raise _refusal(number, error) from error
        return await self._current(number)

    async def confirm_passkey(self, number: str) -> AnyRow:
        """Say that the codes are the same; the session as it is told then. Raises as `passkey`."""
        row = await self._pairing.get(number)
        try:
            await self._starter.client(row).confirm_passkey(row.name)
        except WahaError as error:
            raise _refusal(number, error) from error
        return await self._current(number)

    async def _request(self, row: AnyRow) -> TypedCode:
        """A new code, which makes the last one void: so not for somebody who asks a moment later."""
        now = self._clock.monotonic()
        self._given = {key: given for key, given in self._given.items() if now - given[0] < SAME_SECONDS}
        _, last = self._given.get(row.number, (now, None))
        if last is not None and last.expires_at == row.pairing_until:
            return last
        code = await self._starter.client(row).request_code(row.name, row.number)
        typed = TypedCode(code.code, row.pairing_until)
        self._given[row.number] = (self._clock.monotonic(), typed)
        return typed

    async def _current(self, number: str) -> AnyRow:
        """The session's row after a look at WAHA: the news of the next step may still be on their way."""
        row = await self._pairing.get(number)
        try:
            info = await self._starter.look(row)
        except WahaError as error:
            raise as_gateway_error(error) from error
        if info is not None:
            await self._starter.heard(row, info)
        return await self._pairing.get(number)


def _seconds(milliseconds: object) -> float:
    return milliseconds / 1000 if isinstance(milliseconds, int | float) and milliseconds > 0 else STEP_SECONDS


def _none_pending(number: str) -> Conflict:
    return Conflict(f"no such passkey step of +{number} is pending; see GET /api/sessions/+{number}")


def _refusal(number: str, error: WahaError) -> GatewayError:
    if isinstance(error, WahaInvalidRequest | SessionNotWorking | SessionNotFound | WahaNotFound | WahaNotImplemented):
        return _none_pending(number)
    if error.status_code == 500:
        return WahaFailed("WAHA could not use this answer; ask for the challenge again")
    return as_gateway_error(error)
