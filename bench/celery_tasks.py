"""What `compare celery` runs in Celery's workers: one task for each recipient. Needs the extra `compare`.

A task is acknowledged after it has ended, goes back to the queue when its worker dies, sends its message to WAHA and
commits a row of its own. Nothing slows it down: no rate limit, no events, no result in the broker, one open connection
for each process or greenlet, and a generous prefetch. The environment says where everything is (see `Places`).
"""

import http.client
import importlib
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

PREFETCH = 32
MAX_CONNECTIONS = 2000
BUSY_SECONDS = 120.0


class Places(NamedTuple):
    """Where the parts are: the broker's URL, the sink's URL, and the file with the results."""

    broker: str
    sink: str
    results: str

    def environment(self) -> dict[str, str]:
        """The variables that tell the workers."""
        return {f"BENCH_{name.upper()}": value for name, value in self._asdict().items()}

    @classmethod
    def from_environment(cls) -> "Places":
        """What `environment` told."""
        return cls(*(os.environ[f"BENCH_{name.upper()}"] for name in cls._fields))


def make_app(broker: str) -> Any:
    """Celery with the durability of our own queue, and otherwise as fast as it can be."""
    celery = importlib.import_module("celery")  # of the extra `compare`; nothing else of ours needs it
    app = celery.Celery("bench", broker=broker)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_default_delivery_mode="persistent",
        worker_prefetch_multiplier=PREFETCH,
        worker_send_task_events=False,
        worker_disable_rate_limits=True,
        broker_connection_retry_on_startup=True,
        # with its own limit hundreds of greenlets cannot acknowledge what they have done
        broker_transport_options={"max_connections": MAX_CONNECTIONS},
    )
    return app


def open_results(path: str) -> sqlite3.Connection:
    """The file with the results, which forgets no commit."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def make_results(path: Path) -> None:
    """Begin an empty file."""
    connection = open_results(str(path))
    connection.execute("CREATE TABLE result (message_id TEXT PRIMARY KEY, chat_id TEXT, committed_at REAL) STRICT")
    connection.close()


class Worker:
    """What one process keeps open; each thread or greenlet has an HTTP connection of its own."""

    def __init__(self, places: Places) -> None:
        self._place = urlsplit(places.sink)
        self._results = open_results(places.results)
        self._own = threading.local()

    def send(self, session: str, chat_id: str, text: str, message_id: str) -> None:
        """Send one message, and commit that it is sent."""
        body = orjson.dumps({"session": session, "chatId": chat_id, "text": text, "id": message_id})
        http_connection = self._connection()
        http_connection.request("POST", "/api/sendText", body, {"Content-Type": "application/json"})
        answer = http_connection.getresponse()
        answer.read()
        if answer.status != 201:
            raise RuntimeError(f"the sink answered {answer.status}")
        self._results.execute("INSERT OR IGNORE INTO result VALUES (?, ?, ?)", (message_id, chat_id, time.monotonic()))

    def close(self) -> None:
        """Close the file, and this thread's connection."""
        self._results.close()
        self._connection().close()

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection(str(self._place.hostname), self._place.port, timeout=60)
        connection: http.client.HTTPConnection = self._own.connection
        return connection


_workers: dict[int, Worker] = {}


def _send(session: str, chat_id: str, text: str, message_id: str) -> None:
    if os.getpid() not in _workers:  # SQLite's connections do not survive a fork
        _workers[os.getpid()] = Worker(Places.from_environment())
    _workers[os.getpid()].send(session, chat_id, text, message_id)


def worker_app() -> Any:
    """The app as the workers load it, with its one task."""
    app = make_app(Places.from_environment().broker)
    app.task(name=TASK)(_send)
    return app


TASK = "bench.send"
if "BENCH_BROKER" in os.environ:
    app = worker_app()
