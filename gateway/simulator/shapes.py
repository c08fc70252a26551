"""The body of a session in WAHA's answers."""

from gateway.simulator.errors import JsonObject
from gateway.simulator.server import WahaServer
from gateway.simulator.stored import Status, StoredSession


def session_json(server: WahaServer, stored: StoredSession, *, engine: bool = False) -> JsonObject:
    """WAHA's SessionInfo; with `engine` the engine's own state too, as only a single session's info has."""
    session = server.lifecycle.running.get(stored.name)
    status = Status.STOPPED if session is None else session.status
    info: JsonObject = {
        "name": stored.name,
        "status": status.value,
        "config": stored.config,
        "me": stored.me if session is None else session.me,
        "presence": None if session is None else session.presence,
        "timestamps": {"activity": None if session is None else session.activity_ms},
    }
    if stored.worker is not None:
        info["assignedWorker"] = stored.worker
    if stored.apps is not None:
        info["apps"] = stored.apps
    if engine and session is not None:
        info["engine"] = server.engine.state_json(working=status is Status.WORKING)
    elif engine:
        info["engine"] = {}
    return info
