"""What the routes of `/sim/` read from a request: the session they are about, and checked values."""

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.requests import Request

from gateway.simulator.errors import JsonObject, session_not_found, unprocessable
from gateway.simulator.http import read_json, waha
from gateway.simulator.session import RunningSession
from gateway.simulator.stored import Status, StoredSession

A = TypeVar("A")
R = TypeVar("R")


def running(request: Request) -> RunningSession:
    """The session in the path, whatever its status; 404 when it does not run."""
    session = waha(request).lifecycle.running.get(request.path_params["session"])
    if session is None:
        raise session_not_found()
    return session


def stored(request: Request) -> StoredSession:
    """The session in the path, whether it runs or not; 404 when it is not stored."""
    return waha(request).lifecycle.known(request.path_params["session"])


def working(request: Request) -> RunningSession:
    """The session in the path; 422 when it is not WORKING."""
    session = running(request)
    if session.status is not Status.WORKING:
        raise unprocessable(f"the session is not WORKING, its status is {session.status}")
    return session


async def field(request: Request, name: str) -> str:
    """A text of the body that must be there and not be empty; else 422."""
    body: JsonObject = await read_json(request)
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise unprocessable(f"{name} is missing or not a string")
    return value


def word(body: JsonObject, name: str) -> str | None:
    """A text of the body that may be missing, but not be empty or something else; else 422."""
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise unprocessable(f"{name} must be a string that is not empty")
    return value


def number(value: Any, name: str) -> float:
    """A finite number of 0 or more, also one that is written as text; else 422."""
    try:
        read = float(value)
    except (TypeError, ValueError):
        raise unprocessable(f"{name} must be a number") from None
    if not 0 <= read < float("inf"):
        raise unprocessable(f"{name} must be 0 or more")
    return read


def flag(body: JsonObject, name: str, default: bool | None = None) -> bool:
    """A truth of the body; without a default it must be there; else 422."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise unprocessable(f"{name} must be true or false")
    return value


async def phone_field(request: Request) -> str:
    """The `phone` of the body, digits with the country code; else 422."""
    phone = await field(request, "phone")
    if not phone.isdigit():
        raise unprocessable("phone must be digits with the country code, such as 447700900123")
    return phone


def checked(call: Callable[[A], R], value: A) -> R:
    """What `call` makes of a value; its ValueError becomes a 422."""
    try:
        return call(value)
    except ValueError as error:
        raise unprocessable(str(error)) from error
