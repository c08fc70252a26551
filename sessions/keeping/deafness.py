"""Finding sessions that say WORKING and are deaf: their sends are accepted, and nothing is heard of them.

WAHA tells every message of ours (`message.any`) and its receipts (`message.ack`). So the sends of each session are
counted since it was last heard. Several of them, the first of them some time ago, while the ear itself was open all the
time: then the session is deaf. With a WebSocket the ear is open while it is connected; with webhooks, when another
session of the same server was heard meanwhile.
"""

from dataclasses import dataclass

from gateway.waha.schemas import MessageAnyEvent
from sessions.keepalive.evidence import Sends
from sessions.news.intake import MessageEvent
from sessions.news.watch import Swept

UNHEARD_SENDS = 3
UNHEARD_SECONDS = 30.0


@dataclass(slots=True)
class _Ear:
    """What is known of one session. `since` is when a send after the `heard_total`-th was first seen."""

    heard_total: int
    since: float | None = None


class Ears:
    """What was heard of each session, and what was not."""

    def __init__(self, *, webhooks: bool) -> None:
        self._webhooks = webhooks
        self._ears: dict[int, _Ear] = {}
        self._heard: dict[str, set[str]] = {}

    def note(self, server_id: str, event: MessageEvent) -> None:
        """A message or a receipt was told; one of others' messages says nothing about ours."""
        if not isinstance(event, MessageAnyEvent) or event.from_me is not False:
            self._heard.setdefault(server_id, set()).add(event.session)

    def forget(self, sender_id: int) -> None:
        """Begin anew with a session: it has been restarted, or told about."""
        self._ears.pop(sender_id, None)

    def judge(self, swept: Swept, sends: Sends) -> dict[int, str]:
        """The deaf sessions of one server by sender, each with a sentence that says why it is thought so."""
        heard = self._heard.pop(swept.member.id, set())
        deaf = {}
        for row in swept.rows:
            total, _ = sends.get(row.sender_id, (0, None))
            ear = self._ears.get(row.sender_id)
            if ear is None or row.name in heard or total < ear.heard_total:
                self._ears[row.sender_id] = _Ear(total)
                continue
            if total > ear.heard_total and ear.since is None:
                ear.since = swept.now
            unheard = total - ear.heard_total
            if ear.since is None or unheard < UNHEARD_SENDS or swept.now - ear.since <= UNHEARD_SECONDS:
                continue
            if self._was_open(swept, ear.since, others_heard=bool(heard)):
                waited = swept.now - ear.since
                deaf[row.sender_id] = f"{unheard} sends were accepted, and for {waited:.0f} s nothing was heard of them"
            else:
                self._ears[row.sender_id] = _Ear(total)  # it may have been told while nobody listened
        return deaf

    def _was_open(self, swept: Swept, since: float, *, others_heard: bool) -> bool:
        if self._webhooks:
            return others_heard
        return swept.connected_since is not None and swept.connected_since <= since
