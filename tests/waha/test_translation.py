"""Every error that WAHA is known to give, and what it says about a send: one row each."""

from typing import Any, NamedTuple

import aiohttp
import httpcore
import httpx
import pytest
import respx
from aiohttp.client_reqrep import ConnectionKey

from gateway.waha.client import WahaClient
from gateway.waha.errors import (
    ContactLimited,
    EngineDisconnected,
    LookupUnavailable,
    MessageNotFound,
    RateLimited,
    RecipientNotOnWhatsApp,
    SessionAlreadyExists,
    SessionAlreadyStarted,
    SessionBusy,
    SessionNotFound,
    SessionNotWorking,
    WahaConnectionLost,
    WahaError,
    WahaInvalidRequest,
    WahaNotFound,
    WahaNotImplemented,
    WahaServerError,
    WahaTimeout,
    WahaUnauthorized,
    WahaUnexpectedAnswer,
    WahaUnreachable,
    WhatsAppRefused,
)
from tests.waha.conftest import API_KEY, BASE_URL

CHAT = "447700900123@c.us"
TEXT = "Dear Ada, canary text: your table is ready"
MESSAGE_ID = "3EB0123456789ABCDEF012"


class Row(NamedTuple):
    """An answer of WAHA and how it is read."""

    name: str
    status: int
    body: Any
    error: type[WahaError]
    surely_not_sent: bool


def thrown(message: str, **more: object) -> dict[str, Any]:
    """WAHA's body for anything thrown: it echoes the whole request."""
    return {
        "statusCode": 500,
        "timestamp": "2026-07-20T10:00:00.000Z",
        "exception": {"message": message, "name": "Error", "stack": f"Error: {message}\n at {TEXT}", **more},
        "request": {"path": "/api/sendText", "method": "POST", "body": {"text": TEXT, "chatId": CHAT}},
        "version": {"version": "2026.7.1", "engine": "GOWS"},
    }


WRONG_STATUS = {
    "error": "Session status is not as expected. Try again later or restart the session",
    "session": "alice",
    "status": "FAILED",
    "expected": ["WORKING"],
}
NOT_RUNNING = (
    "We didn't find a session with name 'alice'.\nPlease start it first by using POST /api/sessions/alice/start request"
)
ALREADY_STARTED = {"statusCode": 422, "message": "Session 'alice' is already started."}
ALREADY_EXISTS = {"statusCode": 422, "message": "Session 'alice' already exists. Use PUT to update it."}
PAIRING_ONLY = "Can request code only in SCAN_QR_CODE status. The current status is WORKING"
NO_STORE = {"statusCode": 400, "message": "Enable NOWEB store to use this", "error": "Bad Request"}
NO_LID = "no LID found for 447700900123@s.whatsapp.net from server"
NO_JID = "the store doesn't contain a device JID"
VALIDATION = {"statusCode": 400, "message": ["name must be a string"], "error": "Bad Request"}

