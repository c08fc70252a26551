"""`/ws`: live events over a WebSocket (docs/live-events.md).

A client says first who it is. From then on it only listens: events in their order, from where it asked. Its credential
is looked at again each minute. A task of its own reads what it sends, to notice when it goes.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.auth.access import Access, Caller, PhoneReader
from gateway.clock import Clock
from gateway.db import Database
from gateway.errors import Forbidden, GatewayError, Unauthorized
from gateway.notifications.audience import Audience, audience_of
from gateway.notifications.feed import CLOSING, GONE, PAGE, TOO_SLOW, Feed, Subscriber, text_of
from gateway.notifications.listening import Place, enrol, read_events
from gateway.notifications.opening import FirstMessage, read_first

log = structlog.get_logger()

PATH = "/ws"
FIRST_SECONDS = 10.0
SEND_SECONDS = 10.0
CLOSE_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 60.0
PER_CALLER = 200
UNKNOWN_AT_ONCE = 500
"""So many sockets may be open that have not said who they are."""
MAX_REASON = 120
"""A close frame holds 123 bytes of reason."""

BAD_MESSAGE = 4400
UNAUTHORIZED = 4401
SILENT = 4408
RESTARTING = 1012
TRY_LATER = 1013


class Refused(Exception):
    """A socket is closed by us, with a code and the reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:MAX_REASON].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Client:
    """Who is there, by which token, and what it asked for."""

    caller: Caller
    first: FirstMessage
    audience: Audience

    @property
    def owner(self) -> str:
        """Whose sockets are counted together; the operator's are not counted."""
        return self.caller.identity or self.audience.key


