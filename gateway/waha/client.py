"""WAHA's HTTP API, one method per call that is used.

Nothing here retries, waits or decides: a call answers with a value of `schemas.py` or raises a `WahaError`,
whose `surely_not_sent` says what it means for a send. Nobody else needs to know httpx.

Timeouts are in seconds and bound the whole call, answer included. That of sends must be longer than the
engine's own (75 s on GOWS, 120 s on NOWEB, each after up to 15 s of waiting for the session), or we would make
the uncertainty ourselves.
"""

import asyncio
import base64
import functools
import ssl
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson
from httpx_aiohttp import AiohttpTransport

from gateway.politeness import politely
from gateway.waha import answers
from gateway.waha.addresses import check_base_url, path_segment
from gateway.waha.errors import MessageNotFound, WahaInvalidRequest, WahaUnexpectedAnswer
from gateway.waha.ids import make_chat_id
from gateway.waha.schemas import (
    FoundMessage,
    Me,
    MediaKind,
    NumberCheck,
    PairingCode,
    QrCode,
    SentMessage,
    ServerStatus,
    ServerVersion,
    SessionInfo,
)
from gateway.waha.translation import TRANSPORT_ERRORS, translate_answer, translate_transport_error

CONNECT_SECONDS = 10.0
PROBE_SECONDS = 15.0
LIFECYCLE_SECONDS = 40.0  # WAHA's session lock gives up after 30 s, its waits for a status after 15 s
KEEPALIVE_SECONDS = 3.0  # Node closes idle connections after 5 s; ours must go first

_TEXT_ROUTE = "/api/sendText"
_LIST_ROUTE = "/api/sessions?all=true"
_STATUS_ROUTE = "/api/server/status"
_MEDIA_ROUTES = {
    MediaKind.IMAGE: "/api/sendImage",
    MediaKind.VIDEO: "/api/sendVideo",
    MediaKind.VOICE: "/api/sendVoice",
    MediaKind.FILE: "/api/sendFile",
}
_MEDIA_NAMES = {MediaKind.VIDEO: "video.mp4", MediaKind.VOICE: "voice.ogg"}  # WAHA wants one for these