ROWS = [
    # WAHA itself refuses: it did not hand the message to the engine.
    Row("wrong key", 401, {"message": "Unauthorized", "statusCode": 401}, WahaUnauthorized, True),
    Row("key without right", 403, {"message": "Forbidden", "statusCode": 403}, WahaUnauthorized, True),
    Row("unknown session", 404, {"message": "Session not found", "statusCode": 404}, SessionNotFound, True),
    Row("session not running", 404, {"message": NOT_RUNNING}, SessionNotWorking, True),
    Row("unknown message", 404, {"message": "Message not found"}, MessageNotFound, True),
    Row("no such route", 404, {"message": "Cannot POST /api/sendText"}, WahaNotFound, True),
    Row("not WAHA at all", 404, "<html>404</html>", WahaNotFound, True),
    Row("wrong status", 422, WRONG_STATUS, SessionNotWorking, True),
    Row(
        "not in the runtime map",
        422,
        {"error": 'Session "alice" does not exist', "session": "alice"},
        SessionNotWorking,
        True,
    ),
    Row("code after pairing", 422, {"message": PAIRING_ONLY}, SessionNotWorking, True),
    Row("create twice", 422, ALREADY_EXISTS, SessionAlreadyExists, True),
    Row("start twice, old WAHA", 422, ALREADY_STARTED, SessionAlreadyStarted, True),
    Row("no name", 422, {"message": "Session name is required"}, WahaInvalidRequest, True),
    Row("validation", 400, VALIDATION, WahaInvalidRequest, True),
    Row("NOWEB without store", 400, NO_STORE, LookupUnavailable, True),
    Row("over 50 MB", 413, {"message": "request entity too large"}, WahaInvalidRequest, True),
    Row("too fast", 429, {"message": "Too Many Requests"}, RateLimited, True),
    Row("not on this engine", 501, {"message": "Not implemented by 'WEBJS'"}, WahaNotImplemented, True),
    # The engine refuses before it writes, or WhatsApp's server says no.
    Row("GOWS: unknown number", 500, thrown(f"2 UNKNOWN: {NO_LID}"), RecipientNotOnWhatsApp, True),
    Row("GOWS: 463", 500, thrown("2 UNKNOWN: server returned error 463"), ContactLimited, True),
    Row("GOWS: other refusal", 500, thrown("2 UNKNOWN: server returned error 400"), WhatsAppRefused, True),
    Row("GOWS: refusal 429", 500, thrown("2 UNKNOWN: server returned error 429"), RateLimited, True),
    Row("rate limit", 500, thrown("rate-overlimit", data=429), RateLimited, True),
    Row(
        "GOWS: rate limit of a query",
        500,
        thrown("2 UNKNOWN: failed to get device list: info query returned status 429: rate-overlimit"),
        RateLimited,
        True,
    ),
    Row("GOWS: no login", 500, thrown(f"2 UNKNOWN: {NO_JID}"), EngineDisconnected, True),
    Row("NOWEB: socket down", 500, thrown("Connection Closed"), EngineDisconnected, True),
    # Nobody knows: the message may be out.
    Row("GOWS: WhatsApp fails", 500, thrown("2 UNKNOWN: server returned error 500"), WahaServerError, False),
    Row(
        "GOWS: socket down",  # said before the write, and also after a write that could not be repeated
        500,
        thrown("2 UNKNOWN: websocket not connected"),
        WahaServerError,
        False,
    ),
    Row(
        "GOWS: no answer from WhatsApp",
        500,
        thrown("2 UNKNOWN: timed out waiting for message send response"),
        WahaServerError,
        False,
    ),
    Row("NOWEB: no answer", 500, thrown("Timed Out"), WahaServerError, False),
    Row("WEBJS: No LID for user", 500, thrown("No LID for user"), WahaServerError, False),
    Row("WEBJS: browser gone", 500, thrown("Connection closed."), WahaServerError, False),
    Row("WEBJS: protocol", 500, thrown("Protocol error: Target closed"), WahaServerError, False),
    Row("TypeError", 500, thrown("Cannot read properties of undefined"), WahaServerError, False),
    Row("lock waited for", 500, thrown("async-lock timed out in queue alice"), SessionBusy, False),
    Row(
        "lock held",
        500,
        thrown("Maximum execution time is exceeded for alice"),
        SessionBusy,
        False,
    ),
    Row(
        "somebody's text that quotes an error",
        500,
        thrown("bad text: server returned error 463"),
        WahaServerError,
        False,
    ),
    Row("500 of something else", 500, "<html>oops</html>", WahaServerError, False),
    Row("500 of another shape", 500, {"exception": "text"}, WahaServerError, False),
    Row("bad gateway", 502, "<html>502</html>", WahaServerError, False),
    Row("unavailable", 503, thrown("rate-overlimit"), WahaServerError, False),
    Row("gateway timeout", 504, "", WahaServerError, False),
    Row("request timeout of a proxy", 408, "", WahaUnexpectedAnswer, False),
    Row("unknown 4xx", 418, {"message": "teapot"}, WahaUnexpectedAnswer, False),
    Row("redirect", 302, "", WahaUnexpectedAnswer, False),
    Row("201 that is not JSON", 201, "<html>welcome to this hotel's wifi</html>", WahaUnexpectedAnswer, False),
    Row("201 without an id", 201, {"ok": True}, WahaUnexpectedAnswer, False),
    Row("201 without a body", 201, "", WahaUnexpectedAnswer, False),
]


