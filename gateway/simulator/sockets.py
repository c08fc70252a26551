"""`/ws`: the event stream. No replay and no buffer beyond what one socket has not taken yet."""

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.simulator.access import find_key
from gateway.simulator.connections import cut
from gateway.simulator.events import Subscriber
from gateway.simulator.server import WahaServer

POLICY_VIOLATION = 1008
GONE = 1012


async def stream(websocket: WebSocket) -> None:
    """Write the wanted events of the wanted session until one side ends it.

    A bad key, or one bound to another session, is accepted and closed with 1008, as WAHA does.
    """
    server: WahaServer = websocket.app.state.waha
    transport = server.connections.find(websocket.scope)
    if server.dead and transport is not None:
        cut(transport, reset=False)
        await _read_until_gone(websocket)
        return
    await websocket.accept()
    session = websocket.query_params.get("session", "*")
    key = find_key(server, websocket.scope)
    if key is None or not (key.session is None or key.admin or key.session == session):
        await websocket.close(POLICY_VIOLATION, "Unauthorized" if key is None else "Forbidden")
        return
    lists = websocket.query_params.getlist("events") or ["*"]
    subscriber = Subscriber(session, (name for names in lists for name in names.split(",")))
    server.events.subscribe(subscriber)
    reader = asyncio.ensure_future(_read_until_gone(websocket))
    try:
        await _write(websocket, subscriber, reader)
    finally:
        server.events.unsubscribe(subscriber)
        reader.cancel()


async def _write(websocket: WebSocket, subscriber: Subscriber, reader: "asyncio.Future[None]") -> None:
    reader.add_done_callback(lambda _: subscriber.queue.put_nowait(None))
    while (body := await subscriber.queue.get()) is not None:
        try:
            await websocket.send_text(body.decode())
        except (WebSocketDisconnect, RuntimeError):  # the client went while the event was on its way
            return
    if not reader.done():
        await websocket.close(GONE)


async def _read_until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
