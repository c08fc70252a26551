"""What FastAPI says about a wrong request, said in the gateway's own words: every field by its dotted path.

Nothing of the request's values goes back to the caller: they may be huge, or secret.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException

from gateway.errors import FieldError, ValidationFailed

MAX_ERRORS = 100
"""So many wrong fields are listed in one answer; the rest are counted."""

MAX_FIELD_LENGTH = 200
MAX_MESSAGE_LENGTH = 300


def validation_failed(exc: RequestValidationError | WebSocketRequestValidationError) -> ValidationFailed:
    """The same finding as one error of ours, with the first `MAX_ERRORS` wrong fields."""
    body = exc.body if isinstance(exc, RequestValidationError) else None
    return fields_failed(list(dict.fromkeys(field_error(error, body) for error in exc.errors())))


def fields_failed(fields: Sequence[FieldError]) -> ValidationFailed:
    """An error that names the first `MAX_ERRORS` of these wrong fields and says how many there are."""
    listed = list(fields[:MAX_ERRORS])
    if len(fields) > MAX_ERRORS:
        detail = f"{len(fields)} fields are not valid; the first {MAX_ERRORS} are listed."
    elif len(fields) == 1:
        detail = f"{fields[0].field}: {fields[0].message}"
    else:
        detail = f"{len(fields)} fields are not valid: " + ", ".join(error.field for error in fields[:5])
        detail += ", ..." if len(fields) > 5 else "."
    return ValidationFailed(detail, errors=listed)


def refuse_unknown(field: str, what: str, ids: Sequence[str], known: Container[str]) -> None:
    """Stop where a request's list of ids, in `field`, names `what` (a group, say) that is not there for the caller.

    Raises:
        ValidationFailed: naming each of them by its place.
    """
    if errors := unknown_ids(field, what, ids, known):
        raise fields_failed(errors)


def unknown_ids(field: str, what: str, ids: Sequence[str], known: Container[str]) -> list[FieldError]:
    """What `refuse_unknown` names."""
    message = f"there is no such {what}, or it is not yours"
    return [
        FieldError(f"{field}.{place}", message, f"unknown_{what}") for place, one in enumerate(ids) if one not in known
    ]


def malformed_json(reason: str) -> ValidationFailed:
    """The body is not JSON at all; `reason` must not quote it."""
    message = f"The body is not valid JSON: {reason}"
    return ValidationFailed(message, errors=[FieldError("body", message, "json_invalid")])


def malformed_body(exc: HTTPException) -> ValidationFailed | None:
    """FastAPI's 400 for a body that it could not read, as our 422; None for any other error."""
    cause = exc.__cause__
    if exc.status_code != 400 or not isinstance(cause, RecursionError | ValueError):
        return None
    return malformed_json("it is nested too deeply, or not UTF-8")


def field_error(error: Mapping[str, Any], body: Any) -> FieldError:
    """One finding of pydantic's, whose location begins with "body" or the like, about a request with this body."""
    kind = str(error["type"])
    if kind == "json_invalid":
        reason = (error.get("ctx") or {}).get("error", "")
        at = error["loc"][-1]
        return FieldError("body", f"The body is not valid JSON: {reason} (at character {at})", kind)
    message = _length(kind, error.get("ctx") or {}) or str(error["msg"])
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return FieldError(
        _shorten(_path(error["loc"], kind, body), MAX_FIELD_LENGTH), _shorten(message, MAX_MESSAGE_LENGTH), kind
    )


def _length(kind: str, told: Mapping[str, Any]) -> str | None:
    """What is wrong with the length of a secret, of which pydantic speaks as of a list; None for all else."""
    if told.get("field_type") != "Value":
        return None
    if kind == "too_short":
        return f"should have at least {told['min_length']} characters"
    return f"should have at most {told['max_length']} characters" if kind == "too_long" else None


def _path(loc: Sequence[str | int], kind: str, body: Any) -> str:
    """`("body", "recipients", 3, "Recipient", "phone")` as `recipients.3.phone`.

    Pydantic puts the tried member of a union into the location. Such a part is known by not being found in the
    request, where the last part of a missing field is not found either.
    """
    place, *parts = loc
    if place != "body" or not isinstance(body, dict | list):
        return ".".join(str(part) for part in parts) or str(place)
    kept: list[str] = []
    here: Any = body
    for number, part in enumerate(parts, start=1):
        if _holds(here, part):
            here = here[part]
        elif not (kind == "missing" and number == len(parts) and isinstance(here, dict)):
            continue
        kept.append(str(part))
    return ".".join(kept) or "body"


def _holds(container: Any, part: str | int) -> bool:
    if isinstance(container, dict):
        return part in container
    return isinstance(container, list) and isinstance(part, int) and 0 <= part < len(container)


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