def answer(row: Row) -> httpx.Response:
    if isinstance(row.body, str):
        return httpx.Response(row.status, text=row.body)
    return httpx.Response(row.status, json=row.body)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_each_answer_to_a_send_has_one_reading(row: Row, waha: respx.Router, client: WahaClient) -> None:
    waha.post("/api/sendText").mock(return_value=answer(row))

    with pytest.raises(WahaError) as caught:
        await client.send_text("alice", CHAT, TEXT, MESSAGE_ID)

    assert type(caught.value) is row.error
    assert caught.value.surely_not_sent is row.surely_not_sent
    if row.status >= 300:
        assert caught.value.status_code == row.status


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_no_error_carries_text_key_or_number(row: Row, waha: respx.Router, client: WahaClient) -> None:
    echo = f"{TEXT} / {API_KEY} / {CHAT} / " + "QUJD" * 50
    if isinstance(row.body, dict) and isinstance(row.body.get("exception"), dict):
        body = {**row.body, "exception": {**row.body["exception"], "details": echo}}
    elif isinstance(row.body, dict):
        body = {**row.body, "message": f"{row.body.get('message')} {echo}"}
    else:
        body = row.body + echo
    waha.post("/api/sendText").mock(return_value=answer(row._replace(body=body)))

    with pytest.raises(WahaError) as caught:
        await client.send_text("alice", CHAT, TEXT, MESSAGE_ID)

    told = f"{caught.value!s} {caught.value!r} {caught.value.message}"
    for secret in (TEXT, API_KEY, "447700900123", "QUJDQUJD"):
        assert secret not in told


async def test_a_thrown_text_that_echoes_the_message_is_hidden(waha: respx.Router, client: WahaClient) -> None:
    waha.post("/api/sendText").mock(return_value=httpx.Response(500, json=thrown(f"cannot send {TEXT} with {API_KEY}")))

    with pytest.raises(WahaServerError) as caught:
        await client.send_text("alice", CHAT, TEXT, MESSAGE_ID)

    assert caught.value.message == "cannot send [hidden] with [hidden]"


async def test_the_wrong_status_answer_tells_session_status_and_what_was_expected(
    waha: respx.Router, client: WahaClient
) -> None:
    waha.post("/api/sendText").mock(return_value=httpx.Response(422, json=WRONG_STATUS))

    with pytest.raises(SessionNotWorking) as caught:
        await client.send_text("alice", CHAT, TEXT, MESSAGE_ID)

    assert (caught.value.session, caught.value.status, caught.value.expected) == (
        "alice",
        "FAILED",
        ("WORKING",),
    )


async def test_a_session_that_does_not_run_has_no_status(waha: respx.Router, client: WahaClient) -> None:
    body = {"error": 'Session "alice" does not exist', "session": "alice"}
    waha.post("/api/sendText").mock(return_value=httpx.Response(422, json=body))

    with pytest.raises(SessionNotWorking) as caught:
        await client.send_text("alice", CHAT, TEXT, MESSAGE_ID)

    assert caught.value.status is None
    assert caught.value.session == "alice"


async def test_a_pairing_code_asked_for_too_late_tells_the_status(waha: respx.Router, client: WahaClient) -> None:
    waha.post("/api/alice/auth/request-code").mock(return_value=httpx.Response(422, json={"message": PAIRING_ONLY}))

    with pytest.raises(SessionNotWorking) as caught:
        await client.request_code("alice", "447700900123")

    assert (caught.value.status, caught.value.expected) == ("WORKING", ("SCAN_QR_CODE",))


