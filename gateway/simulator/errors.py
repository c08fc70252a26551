"""WAHA's refusals with their exact bodies.

WahaError                an answer with a status that is not 2xx
  EngineFault            any other throw inside WAHA: 500, and the body echoes the request
CutConnection            no answer at all: the connection is dropped
ConnectionCut            the same as a client sees it when there is no connection to drop (ASGI transport)
"""

from typing import Any

import httpx

JsonObject = dict[str, Any]


class WahaError(Exception):
    """An answer of WAHA that is not a success; `body` is sent as it stands."""

    def __init__(self, status: int, body: JsonObject) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class EngineFault(Exception):
    """Something threw inside WAHA; `fields` are further keys of the exception in the body (code, details)."""

    def __init__(self, message: str, *, name: str = "Error", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.name = name
        self.fields = fields


class CutConnection(Exception):
    """The connection is to be dropped without a word."""


class ConnectionCut(httpx.ReadError, ConnectionResetError):
    """What a client on an ASGI transport meets instead of a dropped TCP connection.

    It is an httpx.ReadError, as a real connection reset would be, so that a client's own translation of
    errors runs in its tests.
    """


def bad_request(messages: list[str]) -> WahaError:
    """400 of the routes whose body is validated."""
    return WahaError(400, {"statusCode": 400, "message": messages, "error": "Bad Request"})


def malformed_json(reason: str) -> WahaError:
    """400 of a body that is not JSON."""
    return WahaError(400, {"message": reason, "error": "Bad Request", "statusCode": 400})


def unauthorized() -> WahaError:
    """401 of a missing or wrong API key."""
    return WahaError(401, {"message": "Unauthorized", "statusCode": 401})


def forbidden() -> WahaError:
    """403 of a key that does not reach so far."""
    return WahaError(403, {"message": "Forbidden", "statusCode": 403})


def not_found(message: str) -> WahaError:
    """404 with WAHA's three keys."""
    return WahaError(404, {"message": message, "error": "Not Found", "statusCode": 404})


def session_not_found() -> WahaError:
    """404 of a session that is not stored."""
    return not_found("Session not found")


def session_not_running(name: str) -> WahaError:
    """404 of routes that need a running session and do not wait for one."""
    return not_found(
        f"We didn't find a session with name '{name}'.\n"
        f"Please start it first by using POST /api/sessions/{name}/start request"
    )


def unprocessable(message: str) -> WahaError:
    """422 with WAHA's three keys."""
    return WahaError(422, {"statusCode": 422, "message": message, "error": "Unprocessable Entity"})


def session_missing(name: str) -> WahaError:
    """422 of a call that waited 5 s for a session that never ran."""
    return WahaError(422, {"error": f'Session "{name}" does not exist', "session": name})


def wrong_status(name: str, status: str, expected: list[str]) -> WahaError:
    """422 of a call that waited 10 s for a status; it has neither statusCode nor message."""
    return WahaError(
        422,
        {
            "error": "Session status is not as expected. Try again later or restart the session",
            "session": name,
            "status": status,
            "expected": expected,
        },
    )


def not_implemented(engine: str) -> WahaError:
    """501 of what an engine cannot do."""
    return WahaError(
        501,
        {
            "statusCode": 501,
            "message": f"The method is not implemented by '{engine}' engine. "
            "Please check the engines page of the documentation for what each engine supports.",
            "error": "Not Implemented",
        },
    )


def undefined_property(name: str) -> EngineFault:
    """The TypeError of a field that nobody validated and nobody sent."""
    return EngineFault(f"Cannot read properties of undefined (reading '{name}')", name="TypeError")
