"""What can go wrong in a way that a caller should hear about.

    GatewayError                        500  INTERNAL_ERROR
      ValidationFailed                  422  VALIDATION_ERROR
        InvalidNumber                   422  INVALID_PHONE_NUMBER
      Unauthorized                      401  UNAUTHORIZED
      Forbidden                         403  FORBIDDEN
      NotFound                          404  RESOURCE_NOT_FOUND
      Conflict                          409  CONFLICT
        SessionNotConnected             409  SESSION_NOT_CONNECTED
        WrongState                      409  WRONG_STATE
      PayloadTooLarge                   413  PAYLOAD_TOO_LARGE
      UnsupportedMediaType              415  UNSUPPORTED_MEDIA_TYPE
      RateLimited                       429  RATE_LIMIT_EXCEEDED
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
    """Something went wrong inside the gateway."""

    status_code = 500
    error_code = "INTERNAL_ERROR"

    def __init__(self, detail: str | None = None, *, errors: Sequence[FieldError] = ()) -> None:
        self.detail = detail or " ".join((type(self).__doc__ or "").split())
        self.errors = list(errors)
        super().__init__(self.detail)


class ValidationFailed(GatewayError):
    """The request is not valid; nothing was stored."""

    status_code = 422
    error_code = "VALIDATION_ERROR"


class InvalidNumber(ValidationFailed):
    """The phone number is not valid."""

    error_code = "INVALID_PHONE_NUMBER"


class Unauthorized(GatewayError):
    """A valid credential is required."""

    status_code = 401
    error_code = "UNAUTHORIZED"


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


class SessionNotConnected(Conflict):
    """The sender's WhatsApp session is not connected."""

    error_code = "SESSION_NOT_CONNECTED"


class WrongState(Conflict):
    """This cannot be done in its present state."""

    error_code = "WRONG_STATE"


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
