"""What WAHA is known to answer to a send, through the real client, and what becomes of the message: a row for each."""

from typing import NamedTuple

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey

from campaigns.sending.outcomes import Result
from campaigns.sending.retry import decide
from gateway.waha.client import WahaClient
from gateway.waha.errors import WahaError

MESSAGE_ID = "3EB0123456789ABCDEF012"
CHAT = "447700900123@c.us"
R = Result


class Row(NamedTuple):
    """An answer (or why there was none) and the decision: result, code, seconds to wait after the first attempt."""

    name: str
    answer: httpx.Response | Exception
    result: Result
    code: str = ""
    wait: float = 0.0


def said(status: int, message: object, **more: object) -> httpx.Response:
    """A refusal in WAHA's usual shape."""
    return httpx.Response(status, json={"statusCode": status, "message": message, **more})


def thrown(message: str, **more: object) -> httpx.Response:
    """WAHA's body for whatever an engine throws."""
    exception = {"message": message, "name": "Error", "stack": f"Error: {message}", **more}
    body = {"statusCode": 500, "exception": exception, "request": {"path": "/api/sendText"}, "version": {}}
    return httpx.Response(500, json=body)


def caused(outer: Exception, cause: Exception) -> Exception:
    """As httpx-aiohttp raises it."""
    outer.__cause__ = cause
    return outer


WRONG_STATUS = {
    "error": "Session status is not as expected. Try again later or restart the session",
    "session": "alice",
    "status": "FAILED",
    "expected": ["WORKING"],
}
NOT_RUNNING = (
    "We didn't find a session with name 'alice'.\nPlease start it first by using POST /api/sessions/alice/start"
)
UNKNOWN_THERE = {"error": 'Session "alice" does not exist', "session": "alice"}
NO_LID = "2 UNKNOWN: no LID found for 447700900123@s.whatsapp.net from server"
NO_LOGIN = "2 UNKNOWN: the store doesn't contain a device JID"
QUERY_LIMIT = "2 UNKNOWN: failed to get device list: info query returned status 429: rate-overlimit"
AXIOS = {"code": "ECONNREFUSED", "config": {"url": "http://files.test/a.png"}}
KEY = ConnectionKey("waha.test", 3000, False, True, None, None, None)
OURS = {"fromMe": True, "remote": CHAT, "id": MESSAGE_ID}

