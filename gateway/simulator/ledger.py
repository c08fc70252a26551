"""What WhatsApp really took: the record that judges whoever sends through this server."""

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Transmission:
    """One message that WhatsApp accepted. Times are real seconds since the epoch."""

    seq: int
    time: float
    received_at: float
    session: str
    chat_id: str
    id: str
    text: str
    kind: str
    repeat: bool
    shown: bool
    media: dict[str, Any] | None
    answered_at: float | None = None
    answer_status: int | None = None


@dataclass(slots=True)
class Refusal:
    """One send that never reached WhatsApp, and why. Times are real seconds since the epoch."""

    time: float
    received_at: float
    session: str
    chat_id: str
    id: str
    reason: str


class Ledger:
    """Append-only lists; `seq` counts from 1 and goes on counting when the ledger is cleared."""

    def __init__(self, *, collapse_repeats: bool) -> None:
        self.collapse_repeats = collapse_repeats
        self.transmissions: list[Transmission] = []
        self.refusals: list[Refusal] = []
        self._cleared = 0
        self._seen: set[tuple[str, str, str]] = set()

    def accept(
        self,
        *,
        time: float,
        received_at: float,
        session: str,
        account: str,
        chat_id: str,
        message_id: str,
        text: str,
        kind: str,
        media: dict[str, Any] | None,
        delivered: bool = True,
    ) -> Transmission:
        """Write down that WhatsApp took a message now. The same id to the same chat again is a repeat.

        One that WhatsApp takes and never delivers is shown to nobody.
        """
        key = (account, chat_id, message_id)
        repeat = key in self._seen
        self._seen.add(key)
        transmission = Transmission(
            seq=self._cleared + len(self.transmissions) + 1,
            time=time,
            received_at=received_at,
            session=session,
            chat_id=chat_id,
            id=message_id,
            text=text,
            kind=kind,
            repeat=repeat,
            shown=delivered and not (repeat and self.collapse_repeats),
            media=media,
        )
        self.transmissions.append(transmission)
        return transmission

    def refuse(self, refusal: Refusal) -> None:
        """Write down a send that did not reach WhatsApp."""
        self.refusals.append(refusal)

    def since(self, seq: int) -> list[Transmission]:
        """The transmissions after number `seq`, oldest first."""
        return self.transmissions[max(0, seq - self._cleared) :]

    def clear(self) -> None:
        """Forget everything, the known ids too."""
        self._cleared += len(self.transmissions)
        self.transmissions = []
        self.refusals = []
        self._seen = set()