class WahaClient:
    """One WAHA server.

    `timeout_seconds` is for sends; `transport` replaces the network (tests); `max_connections` should be at
    least the number of sessions on this server, since each may have one send in flight.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout_seconds: float = 150,
        transport: httpx.AsyncBaseTransport | None = None,
        max_connections: int = 1000,
    ) -> None:
        self.base_url = check_base_url(base_url)
        self._api_key = api_key
        self._send_timeout = _timeout(timeout_seconds)
        self._lifecycle_timeout = _timeout(LIFECYCLE_SECONDS)
        self._probe_timeout = _timeout(PROBE_SECONDS)
        # No httpx client around it: what that adds (cookies, redirects, proxies, a login) must not happen here, and
        # its search for them takes a quarter of a call.
        self._transport = transport if transport is not None else make_transport(max_connections)
        # Requests are built from ready parts: five times cheaper than having defaults merged into each.
        headers = {
            "X-Api-Key": api_key,
            "Accept": "application/json",  # exactly this, or WAHA sends pictures as binary
            "Accept-Encoding": "identity",
            "User-Agent": "waha-gateway",
        }
        self._headers = httpx.Headers(headers)
        self._json_headers = httpx.Headers({**headers, "Content-Type": "application/json"})
        self._listed: tuple[str, bytes] | None = None
        self._sessions: list[SessionInfo] = []
        routes = (_TEXT_ROUTE, *_MEDIA_ROUTES.values(), _LIST_ROUTE, _STATUS_ROUTE)
        self._send_urls = {route: httpx.URL(self.base_url + route) for route in routes}

    def __repr__(self) -> str:
        return f"WahaClient({self.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; calls under way end in `WahaConnectionLost`."""
        await self._transport.aclose()

    # The server

    async def ping(self) -> None:
        """Return if something like WAHA answers; needs no valid key."""
        await self._call("GET", "/ping", timeout=self._probe_timeout)

    async def server_version(self) -> ServerVersion:
        """Return version and engine."""
        return answers.read_version(await self._call("GET", "/api/server/version", timeout=self._probe_timeout))

    async def server_status(self) -> ServerStatus:
        """Return when the server started: a jump tells a restart."""
        return answers.read_status(await self._call("GET", _STATUS_ROUTE, timeout=self._probe_timeout))

    # Sessions

    async def list_sessions(self, *, all: bool = True) -> list[SessionInfo]:
        """Return the sessions; without `all` stopped ones are left out."""
        path = _LIST_ROUTE if all else "/api/sessions"
        response = await self._fetch("GET", path, timeout=self._lifecycle_timeout)
        if (path, response.content) == self._listed:  # mostly nothing has changed, and reading costs more than asking
            return list(self._sessions)
        bodies = answers.list_of_sessions(_decode(response))
        sessions = [answers.read_session(body) async for body in politely(bodies)]
        self._sessions, self._listed = sessions, (path, response.content)
        return list(sessions)

    async def get_session(self, name: str) -> SessionInfo:
        """Return one session; raises `SessionNotFound`."""
        path = f"/api/sessions/{path_segment(name)}"
        return answers.read_session(await self._call("GET", path, timeout=self._lifecycle_timeout))

    async def create_session(self, name: str, config: Mapping[str, Any], *, start: bool = True) -> SessionInfo:
        """Create a session and start it; raises `SessionAlreadyExists`."""
        body = {"name": name, "config": config, "start": start}
        return answers.read_session(await self._call("POST", "/api/sessions", body, timeout=self._lifecycle_timeout))

    async def update_session(self, name: str, config: Mapping[str, Any]) -> SessionInfo:
        """Replace the WHOLE config; a running session is restarted by this."""
        path = f"/api/sessions/{path_segment(name)}"
        return answers.read_session(await self._call("PUT", path, {"config": config}, timeout=self._lifecycle_timeout))

    async def start_session(self, name: str) -> SessionInfo:
        """Start a stopped session. Does nothing to one that runs, and FAILED counts as running."""
        return answers.read_session(await self._lifecycle(name, "start"))

    async def stop_session(self, name: str) -> None:
        """Stop a session; the login is kept. WAHA says nothing about a session that it does not know."""
        await self._lifecycle(name, "stop")

    async def restart_session(self, name: str) -> SessionInfo:
        """Stop and start, whatever the status."""
        return answers.read_session(await self._lifecycle(name, "restart"))

    async def logout_session(self, name: str) -> SessionInfo:
        """Unpair and forget the login; a session that ran starts again, at a QR. The config is kept."""
        return answers.read_session(await self._lifecycle(name, "logout"))

    async def delete_session(self, name: str) -> None:
        """Unpair and forget everything; a session that WAHA does not know is no error."""
        await self._call("DELETE", f"/api/sessions/{path_segment(name)}", timeout=self._lifecycle_timeout)

    async def get_me(self, name: str) -> Me | None:
        """Return the paired account, None while unpaired; raises `SessionNotWorking` if it does not run."""
        path = f"/api/sessions/{path_segment(name)}/me"
        return Me.from_json(await self._call("GET", path, timeout=self._lifecycle_timeout))

    async def get_qr(self, name: str) -> QrCode:
        """Return the current pairing QR. Blocks up to 15 s and raises `SessionNotWorking` if there is none."""
        path = f"/api/{path_segment(name)}/auth/qr?format=raw"
        return answers.read_qr(await self._call("GET", path, timeout=self._lifecycle_timeout))

    async def request_code(self, name: str, phone: str) -> PairingCode:
        """Return a code to type into the phone `phone` (digits) instead of scanning the QR."""
        path = f"/api/{path_segment(name)}/auth/request-code"
        body = {"phoneNumber": phone.removeprefix("+")}
        return answers.read_pairing_code(await self._call("POST", path, body, timeout=self._lifecycle_timeout))

    async def passkey_challenge(self, name: str) -> Mapping[str, Any]:
        """Return WebAuthn's options that a browser on WhatsApp's origin is to sign (GOWS).

        Raises `WahaInvalidRequest` if none is pending, `WahaNotImplemented` on other engines.
        """
        return answers.read_challenge(await self._passkey("GET", name, "/challenge"))

    async def submit_passkey(self, name: str, assertion: Mapping[str, Any]) -> None:
        """Hand the signed challenge over; raises as `passkey_challenge`."""
        await self._passkey("POST", name, "", assertion)

    async def passkey_confirmation(self, name: str) -> PairingCode:
        """Return the code to compare with the one on the phone; raises as `passkey_challenge`."""
        return answers.read_pairing_code(await self._passkey("GET", name, "/confirmation"))

    async def confirm_passkey(self, name: str) -> None:
        """Say that both codes are the same; raises as `passkey_challenge`."""
        await self._passkey("POST", name, "/confirm")

    async def _passkey(self, method: str, name: str, step: str, body: Mapping[str, Any] | None = None) -> object:
        path = f"/api/{path_segment(name)}/auth/passkey{step}"
        return await self._call(method, path, body, timeout=self._probe_timeout)

    # Messages

    async def send_text(self, session: str, chat_id: str, text: str, message_id: str) -> SentMessage:
        """Send a text under our own message id (WEBJS ignores it), without a link preview."""
        body = {
            "session": session,
            "chatId": chat_id,
            "text": text,
            "id": message_id,
            "linkPreview": False,
        }
        answer = await self._call("POST", _TEXT_ROUTE, body, timeout=self._send_timeout, private=(text,))
        return answers.read_sent(answer)

    async def send_media(
        self,
        session: str,
        chat_id: str,
        *,
        kind: MediaKind | str,
        data: bytes | str,
        mimetype: str,
        message_id: str,
        filename: str | None = None,
        caption: str | None = None,
        convert: bool = True,
    ) -> SentMessage:
        """Send a file under our own message id.

        `data` are the bytes, or a text that is their base64 already (so that a campaign encodes once).
        `convert` lets WAHA bring video and voice into the form that WhatsApp plays. A voice message has no
        caption: ValueError.
        """
        kind = MediaKind(kind)
        if caption and kind is MediaKind.VOICE:
            raise ValueError("a voice message has no caption")
        encoded = data if isinstance(data, str) else base64.b64encode(data).decode("ascii")
        file = {"mimetype": mimetype, "data": encoded}
        if filename or kind in _MEDIA_NAMES:
            file["filename"] = filename or _MEDIA_NAMES[kind]
        body: dict[str, Any] = {"session": session, "chatId": chat_id, "id": message_id, "file": file}
        if caption:
            body["caption"] = caption
        if kind in {MediaKind.VIDEO, MediaKind.VOICE}:
            body["convert"] = convert
        private = (caption,) if caption else ()
        answer = await self._call("POST", _MEDIA_ROUTES[kind], body, timeout=self._send_timeout, private=private)
        return answers.read_sent(answer)

    async def find_message(self, session: str, chat_id: str, message_id: str) -> FoundMessage | None:
        """Look a message up by its bare id; None if the engine's store has none *now*.

        On WEBJS, which ignores our ids, None proves nothing. Raises `LookupUnavailable` on NOWEB without store.
        """
        path = f"/api/{path_segment(session)}/chats/{path_segment(chat_id)}/messages/{path_segment(message_id)}"
        try:
            answer = await self._call("GET", f"{path}?downloadMedia=false", timeout=self._lifecycle_timeout)
        except MessageNotFound:
            return None
        return answers.read_found(answer, message_id)

    async def check_number(self, session: str, phone: str) -> NumberCheck:
        """Ask WhatsApp whether a number (digits) has an account: a true round trip, and rate-limited."""
        digits = make_chat_id(phone).partition("@")[0]
        path = f"/api/contacts/check-exists?session={quote(session, safe='')}&phone={digits}"
        return answers.read_number_check(await self._call("GET", path, timeout=self._lifecycle_timeout))

    async def phone_of_lid(self, session: str, lid: str) -> str | None:
        """Return the digits behind a hidden id (`...@lid`), None where WAHA does not know them."""
        path = f"/api/{path_segment(session)}/lids/{path_segment(lid)}"
        return answers.read_phone(await self._call("GET", path, timeout=self._probe_timeout))

    # Underneath

    async def _lifecycle(self, name: str, verb: str) -> object:
        path = f"/api/sessions/{path_segment(name)}/{verb}"
        return await self._call("POST", path, timeout=self._lifecycle_timeout)

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: Mapping[str, float],
        private: tuple[str, ...] = (),
    ) -> object:
        """Return the decoded answer of one call (None for an empty one), or raise a `WahaError`.

        `private` are texts of the request that must not come back in an error.
        """
        return _decode(await self._fetch(method, path, body, timeout=timeout, private=private))

    async def _fetch(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: Mapping[str, float],
        private: tuple[str, ...] = (),
    ) -> httpx.Response:
        """Return the whole answer of one call that went well, or raise a `WahaError`."""
        request = httpx.Request(
            method,
            self._send_urls.get(path) or f"{self.base_url}{path}",
            headers=self._headers if body is None else self._json_headers,
            content=None if body is None else _encode(body),
            extensions={"timeout": timeout},
        )
        try:
            async with asyncio.timeout(timeout["read"]):
                response = await self._transport.handle_async_request(request)
                try:
                    await response.aread()
                except BaseException:
                    await response.aclose()  # or its connection would never be free again
                    raise
        except TRANSPORT_ERRORS as exc:
            raise translate_transport_error(exc, (self._api_key,)) from exc
        if not response.is_success:
            raise translate_answer(response, (self._api_key, *private))
        return response


def _decode(response: httpx.Response) -> object:
    if not response.content:
        return None
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError as exc:
        raise WahaUnexpectedAnswer("WAHA's answer is not JSON", status_code=response.status_code) from exc


def _encode(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as exc:  # such as half of a surrogate pair in a text
        raise WahaInvalidRequest("the request cannot be written as JSON") from exc


def make_transport(max_connections: int) -> AiohttpTransport:
    """The fast transport; it repeats no request by itself (aiohttp repeats only those without effect)."""
    limits = httpx.Limits(max_connections=max_connections, keepalive_expiry=KEEPALIVE_SECONDS)
    return AiohttpTransport(verify=_trust(), limits=limits, trust_env=False)


@functools.cache
def _trust() -> ssl.SSLContext:
    """Whom we believe to be the server that we call: read from the disk once, for all servers."""
    return httpx.create_ssl_context(trust_env=False)


def _timeout(seconds: float) -> dict[str, float]:
    connect = min(CONNECT_SECONDS, seconds)
    return {"connect": connect, "read": seconds, "write": seconds, "pool": connect}
