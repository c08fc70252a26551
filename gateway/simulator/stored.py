"""What is on disk: the sessions, who is paired with them, and what one engine object must know of another."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gateway.simulator.errors import JsonObject
from gateway.simulator.messages import Message, MessageStore


class Status(StrEnum):
    """WAHA's session statuses."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    SCAN_QR_CODE = "SCAN_QR_CODE"
    PASSKEY_REQUIRED = "PASSKEY_REQUIRED"
    PASSKEY_CONFIRMATION_REQUIRED = "PASSKEY_CONFIRMATION_REQUIRED"
    WORKING = "WORKING"
    FAILED = "FAILED"


class Device(Protocol):
    """The linked device that has WhatsApp's ear for a login: an engine object, maybe on another server."""

    @property
    def connected(self) -> bool:
        """Whether WhatsApp's words reach it now."""

    def replaced(self) -> None:
        """Another engine object connected with the same login."""

    def hear_of_removal(self) -> None:
        """The phone removed this device."""

    def emit(self, event: str, payload: Callable[[], JsonObject]) -> None:
        """Tell an event at the server that the engine object is on."""


@dataclass(frozen=True, slots=True)
class PasskeyWish:
    """Whether WhatsApp asks for a passkey after a scan, and for a code to be compared after that."""

    wanted: bool
    confirmation: bool


@dataclass(slots=True)
class StoredSession:
    """A session as it survives a restart of the server. `phone` is the paired account, None before.

    `me` is WAHA's MeInfo, in every answer and event: to change it, put another object in its place.
    """

    name: str
    config: JsonObject
    rng: random.Random
    apps: list[JsonObject] | None = None
    phone: str | None = None
    me: JsonObject | None = None
    login_spoiled: bool = False
    removed_by_phone: bool = False
    """The phone removed the device while it was not connected: it will hear so when it connects."""
    phone_seen_at: float = 0.0
    """When the phone gave its last sign of life, in seconds of the simulator's clock."""
    worker: str | None = None
    passkey: PasskeyWish | None = None
    """What pairing asks for; None: what the server's configuration says."""
    incurably_deaf: bool = False
    store: MessageStore = field(default_factory=MessageStore)
    owed: list[tuple[Message, int]] = field(default_factory=list)
    """Receipts that arrived while the session was away; they come when it works again."""
    device: Device | None = None
    """The engine object that connected last with this login."""

    def wipe_login(self) -> None:
        """Forget who was paired, as a logout does; the configuration stays."""
        self.phone = None
        self.me = None
        self.login_spoiled = False
        self.removed_by_phone = False
        self.owed = []
        self.store.clear()

    def take_login(self, other: "StoredSession") -> None:
        """Go on with the login that another session of this name left on the disk."""
        self.phone, self.me = other.phone, other.me
        self.login_spoiled, self.removed_by_phone = other.login_spoiled, other.removed_by_phone
        self.phone_seen_at = other.phone_seen_at
        self.store, self.owed = other.store, other.owed


class SessionStore:
    """The disk or database of one server, or of several that share it.

    `logins` are what remains of sessions that the server forgot, and is found again by their names.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, StoredSession] = {}
        self.logins: dict[str, StoredSession] = {}

    def forget(self, *, logins: bool) -> None:
        """Lose every session and its configuration; the logins too if told."""
        self.logins = {} if logins else {**self.logins, **self.sessions}
        self.sessions.clear()
