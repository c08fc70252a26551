"""The queue without a dispatcher: a database with connected senders, and one turn of a replica at a time."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select, update

from campaigns.sending.delays import DelayService
from campaigns.sending.forecasting import Forecaster
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.outcomes import Claim, Outcome, QueueSettings, Result, Turn, TurnRequest
from campaigns.sending.pacing import Delays
from campaigns.sending.queue import take_turn
from campaigns.sending.receipt_writing import Key, write_receipts
from campaigns.sending.receipts import Receipts
from campaigns.sending.schemas import SendRequest
from campaigns.sending.service import CampaignService
from campaigns.sending.steering import Steering
from campaigns.sending.tables import campaign, lane, message, server, session
from gateway import schema
from gateway.auth.access import PhoneReader
from gateway.db import AnyRow
from gateway.events import EventBus
from gateway.settings import MediaSettings, PhoneSettings
from sessions.models import SessionState
from sessions.queries import ensure_sender, insert_session
from tests.harness.virtual_time import VirtualClock, VirtualDatabase, virtual_loop
from tests.harness.world import OPEN_CALLER, recipient_numbers, sender_number

SERVER_ID = "server"


class Books:
    """Senders, campaigns and lanes in a database; time passes only in `rest`."""

    def __init__(self, database_url: str) -> None:
        self.clock = VirtualClock(virtual_loop())
        self.db = VirtualDatabase(database_url, self.clock)
        self.bus = EventBus()
        self.delays = DelayService(self.db, self.bus)
        self.forecaster = Forecaster(lambda: 0.1)
        self.campaigns = CampaignService(
            self.db, self.bus, PhoneReader(PhoneSettings()), MediaSettings(), self.forecaster, max_recipients=1000
        )
        self.steering = Steering(self.db, self.bus)
        self.replica = QueueSettings(replica="one")
        self.senders: list[str] = []
        self._ids: dict[str, int] = {}

    async def open(self, senders: int, message_delay: float = 0.0, switch_delay: float = 0.0) -> None:
        """Make the tables, and so many connected senders."""
        if self.db.is_sqlite:
            await schema.migrate(self.db)  # does nothing: the file is a copy of a migrated one
        await self.delays.seed(Delays(message_delay, switch_delay))
        async with self.db.write() as tx:
            await tx.execute(
                insert(server).values(
                    id=SERVER_ID,
                    name="waha",
                    url="http://waha.test",
                    api_key_encrypted="",
                    capacity=100,
                    draining=False,
                    up=True,
                    engine="GOWS",
                    version="",
                    created_at=self.clock.now(),
                )
            )
            for index in range(senders):
                await self._connect(tx, sender_number(index))

    async def _connect(self, tx: Any, number: str) -> None:
        now = self.clock.now()
        self._ids[number] = await ensure_sender(tx, number, OPEN_CALLER.account_id, now)
        self.senders.append(number)
        await insert_session(
            tx,
            {
                "sender_id": self._ids[number],
                "server_id": SERVER_ID,
                "name": number,
                "state": SessionState.CONNECTED,
                "waha_status": "WORKING",
                "desired": "RUNNING",
                "reason": "",
                "push_name": "",
                "paired_at": now,
                "state_at": now,
                "created_at": now,
            },
        )

    # --- doing --------------------------------------------------------------------------------------------------

    async def submit(
        self, recipients: int | Sequence[str], *, senders: Sequence[int] | None = None, **fields: Any
    ) -> str:
        """Submit a campaign through the senders of these indexes (all unless told); returns its id."""
        answer = await self.campaigns.submit(OPEN_CALLER, self.request(recipients, senders=senders, **fields))
        return str(answer["campaign"]["id"])

    def request(
        self, recipients: int | Sequence[str], *, senders: Sequence[int] | None = None, **fields: Any
    ) -> SendRequest:
        """The request of a campaign."""
        numbers = self.senders if senders is None else [self.senders[index] for index in senders]
        phones = recipient_numbers(recipients) if isinstance(recipients, int) else recipients
        return SendRequest.model_validate(
            {
                "sender_number": f"+{numbers[0]}",
                "sender_numbers": [f"+{number}" for number in numbers[1:]],
                "template": "hello",
                "recipients": [f"+{phone}" for phone in phones],
                "queue_if_offline": True,
                **fields,
            }
        )

    async def turn(
        self,
        outcomes: Sequence[tuple[Claim, Outcome]] = (),
        *,
        by: QueueSettings | None = None,
        renewals: Sequence[Claim] = (),
        claiming: bool = True,
        delays_before: Delays | None = None,
    ) -> Turn:
        """One turn of a replica, as its dispatcher would take it."""
        async with self.db.write() as tx:
            asked = TurnRequest(
                outcomes, renewals, claiming=claiming, looking_for_fallen=claiming, delays_before=delays_before
            )
            return await take_turn(tx, by or self.replica, asked, self.clock)

    async def settle(self, claim: Claim, result: Result, **outcome: Any) -> Turn:
        """Settle one claim without claiming anything."""
        return await self.turn([(claim, self.outcome(result, **outcome))], claiming=False)

    async def claim_one(self) -> Claim:
        """Take a turn that brings exactly one claim."""
        turn = await self.turn()
        assert len(turn.claims) == 1
        return turn.claims[0]

    async def send_all(self, count: int, seconds: float = 60.0) -> list[Claim]:
        """Settle every claim as sent until `count` were; the claims in their order."""
        sent: list[Claim] = []
        for _ in range(int(seconds / 0.25)):
            turn = await self.turn()
            while turn.claims:
                sent += turn.claims
                turn = await self.turn([(claim, self.outcome(Result.SENT)) for claim in turn.claims])
            if len(sent) >= count:
                break
            await self.rest(0.25)
        assert len(sent) == count
        return sent

    def outcome(self, result: Result, **values: Any) -> Outcome:
        """An outcome as the transmitter gives it: answered just now, where there was an answer."""
        answered = result in (Result.SENT, Result.FAILED, Result.RETRY, Result.UNCERTAIN)
        return Outcome(result, **{"answered": answered, "answered_at": self.clock.monotonic(), **values})

    async def receipts(self, acks: dict[str, int]) -> set[str]:
        """Take receipts in, by WhatsApp id, each from the session that its message left through; gives ours."""
        sessions = select(message.c.wa_id, session.c.name).join(session, session.c.sender_id == message.c.sender_id)
        async with self.db.write() as tx:
            names = {row.wa_id: row.name for row in await tx.execute(sessions.where(message.c.wa_id.in_(acks)))}
            keyed = {Key(names.get(wa_id, "nobody"), wa_id): ack for wa_id, ack in acks.items()}
            return {key.wa_id for key in (await write_receipts(tx, keyed)).ours}

    async def hear(self, number: str, acks: dict[str, int]) -> set[str]:
        """As `receipts`, all from one session, and through what takes them in."""
        taker = Receipts(self.db, self.bus, self.clock)
        return {key.wa_id for key in await taker._write({Key(number, wa_id): ack for wa_id, ack in acks.items()})}

    async def fall(self, index: int, *, up: bool = False) -> None:
        """A sender's session falls (or, with `up`, is back)."""
        state = SessionState.CONNECTED if up else SessionState.FAILED
        async with self.db.write() as tx:
            await tx.execute(update(session).where(session.c.sender_id == self.sender_id(index)).values(state=state))

    async def rest(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    # --- looking ------------------------------------------------------------------------------------------------

    def sender_id(self, index: int) -> int:
        """A sender's id in the tables."""
        return self._ids[self.senders[index]]

    async def lane(self, index: int = 0) -> AnyRow:
        """A sender's lane."""
        async with self.db.read() as connection:
            return (await connection.execute(select(lane).where(lane.c.sender_id == self.sender_id(index)))).one()

    async def campaign(self, campaign_id: str) -> AnyRow:
        """A campaign's row."""
        async with self.db.read() as connection:
            return (await connection.execute(select(campaign).where(campaign.c.id == campaign_id))).one()

    async def message(self, message_id: str) -> AnyRow:
        """One message's row."""
        async with self.db.read() as connection:
            return (await connection.execute(select(message).where(message.c.id == message_id))).one()

    async def messages(self, campaign_id: str) -> Sequence[AnyRow]:
        """A campaign's messages in their order."""
        async with self.db.read() as connection:
            query = select(message).where(message.c.campaign_id == campaign_id).order_by(message.c.seq)
            return (await connection.execute(query)).all()

    async def check(self) -> None:
        """What must hold between any two transactions."""
        async with self.db.read() as connection:
            campaigns = (await connection.execute(select(campaign))).all()
            lanes = (await connection.execute(select(lane))).all()
            counts = (
                await connection.execute(
                    select(message.c.campaign_id, message.c.state, func.count()).group_by(
                        message.c.campaign_id, message.c.state
                    )
                )
            ).all()
            sending = (await connection.execute(select(message.c.id).where(message.c.state == "sending"))).scalars()
        held = [row.message_id for row in lanes if row.message_id is not None]
        assert len(held) == len(set(held)), "two lanes hold one message"
        assert set(sending) <= set(held), "a message is being sent, and no lane holds it"
        for row in campaigns:
            told = {state: row._mapping[f"n_{state}"] for state in MessageState if row._mapping[f"n_{state}"]}
            assert told == {state: count for key, state, count in counts if key == row.id}
            assert sum(told.values()) == row.total
            assert 0 <= row.in_flight <= told.get(MessageState.SENDING, 0) + _settled_early(row, told)
            if row.state == CampaignState.CANCELLED:
                assert MessageState.QUEUED not in told


def _settled_early(row: AnyRow, told: dict[MessageState, int]) -> int:
    """Messages that a receipt has moved on while their lane still waits for the answer."""
    total: int = row.total
    return total - sum(told.get(state, 0) for state in (MessageState.QUEUED, MessageState.SENDING))
