"""What can go wrong in a way that a caller should hear about.

    GatewayError                        500  INTERNAL_ERROR
      InvalidPayload                    400  VALIDATION_ERROR
      ValidationFailed                  422  VALIDATION_ERROR
        InvalidNumber                   422  INVALID_PHONE_NUMBER
        NotConfigured                   422  NOT_CONFIGURED
      Unauthorized                      401  UNAUTHORIZED
      InsufficientBalance               402  INSUFFICIENT_BALANCE
      Forbidden                         403  FORBIDDEN
      NotFound                          404  RESOURCE_NOT_FOUND
      Conflict                          409  CONFLICT
        DuplicateResource               409  DUPLICATE_RESOURCE
        SessionNotConnected             409  SESSION_NOT_CONNECTED
        WrongState                      409  WRONG_STATE
        InUse                           409  RESOURCE_IN_USE
        SchedulingConflict              409  SCHEDULING_CONFLICT
      PayloadTooLarge                   413  PAYLOAD_TOO_LARGE
      UnsupportedMediaType              415  UNSUPPORTED_MEDIA_TYPE
      RateLimited                       429  RATE_LIMIT_EXCEEDED
      DailyLimitReached                 429  DAILY_LIMIT_REACHED
      WahaFailed                        502  WHATSAPP_API_ERROR
      ServiceUnavailable                503  SERVICE_UNAVAILABLE
        NoCapacity                      503  NO_CAPACITY

Each carries its HTTP status; one handler in `gateway/http/problems.py` renders them all.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field of a request: its dotted path, a sentence, and a word for programs."""

    field: str
    message: str
    code: str


class GatewayError(Exception):
    """Something went wrong inside the gateway.

    `extra` are keys that a seed's own door adds to the one shape.
    """

    status_code = 500
    error_code = "INTERNAL_ERROR"

    def __init__(self, detail: str | None = None, *, errors: Sequence[FieldError] = ()) -> None:
        self.extra: dict[str, object] = {}
        self.detail = detail or " ".join((type(self).__doc__ or "").split())
        self.errors = list(errors)
        super().__init__(self.detail)


class ValidationFailed(GatewayError):
    """The request is not valid; nothing was stored."""

    status_code = 422
    error_code = "VALIDATION_ERROR"


class InvalidPayload(GatewayError):
    """Invalid payload"""

    status_code = 400
    error_code = "VALIDATION_ERROR"


class InvalidNumber(ValidationFailed):
    """The phone number is not valid."""

    error_code = "INVALID_PHONE_NUMBER"


class NotConfigured(ValidationFailed):
    """The operator has not set up what this needs."""

    error_code = "NOT_CONFIGURED"


class Unauthorized(GatewayError):
    """A valid credential is required."""

    status_code = 401
    error_code = "UNAUTHORIZED"


class InsufficientBalance(GatewayError):
    """The client's balance is not enough for this."""

    status_code = 402
    error_code = "INSUFFICIENT_BALANCE"


class Forbidden(GatewayError):
    """This is not allowed."""

    status_code = 403
    error_code = "FORBIDDEN"


class NotFound(GatewayError):
    """There is no such thing, or it is not yours."""

    status_code = 404
    error_code = "RESOURCE_NOT_FOUND"


class Conflict(GatewayError):
    """The request does not fit the present state."""

    status_code = 409
    error_code = "CONFLICT"


class DuplicateResource(Conflict):
    """There is one like it already."""

    error_code = "DUPLICATE_RESOURCE"


class SessionNotConnected(Conflict):
    """The sender's WhatsApp session is not connected."""

    error_code = "SESSION_NOT_CONNECTED"


class WrongState(Conflict):
    """This cannot be done in its present state."""

    error_code = "WRONG_STATE"


class InUse(Conflict):
    """Something else needs it."""

    error_code = "RESOURCE_IN_USE"


class SchedulingConflict(Conflict):
    """The same message goes to the same group at this time already."""

    error_code = "SCHEDULING_CONFLICT"


class PayloadTooLarge(GatewayError):
    """The request's body is too large."""

    status_code = 413
    error_code = "PAYLOAD_TOO_LARGE"


class UnsupportedMediaType(GatewayError):
    """The body must be sent as application/json."""

    status_code = 415
    error_code = "UNSUPPORTED_MEDIA_TYPE"


class RateLimited(GatewayError):
    """Too many requests; try again later."""

    status_code = 429
    error_code = "RATE_LIMIT_EXCEEDED"

    def __init__(self, detail: str | None = None, *, again_at: float) -> None:
        super().__init__(detail)
        self.retry_after = max(1.0, again_at - time.time())


class DailyLimitReached(GatewayError):
    """The client may not send so many messages today. `retry_after` is in seconds."""

    status_code = 429
    error_code = "DAILY_LIMIT_REACHED"

    def __init__(self, detail: str | None = None, *, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = max(1.0, retry_after)


class WahaFailed(GatewayError):
    """The WAHA server answered with an error."""

    status_code = 502
    error_code = "WHATSAPP_API_ERROR"


class ServiceUnavailable(GatewayError):
    """A needed part is not reachable just now; try again."""

    status_code = 503
    error_code = "SERVICE_UNAVAILABLE"


class NoCapacity(ServiceUnavailable):
    """No reachable WAHA server has room for another session."""

    error_code = "NO_CAPACITY"
