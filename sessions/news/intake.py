"""Where events come in, whichever way: over a WebSocket of ours, or by a webhook of WAHA's.

WAHA tells everything at least once: a webhook is repeated until it is answered, and somebody may use both ways at
once. So an event is passed on once (by its id, as far back as is remembered here), and whoever takes it copes with
repeats all the same: what it says is compared with what is known, and only ever moves that forward.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from gateway.waha.schemas import Event, MessageAckEvent, MessageAnyEvent, SessionStatusEvent
from sessions.news.state_writer import StateWriter
from sessions.servers.fleet import Member

log = structlog.get_logger()

REMEMBERED = 20_000
"""How many ids of events are remembered: some minutes of a busy server."""

MessageEvent = MessageAckEvent | MessageAnyEvent
Listener = Callable[[Member, MessageEvent], None]


@dataclass(frozen=True, slots=True)
class Store:
    """Where receipts are written.

    `written` waits until all that was told before is committed (and raises what the database says), `room` while more
    is told than is written, and `is_full` says whether that is so.
    """

    written: Callable[[], Awaitable[None]]
    room: Callable[[], Awaitable[None]]
    is_full: Callable[[], bool]


class Intake:
    """Takes events and passes them on. Each of `listeners` notes what it hears and does not wait."""

    def __init__(self, writer: StateWriter, store: Store, listeners: Sequence[Listener]) -> None:
        self._writer = writer
        self._store = store
        self._listeners = listeners
        self._seen: dict[str, None] = {}

    @property
    def is_full(self) -> bool:
        """Whether so much waits for the database that nothing more should come in."""
        return self._store.is_full()

    async def hear(self, member: Member, event: Event) -> bool:
        """Take an event that nobody will repeat; waits while there is no room.

        Returns:
            False where only a look at the session can tell what it means.

        Raises:
            SQLAlchemyError, OSError: the database did not take it.
        """
        if isinstance(event, SessionStatusEvent):
            return await self._take_status(member, event)
        self._tell(member, event)
        if self._store.is_full():
            await self._store.room()
        return True

    async def accept(self, member: Member, event: Event) -> bool:
        """As `hear`, but when it returns, what the event says is committed."""
        if isinstance(event, SessionStatusEvent):
            return await self._take_status(member, event)
        self._tell(member, event)
        await self._store.written()  # also of a repeat: the first one may be on its way still
        return True

    async def _take_status(self, member: Member, event: SessionStatusEvent) -> bool:
        if self._is_repeat(event):
            return True
        taken = await self._writer.on_event(member, event)
        self._remember(event.event_id)  # only now: until it is written, a repeat is welcome
        return taken

    def _tell(self, member: Member, event: MessageEvent) -> None:
        if self._is_repeat(event):
            return
        self._remember(event.event_id)
        for listener in self._listeners:
            try:
                listener(member, event)
            except Exception:  # one that fails must not keep the others from hearing it
                log.exception("listener_failed", server=member.name)

    def _is_repeat(self, event: Event) -> bool:
        if event.event_id not in self._seen:
            return False
        log.debug("event_repeated", event_id=event.event_id)
        return True

    def _remember(self, event_id: str) -> None:
        self._seen[event_id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