async def test_a_refusal_of_whatsapp_tells_its_code(waha: respx.Router, client: WahaClient) -> None:
    waha.post("/api/sendText").mock(
        return_value=httpx.Response(500, json=thrown("2 UNKNOWN: server returned error 479"))
    )

    with pytest.raises(WhatsAppRefused) as caught:
        await client.send_text("alice", CHAT, TEXT, MESSAGE_ID)

    assert caught.value.code == 479


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("soon", None), (None, None), ("9" * 400, 86_400.0)])
async def test_too_fast_tells_when_to_come_back(
    header: str | None, seconds: float | None, waha: respx.Router, client: WahaClient
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    waha.post("/api/sendText").mock(return_value=httpx.Response(429, headers=headers))

    with pytest.raises(RateLimited) as caught:
        await client.send_text("alice", CHAT, TEXT, MESSAGE_ID)

    assert caught.value.retry_after == seconds


# What transports raise. The same httpx class means two things with httpx-aiohttp: only the cause tells.

KEY = ConnectionKey("waha.test", 3000, False, True, None, None, None)
REFUSED = ConnectionRefusedError(111, "Connection refused")
RESET = ConnectionResetError(104, "Connection reset by peer")


def chained(outer: Exception, cause: Exception) -> Exception:
    outer.__cause__ = cause
    return outer


TRANSPORT_ROWS: list[tuple[str, Exception, type[WahaError]]] = [
    (
        "aiohttp: refused",
        chained(httpx.ConnectTimeout(""), aiohttp.ClientConnectorError(KEY, REFUSED)),
        WahaUnreachable,
    ),
    (
        "aiohttp: unknown host",
        chained(httpx.ConnectTimeout(""), aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name not known"))),
        WahaUnreachable,
    ),
    (
        "aiohttp: no connection in time",
        chained(httpx.ConnectTimeout(""), aiohttp.ConnectionTimeoutError("pool")),
        WahaUnreachable,
    ),
    (
        "aiohttp: reset after WAHA acted",
        chained(httpx.ConnectTimeout(""), aiohttp.ClientOSError(104, "reset")),
        WahaConnectionLost,
    ),
    (
        "aiohttp: closed after WAHA acted",
        chained(httpx.ConnectTimeout(""), aiohttp.ServerDisconnectedError()),
        WahaConnectionLost,
    ),
    (
        "aiohttp: our own side closed",
        chained(httpx.ConnectTimeout(""), aiohttp.ClientConnectionError("Connector is closed")),
        WahaConnectionLost,
    ),
    (
        "aiohttp: silence",
        chained(httpx.ReadTimeout(""), aiohttp.SocketTimeoutError("silence")),
        WahaTimeout,
    ),
    (
        "aiohttp: half a body",
        chained(httpx.ReadError(""), aiohttp.ClientPayloadError("half")),
        WahaConnectionLost,
    ),
    ("aiohttp: raw, unmapped", aiohttp.ClientPayloadError("half"), WahaConnectionLost),
    (
        "httpcore: refused",
        chained(httpx.ConnectError(""), httpcore.ConnectError("refused")),
        WahaUnreachable,
    ),
    (
        "httpcore: no connection in time",
        chained(httpx.ConnectTimeout(""), httpcore.ConnectTimeout("slow")),
        WahaUnreachable,
    ),
    (
        "httpcore: pool full",
        chained(httpx.PoolTimeout(""), httpcore.PoolTimeout("full")),
        WahaUnreachable,
    ),
    ("httpcore: reset", chained(httpx.ReadError(""), httpcore.ReadError("reset")), WahaConnectionLost),
    ("httpcore: silence", chained(httpx.ReadTimeout(""), httpcore.ReadTimeout("silence")), WahaTimeout),
    ("httpcore: cannot write", chained(httpx.WriteError(""), httpcore.WriteError("pipe")), WahaConnectionLost),
    ("httpcore: slow write", chained(httpx.WriteTimeout(""), httpcore.WriteTimeout("slow")), WahaTimeout),
    (
        "httpcore: closed without an answer",
        chained(httpx.RemoteProtocolError(""), httpcore.RemoteProtocolError("disconnected")),
        WahaConnectionLost,
    ),
    ("refused, told without a cause", httpx.ConnectError("refused"), WahaUnreachable),
    ("a ConnectTimeout that nobody explains", httpx.ConnectTimeout("?"), WahaConnectionLost),
    ("undecodable body", httpx.DecodingError("gzip"), WahaConnectionLost),
    ("raw reset", RESET, WahaConnectionLost),
    ("raw deadline", TimeoutError(), WahaTimeout),
]


@pytest.mark.parametrize(
    ("raised", "error"),
    [(raised, error) for _, raised, error in TRANSPORT_ROWS],
    ids=[name for name, _, _ in TRANSPORT_ROWS],
)
async def test_each_transport_error_has_one_reading(raised: Exception, error: type[WahaError]) -> None:
    def transport(request: httpx.Request) -> httpx.Response:
        raise raised  # respx would set a cause of its own

    async with WahaClient(BASE_URL, API_KEY, transport=httpx.MockTransport(transport)) as client:
        with pytest.raises(WahaError) as caught:
            await client.send_text("alice", CHAT, TEXT, MESSAGE_ID)

    assert type(caught.value) is error
    assert caught.value.surely_not_sent is (error is WahaUnreachable)


async def test_a_bug_of_ours_is_not_dressed_up_as_wahas(waha: respx.Router, client: WahaClient) -> None:
    waha.post("/api/sendText").mock(side_effect=ZeroDivisionError)

    with pytest.raises(ZeroDivisionError):
        await client.send_text("alice", CHAT, TEXT, MESSAGE_ID)
