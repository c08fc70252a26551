"""What can go wrong with WAHA, and what each error says about a send.

A send has exactly three outcomes: sent (no error), *surely not sent*, *uncertain*. The second is only what
provably never left, or what was refused with a known answer; everything else is uncertain, and the caller must
look the message up before it may send again. Each class says which it is in `surely_not_sent`; of the two
columns below the right one is never safe to resend.

                                       surely not sent          uncertain
    WahaError
    ├── WahaUnreachable                refused, unknown host
    ├── WahaRejected                   refused with a known answer
    │   ├── WahaUnauthorized           401, 403
    │   ├── WahaInvalidRequest         400, 413, 422 ...
    │   ├── WahaNotFound               404 of no known kind
    │   ├── WahaNotImplemented         501: not on this engine
    │   ├── SessionNotFound            404: WAHA has no such session
    │   ├── SessionNotWorking          422: not in the status needed
    │   ├── SessionAlreadyExists       422 of create
    │   ├── SessionAlreadyStarted      422 of start, WAHA before 2026.6.1
    │   ├── MessageNotFound            404 of a look-up
    │   ├── LookupUnavailable          400: NOWEB without its store
    │   ├── EngineDisconnected         the engine had no connection to write to
    │   ├── RateLimited                429, "rate-overlimit"
    │   └── WhatsAppRefused            WhatsApp's own "error <code>"
    │       ├── RecipientNotOnWhatsApp
    │       └── ContactLimited         463: no new contacts for now
    ├── WahaConnectionLost                                      reset, cut, protocol error
    ├── WahaTimeout                                             no whole answer in time
    ├── WahaUnexpectedAnswer                                    an answer that WAHA does not give
    ├── WahaServerError                                         any other 5xx
    │   └── SessionBusy                                         WAHA's session lock timed out
    └── WahaMalformedEvent             (an event, not a send)

No error carries the request, the API key, a message's text or file: `message` is short and redacted.
"""

from collections.abc import Sequence
from typing import ClassVar


class WahaError(Exception):
    """Base of all errors of the WAHA client.

    `message` is one short redacted line; `status_code` is WAHA's HTTP status, or None where no answer came.
    """

    surely_not_sent: ClassVar[bool] = False

    def __init__(self, message: str, *, status_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code

    def __str__(self) -> str:
        return self.message if self.status_code is None else f"{self.message} (HTTP {self.status_code})"


class WahaUnreachable(WahaError):
    """No connection could be made: refused, unknown host, TLS failure. The request never left."""

    surely_not_sent = True


class WahaConnectionLost(WahaError):
    """The connection broke after the request may have left: WAHA may have acted."""


class WahaTimeout(WahaError):
    """No whole answer in time: WAHA may have acted, or may still act."""


class WahaUnexpectedAnswer(WahaError):
    """An answer that WAHA does not give: not JSON, another shape, a redirect. A proxy, or another version."""


class WahaMalformedEvent(WahaError):
    """An event of a known kind without what this kind must have."""


class WahaServerError(WahaError):
    """WAHA failed (5xx) in a way that does not tell whether it had acted before."""


class SessionBusy(WahaServerError):
    """WAHA's lock of this session timed out: another call is under way, and this one may still be carried out.

    Ask for the session's status before doing anything else with it.
    """


class WahaRejected(WahaError):
    """WAHA refused the request with a known answer and did not act on it."""

    surely_not_sent = True


class WahaUnauthorized(WahaRejected):
    """WAHA does not accept our API key (401), or the key lacks the right (403)."""


class WahaInvalidRequest(WahaRejected):
    """WAHA found the request wrong (400, 422), or too large (413)."""


class WahaNotFound(WahaRejected):
    """404 of no known kind: the address is probably not a WAHA, or another version of it."""


class WahaNotImplemented(WahaRejected):
    """501: this engine cannot do that."""


class SessionNotFound(WahaRejected):
    """WAHA has no session of this name."""


class SessionNotWorking(WahaRejected):
    """The session is not in a status in which WAHA does this.

    `status` is the one that WAHA told (its words, such as "FAILED"), or None where it only said that no such
    session is *running*, which is also what it says of a stopped one. `expected` are the statuses needed.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        session: str | None = None,
        status: str | None = None,
        expected: Sequence[str] = (),
    ) -> None:
        super().__init__(message, status_code=status_code)
        self.session = session
        self.status = status
        self.expected = tuple(expected)


class SessionAlreadyExists(WahaRejected):
    """Create: WAHA has a session of this name."""


class SessionAlreadyStarted(WahaRejected):
    """Start, on WAHA before 2026.6.1: the session is running, which there includes FAILED."""


class MessageNotFound(WahaRejected):
    """A look-up: the engine's store has no such message now."""


class LookupUnavailable(WahaRejected):
    """A look-up on NOWEB without its store: absence cannot be told from presence."""


class EngineDisconnected(WahaRejected):
    """The engine had no connection to WhatsApp, or no login, before it wrote anything."""


class RateLimited(WahaRejected):
    """WhatsApp ("rate-overlimit") or something before WAHA (429) asks us to slow down.

    `retry_after` is in seconds, where the answer told it.
    """

    def __init__(self, message: str, *, status_code: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status_code=status_code)
        self.retry_after = retry_after


class WhatsAppRefused(WahaRejected):
    """WhatsApp's server refused the message; `code` is its number (4xx), where it told one."""

    def __init__(self, message: str, *, status_code: int | None = None, code: int | None = None) -> None:
        super().__init__(message, status_code=status_code)
        self.code = code


class RecipientNotOnWhatsApp(WhatsAppRefused):
    """WhatsApp knows no account of this number."""


class ContactLimited(WhatsAppRefused):
    """WhatsApp (463) lets this sender reach no new contacts for now. Each retry counts as another reach-out."""