SENT = [
    Row("GOWS took it", httpx.Response(201, json={"id": f"true_{CHAT}_{MESSAGE_ID}", "_data": None}), R.SENT),
    Row(
        "NOWEB took it",
        httpx.Response(201, json={"key": {**OURS, "remoteJid": "447700900123@s.whatsapp.net"}, "status": "PENDING"}),
        R.SENT,
    ),
    Row("WEBJS took it", httpx.Response(201, json={"id": OURS, "ack": 0, "body": "hi"}), R.SENT),
]
SESSIONS = [
    Row("wrong key", said(401, "Unauthorized"), R.LATER, "server_down", 10.0),
    Row("a key without this right", said(403, "Forbidden"), R.LATER, "server_down", 10.0),
    Row("unknown session", said(404, "Session not found", error="Not Found"), R.LATER, "session_not_connected", 5.0),
    Row("session not running", said(404, NOT_RUNNING), R.LATER, "session_not_connected", 1.0),
    Row("wrong status", httpx.Response(422, json=WRONG_STATUS), R.LATER, "session_not_connected", 1.0),
    Row("unknown where it looks", httpx.Response(422, json=UNKNOWN_THERE), R.LATER, "session_not_connected", 1.0),
    Row("no session named", said(422, "Session name is required"), R.FAILED, "rejected"),
    Row("session lock waited for", thrown("async-lock timed out in queue alice"), R.UNCERTAIN, "uncertain", 1.0),
    Row("session lock held", thrown("Maximum execution time is exceeded 30000 ms"), R.UNCERTAIN, "uncertain", 1.0),
    Row("validation", said(400, ["chatId must be a string"], error="Bad Request"), R.FAILED, "rejected"),
    Row(
        "no validation",
        thrown("Cannot read properties of undefined (reading 'endsWith')"),
        R.UNCERTAIN,
        "uncertain",
        1.0,
    ),
    Row("not on this engine", said(501, "The method is not implemented by 'WEBJS' engine."), R.FAILED, "not_supported"),
    Row("over 50 MB", said(413, "request entity too large"), R.FAILED, "rejected"),
    Row("not a WAHA", httpx.Response(404, text="<html>404</html>"), R.LATER, "server_down", 10.0),
    Row("another WAHA", said(404, "Cannot POST /api/sendText"), R.LATER, "server_down", 10.0),
]
SENDING = [
    Row("WAHA cannot fetch a file", thrown("connect ECONNREFUSED", **AXIOS), R.UNCERTAIN, "uncertain", 1.0),
    Row("GOWS: unknown number", thrown(NO_LID, code=2), R.FAILED, "not_on_whatsapp"),
    Row("GOWS: no new contacts", thrown("2 UNKNOWN: server returned error 463"), R.LATER, "number_lock"),
    Row("GOWS: refused", thrown("2 UNKNOWN: server returned error 400"), R.RETRY, "backoff", 5.0),
    Row("GOWS: refused, and slow down", thrown("2 UNKNOWN: server returned error 429"), R.LATER, "backoff", 30.0),
    Row("GOWS: WhatsApp failed", thrown("2 UNKNOWN: server returned error 503"), R.UNCERTAIN, "uncertain", 1.0),
    Row(
        "GOWS: no answer in 75 s",
        thrown("2 UNKNOWN: timed out waiting for message send response"),
        R.UNCERTAIN,
        "uncertain",
        1.0,
    ),
    Row("GOWS: socket dead", thrown("2 UNKNOWN: websocket not connected"), R.UNCERTAIN, "uncertain", 1.0),
    Row("GOWS: no login", thrown(NO_LOGIN), R.LATER, "session_not_connected", 2.0),
    Row("NOWEB: no answer in 120 s", thrown("Timed Out", data=408), R.UNCERTAIN, "uncertain", 1.0),
    Row("NOWEB: socket dead", thrown("Connection Closed", data=428), R.LATER, "session_not_connected", 2.0),
    Row("WEBJS: no id of the recipient", thrown("No LID for user"), R.UNCERTAIN, "uncertain", 1.0),
    Row(
        "WEBJS: page gone",
        thrown("Protocol error (Runtime.callFunctionOn): Target closed"),
        R.UNCERTAIN,
        "uncertain",
        1.0,
    ),
    Row(
        "WEBJS: the page has not answered in 300 s",
        thrown("Runtime.callFunctionOn timed out. Increase the 'protocolTimeout' setting in launch/connect calls"),
        R.UNCERTAIN,
        "uncertain",
        1.0,
    ),
    Row("too many queries", thrown("rate-overlimit", data=429), R.LATER, "backoff", 30.0),
    Row("GOWS: too many queries", thrown(QUERY_LIMIT), R.LATER, "backoff", 30.0),
]
LIMITS = [
    Row("something before WAHA", httpx.Response(429, headers={"Retry-After": "90"}), R.LATER, "backoff", 90.0),
    Row(
        "something before WAHA, at a loss", httpx.Response(429, headers={"Retry-After": "1"}), R.LATER, "backoff", 30.0
    ),
    Row("a proxy without a WAHA", httpx.Response(502, text="<html>"), R.UNCERTAIN, "uncertain", 1.0),
    Row("WAHA starts", httpx.Response(503), R.UNCERTAIN, "uncertain", 1.0),
    Row("a proxy gave up", httpx.Response(504), R.UNCERTAIN, "uncertain", 1.0),
    Row("a redirect", httpx.Response(302, headers={"Location": "/login"}), R.UNCERTAIN, "uncertain", 1.0),
    Row("no JSON", httpx.Response(201, text="<html>welcome</html>"), R.UNCERTAIN, "uncertain", 1.0),
    Row("no id", httpx.Response(201, json={"ok": True}), R.UNCERTAIN, "uncertain", 1.0),
]
TRANSPORT = [
    Row(
        "connection refused",
        caused(httpx.ConnectTimeout(""), aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "refused"))),
        R.LATER,
        "server_down",
        1.0,
    ),
    Row(
        "unknown host",
        caused(httpx.ConnectTimeout(""), aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "not known"))),
        R.LATER,
        "server_down",
        1.0,
    ),
    Row(
        "no connection in time",
        caused(httpx.ConnectTimeout(""), aiohttp.ConnectionTimeoutError("slow")),
        R.LATER,
        "server_down",
        1.0,
    ),
    Row(
        "reset after WAHA acted, which looks like a connection that took too long",
        caused(httpx.ConnectTimeout(""), aiohttp.ClientOSError(104, "reset")),
        R.UNCERTAIN,
        "uncertain",
        1.0,
    ),
    Row(
        "closed without an answer",
        caused(httpx.ConnectTimeout(""), aiohttp.ServerDisconnectedError()),
        R.UNCERTAIN,
        "uncertain",
        1.0,
    ),
    Row(
        "half an answer", caused(httpx.ReadError(""), aiohttp.ClientPayloadError("half")), R.UNCERTAIN, "uncertain", 1.0
    ),
    Row("no answer in our time", httpx.ReadTimeout(""), R.UNCERTAIN, "uncertain", 1.0),
]
ROWS = [*SENT, *SESSIONS, *SENDING, *LIMITS, *TRANSPORT]


async def send(row: Row, attempts: int = 1) -> tuple[Result, str, float]:
    """Send a text to a WAHA that answers like this: result, code and seconds to wait."""

    def answer(_: httpx.Request) -> httpx.Response:
        if isinstance(row.answer, Exception):
            raise row.answer
        return row.answer

    async with WahaClient("http://waha.test:3000", "key", transport=httpx.MockTransport(answer)) as client:
        try:
            await client.send_text("alice", CHAT, "Hello", MESSAGE_ID)
        except WahaError as error:
            outcome = decide(error, attempts, max_attempts=5, answered_at=0.0)
            return outcome.result, outcome.code, outcome.wait_seconds
    return Result.SENT, "", 0.0


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_what_becomes_of_a_message(row: Row) -> None:
    assert await send(row) == (row.result, row.code, row.wait)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_only_what_is_tried_again_is_ever_given_up(row: Row) -> None:
    result, code, _ = await send(row, attempts=5)
    assert (result, code) == ((R.FAILED, "gave_up") if row.result is R.RETRY else (row.result, row.code))