class LiveEvents:
    """Serves the sockets of one replica; `most` at once."""

    def __init__(
        self, db: Database, clock: Clock, feed: Feed, access: Access, phones: PhoneReader, *, most: int
    ) -> None:
        self._db = db
        self._clock = clock
        self._feed = feed
        self._access = access
        self._phones = phones
        self._most = most
        self._open = 0
        self._unknown = 0
        self._owners: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many sockets are open."""
        return self._open

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one socket until one side ends it."""
        await websocket.accept()
        self._open += 1
        try:
            await self._serve(websocket)
        except Refused as refusal:
            log.info("socket_closed", code=refusal.code)
            await _close(websocket, refusal)
        except WebSocketDisconnect:
            pass  # the client has gone
        except (SQLAlchemyError, OSError) as error:
            log.warning("socket_failed", error=str(error))
            await _close(websocket, Refused(TRY_LATER, "a needed part is not reachable just now"))
        finally:
            self._open -= 1

    async def _serve(self, websocket: WebSocket) -> None:
        if self._open > self._most:
            raise Refused(TRY_LATER, "too many sockets are open here")
        client = await self._meet(websocket)
        with self._counted(client):
            enrolled = await enrol(self._db, self._clock, client.audience)
            subscriber = Subscriber(client.audience, client.first.wants)
            with self._feed.entered(subscriber, enrolled.last):
                reading = asyncio.create_task(_read_until_gone(websocket, subscriber), name="socket")
                try:
                    await self._tell(websocket, client, subscriber, enrolled.place(client.first.since))
                finally:
                    reading.cancel()
                    with suppress(asyncio.CancelledError):
                        await reading

    # --- the first message --------------------------------------------------------------------------------------

    async def _meet(self, websocket: WebSocket) -> Client:
        if self._unknown >= UNKNOWN_AT_ONCE:
            raise Refused(TRY_LATER, "too many sockets are being opened")
        self._unknown += 1
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                first = read_first(await _receive_text(websocket))
            return await self._identify(first)
        except TimeoutError:
            raise Refused(SILENT, f"nothing was said within {FIRST_SECONDS:.0f} seconds") from None
        except ValueError as error:
            raise Refused(BAD_MESSAGE, str(error)) from None
        except (Unauthorized, Forbidden) as error:
            raise Refused(UNAUTHORIZED, error.detail) from None
        except GatewayError as error:
            raise Refused(BAD_MESSAGE, error.detail) from None
        finally:
            self._unknown -= 1

    async def _identify(self, first: FirstMessage) -> Client:
        """Who it is.

        Raises:
            Unauthorized: the token is wrong, or there is none where one is needed.
            Forbidden: an API key that is not for looking.
            InvalidNumber: the number cannot be read as one.
        """
        caller = await self._access.of_token(first.token)
        return Client(caller, first, audience_of(caller, self._phones.optional_digits(first.sender_number)))

    @contextmanager
    def _counted(self, client: Client) -> Iterator[None]:
        owner = client.owner
        if not client.caller.is_admin and self._owners[owner] >= PER_CALLER:
            raise Refused(TRY_LATER, f"at most {PER_CALLER} sockets for one caller")
        self._owners[owner] += 1
        try:
            yield
        finally:
            self._owners[owner] -= 1
            if not self._owners[owner]:
                del self._owners[owner]

    # --- telling ------------------------------------------------------------------------------------------------

    async def _tell(self, websocket: WebSocket, client: Client, subscriber: Subscriber, place: Place) -> None:
        if place.missed:
            await _send(websocket, _said("gap", since=client.first.since, sequence=place.start))
        await _send(websocket, _said("ready", sequence=place.start))
        await self._catch_up(websocket, subscriber, place.start)
        look_again_at = self._clock.monotonic() + LOOK_AGAIN_SECONDS
        while True:
            while (text := subscriber.take()) is not None:
                await _send(websocket, text)
                if self._clock.monotonic() >= look_again_at:
                    break
            if subscriber.ended == GONE:
                return
            if subscriber.ended is not None:
                raise Refused(RESTARTING if subscriber.ended == CLOSING else TRY_LATER, subscriber.ended)
            if self._clock.monotonic() >= look_again_at:
                await self._look_again(client)
                look_again_at = self._clock.monotonic() + LOOK_AGAIN_SECONDS
            await self._clock.wait(subscriber.more, look_again_at - self._clock.monotonic())

    async def _catch_up(self, websocket: WebSocket, subscriber: Subscriber, position: int) -> None:
        """Send what there is up to where the feed is, and join it there."""
        while position < (upto := self._feed.position) and subscriber.ended is None:
            async with self._db.read() as connection:
                rows = await read_events(connection, position, PAGE, upto=upto, audience=subscriber.audience)
            for row in rows:
                if subscriber.wants(row):
                    await _send(websocket, text_of(row))
            position = rows[-1].sequence if len(rows) == PAGE else upto
        self._feed.join(subscriber, position)

    async def _look_again(self, client: Client) -> None:
        """Close the socket of somebody whose credential does not hold any more."""
        try:
            caller = await self._access.of_token(client.first.token)
        except (Unauthorized, Forbidden) as error:
            raise Refused(UNAUTHORIZED, error.detail) from None
        except (SQLAlchemyError, OSError) as error:
            log.warning("credential_not_checked", error=str(error), advice="it is looked at again in a minute")
            return
        if caller != client.caller:
            raise Refused(UNAUTHORIZED, "the token is somebody else's now")


def _said(kind: str, **values: object) -> str:
    return orjson.dumps({"type": kind, **values}).decode()


async def _receive_text(websocket: WebSocket) -> str:
    """The next message.

    Raises:
        ValueError: it is not text.
    """
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    text = message.get("text")
    if not isinstance(text, str):
        raise ValueError("send text, not bytes")
    return text


async def _send(websocket: WebSocket, text: str) -> None:
    """Send; whoever does not take it in time is not waited for."""
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await websocket.send_text(text)
    except TimeoutError:
        raise Refused(TRY_LATER, TOO_SLOW) from None


async def _read_until_gone(websocket: WebSocket, subscriber: Subscriber) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass  # what a client says after its first message means nothing
    subscriber.end(GONE)


async def _close(websocket: WebSocket, refusal: Refused) -> None:
    """Say why, if the client still listens; it is not waited for."""
    with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
        async with asyncio.timeout(CLOSE_SECONDS):
            await websocket.close(refusal.code, refusal.reason)
