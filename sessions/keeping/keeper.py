"""The keeper: makes what sessions are follow what they are meant to be.

What wakes it: each sweep of a server shows all its sessions, and a send may say that one is ill. What is well costs a
glance; what is not is put on that server's worklist, which does one thing at a time. Everything that is done, and why,
is a line of the session's history. It keeps nothing in memory that a new process could not find out: what has been
tried is in the session's row. `stop` ends it wherever it is; the lease of a call that was under way runs out.
"""

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

from gateway.clock import Clock
from gateway.db import AnyRow, Database
from gateway.events import EventBus, SessionSuspected
from gateway.waha.schemas import WahaStatus
from sessions import queries
from sessions.keepalive.evidence import SendsOf
from sessions.keeping.actions import ActionParts, Actions, FinishMove, InFlight
from sessions.keeping.deafness import Ears
from sessions.keeping.decisions import Step, View, decide
from sessions.keeping.second_looks import SecondLooks, deaf, sick
from sessions.keeping.strays import Strays, suspects
from sessions.keeping.views import Surroundings, Viewer, is_busy
from sessions.keeping.worklist import Job, Worklist
from sessions.lifecycle import Lifecycle
from sessions.news.intake import MessageEvent
from sessions.news.state_writer import StateWriter
from sessions.news.watch import Swept
from sessions.servers.fleet import Fleet, Member
from sessions.service import SessionService

LISTEN_SECONDS = 30.0
"""How often each server's sends are compared with what was heard of them."""


@dataclass(frozen=True, slots=True)
class KeeperParts:
    """What the keeper works with. `webhooks`: WAHA's news come by webhook, not by an event stream."""

    db: Database
    clock: Clock
    bus: EventBus
    fleet: Fleet
    lifecycle: Lifecycle
    service: SessionService
    writer: StateWriter
    sends_of: SendsOf
    in_flight: InFlight
    webhooks: bool
    finish_move: FinishMove | None = None
    jitter: Callable[[], float] = random.random


class Keeper:
    """Sees what sweeps see, and has done about it what is needed."""

    def __init__(self, parts: KeeperParts) -> None:
        self._parts = parts
        self._viewer = Viewer(parts.lifecycle.wanted_config)
        self._ears = Ears(webhooks=parts.webhooks)
        self._listened_at: dict[str, float] = {}
        self._worklists: dict[str, Worklist] = {}
        self._stopped = False
        self._strays = Strays(parts.db, parts.bus, parts.fleet, parts.lifecycle)
        self._second_looks = SecondLooks(parts.db, parts.bus, parts.lifecycle, parts.jitter)
        self._actions = Actions(
            ActionParts(
                db=parts.db,
                bus=parts.bus,
                fleet=parts.fleet,
                lifecycle=parts.lifecycle,
                service=parts.service,
                writer=parts.writer,
                viewer=self._viewer,
                in_flight=parts.in_flight,
                finish_move=parts.finish_move,
                jitter=parts.jitter,
            )
        )
        parts.bus.subscribe(SessionSuspected, self._suspect)

    async def stop(self) -> None:
        """Leave everything as it is; the next sweep of whoever watches finds it again."""
        self._stopped = True
        for worklist in self._worklists.values():
            await worklist.stop()

    # --- what comes in; nothing of it waits ---------------------------------------------------------------------

    def note(self, member: Member, event: MessageEvent) -> None:
        """A message or a receipt was told by a server."""
        self._ears.note(member.id, event)

    def after_sweep(self, swept: Swept) -> None:
        """Put on the server's worklist what its sessions need."""
        if self._stopped:
            return
        member, jobs = swept.member, dict[Hashable, Job]()
        views = self._doubtful(swept)
        steps = [(row, view, decide(view, swept.now).step) for row, view in views]
        if self._is_time_to_listen(swept):
            jobs["listen"] = partial(self._listen, swept)
        if well := [row.sender_id for row, _, step in steps if step is Step.FORGIVE]:
            jobs["forgive"] = partial(self._actions.forgive, well)
        wanting = [(row, view) for row, view, step in steps if step not in (Step.REST, Step.FORGIVE)]
        for row, view in sorted(wanting, key=lambda one: (one[0].repairs, one[0].status_at)):
            around = Surroundings(view.engine, view.young, view.others_work)
            jobs[row.sender_id] = partial(self._actions.mend, member.id, row.sender_id, around)
        for info in suspects(swept):
            number = info.metadata["number"]
            jobs["stray", number] = partial(self._strays.stop, member.id, number)
        if jobs or member.id in self._worklists:
            self._worklist(member.id).replace(jobs)

    def _suspect(self, event: SessionSuspected) -> None:
        if not self._stopped:
            self._worklist("suspicions").add(event.sender_id, partial(self._refer, event))

    async def _refer(self, event: SessionSuspected) -> bool:
        """Put it on the worklist of its server, whichever replica watches that."""
        async with self._parts.db.read() as connection:
            row = await queries.find_by_sender(connection, event.sender_id)
        if row is not None:
            look = partial(self._second_looks.look, event.sender_id, sick(event.reason))
            self._worklist(row.server_id).add(("sick", event.sender_id), look)
        return False

    # --- looking ------------------------------------------------------------------------------------------------

    def _doubtful(self, swept: Swept) -> list[tuple[AnyRow, View]]:
        """The sessions that are not plainly well, and that nobody is at work on."""
        look, infos = self._viewer, swept.infos
        rows = [row for row in swept.rows if row.sender_id not in swept.outrun]
        rows = [row for row in rows if not look.is_well(row, infos.get(row.name))]
        rows = [row for row in rows if not is_busy(row, swept.now)]
        if not rows:
            return []
        working = sum(info.status is WahaStatus.WORKING for info in infos.values())
        around = Surroundings(
            engine=swept.member.engine,
            young=swept.member.is_young(swept.now),
            others_work=working > 0 or len(swept.rows) == 1,
        )
        return [(row, look.look(row, infos.get(row.name), around, swept.now)) for row in rows]

    def _is_time_to_listen(self, swept: Swept) -> bool:
        last = self._listened_at.get(swept.member.id)
        return bool(swept.rows) and (last is None or swept.now - last >= LISTEN_SECONDS)

    async def _listen(self, swept: Swept) -> bool:
        """Compare what was sent with what was heard."""
        self._listened_at[swept.member.id] = swept.now
        sends = await self._parts.sends_of(swept.member.id)
        for sender_id, reason in self._ears.judge(swept, sends).items():
            self._ears.forget(sender_id)
            self._worklist(swept.member.id).add(
                ("deaf", sender_id), partial(self._second_looks.look, sender_id, deaf(reason))
            )
        return False

    def _worklist(self, key: str) -> Worklist:
        worklist = self._worklists.get(key)
        if worklist is None:
            worklist = self._worklists[key] = Worklist(key, self._parts.clock, self._parts.jitter)
        return worklist
