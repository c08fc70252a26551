"""What campaigns offer to the lanes that are due: read once in a turn, and changed as lanes take from it.

A campaign that another replica holds just now, or whose client it holds, is not offered; its lanes look idle and are
not, see `hidden_work`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.metering.allowances import Allowance, lock_allowances
from campaigns.sending.claim_statements import CAMPAIGNS, GIVEN_BACK, HAS_WORK, IS_QUEUED, POOL, SHARES
from campaigns.sending.lateness import may_be_late, skip_late
from campaigns.sending.models import Rotation
from campaigns.sending.outcomes import QueueSettings, Turn
from campaigns.sending.pacing import goes_at, is_gated, ready_at
from campaigns.sending.rotation import Offer, turn_of
from campaigns.sending.rows import DueLane, Head, OfferedCampaign, PoolSender, fetch
from campaigns.sending.tables import message
from gateway.batch import pack, pack_values


@dataclass(slots=True, eq=False)
class Offering:
    """A campaign that has something to send. `gated`: its messages leave one by one, through all its senders.

    Nothing of it may leave before `next_at`; None where its messages have no times of their own. `turn` is the position
    whose turn it is. `allowance` is what its client may send today, where it has a client with a daily limit. `taken`
    are the ids of the messages that lanes have taken in this round, and not the picks, which know their campaign: the
    garbage collector would have to find such circles, and holds up all lanes meanwhile. `pool` are its senders in turn,
    `able` whether each of them is able to send; they are read where they are needed.
    """

    row: OfferedCampaign
    gated: bool
    turn: int
    next_at: float | None
    allowance: Allowance | None = None
    taken: set[str] = field(default_factory=set)
    pool: Sequence[int] = ()
    able: Sequence[bool] = ()

    @property
    def position_in_turn(self) -> int | None:
        """Whose turn it is, among those that are able."""
        return turn_of(self.turn, self.able, failover=self.row.failover)


@dataclass(slots=True, eq=False)
class Share:
    """A lane's place in a campaign. `barred`: the campaign has nothing for it in this round."""

    campaign: Offering
    sender_id: int
    position: int
    served_at: float
    barred: bool = False

    @property
    def is_dealt(self) -> bool:
        """Whether the lane works on messages that were dealt to it, beside other lanes."""
        row = self.campaign.row
        return not (self.campaign.gated or row.senders == 1 or row.rotation == Rotation.FASTEST)


@dataclass(slots=True, eq=False)
class Pick:
    """A lane, the share that it chose, and when it fires. `in_turn` tells that it uses up its sender's turn."""

    lane: DueLane
    share: Share
    fire_at: float
    in_turn: bool
    head: Head | None = None
    is_reply: bool = False


@dataclass(slots=True)
class Round:
    """One round of choosing: the lanes that are free, and what each is offered.

    `again` are the senders whose choice came to nothing, and which are to choose anew at once.
    """

    tx: AsyncConnection
    settings: QueueSettings
    turn: Turn
    lanes: Sequence[DueLane]
    shares: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    again: set[int] = field(default_factory=set)

    @property
    def horizon(self) -> float:
        """Until when messages are claimed."""
        return self.turn.now + self.settings.horizon_seconds

    async def read(self) -> None:
        """Read what is offered to the lanes, and to those that are stuck."""
        senders = [*self.turn.stuck, *(row.sender_id for row in self.lanes)]
        shares = (await self.tx.execute(SHARES, {"senders": pack_values(senders)})).all()
        ids = sorted({campaign_id for _, campaign_id, _, _ in shares})
        if not ids:
            return
        rows = fetch(OfferedCampaign, await self.tx.execute(CAMPAIGNS, {"campaigns": pack_values(ids)}))
        late = {row.id for row in rows if may_be_late(row, self.turn.now) and await skip_late(self.tx, row, self.turn)}
        rows = [row for row in rows if row.id not in late]  # looked at again after it
        clients = {row.client_id for row in rows if row.client_id is not None}
        allowances = await lock_allowances(self.tx, clients, self.turn.now) if clients else {}
        switch = self.turn.delays.switch
        campaigns = {
            row.id: Offering(row, is_gated(row.senders, switch), row.turn, row.next_at, allowances.get(row.client_id))
            for row in rows
            if row.client_id not in allowances or allowances[row.client_id] is not None
        }
        for sender_id, campaign_id, position, served_at in shares:
            if (campaign := campaigns.get(campaign_id)) is not None:
                self.shares[sender_id].append(Share(campaign, sender_id, position, served_at))
        for campaign in campaigns.values():
            if campaign.gated:
                await self.read_pool(campaign)

    async def read_pool(self, campaign: Offering) -> None:
        """Read which of a campaign's senders are able to send."""
        if not campaign.pool:
            found = fetch(PoolSender, await self.tx.execute(POOL, {"campaign": campaign.row.id, "now": self.turn.now}))
            campaign.pool = [row.sender_id for row in found]
            campaign.able = [bool(row.able) for row in found]

    async def give_back_shares(self, fallen: Iterable[int]) -> None:
        """What was dealt to lanes that cannot send is dealt anew to the others."""
        shares = [
            (share.campaign.row.id, sender_id)
            for sender_id in fallen
            for share in self.shares[sender_id]
            if share.campaign.row.failover and share.campaign.row.senders > 1
        ]
        if shares:
            await self.tx.execute(
                update(message)
                .where(
                    message.c.campaign_id == GIVEN_BACK.c.campaign_id,
                    message.c.sender_id == GIVEN_BACK.c.sender_id,
                    IS_QUEUED,
                )
                .values(sender_id=None),
                {"given_back": pack(shares)},
            )

    def ready_at(self, row: DueLane) -> float:
        """When a lane may send again."""
        delay = self.turn.delays.message if row.message_delay is None else row.message_delay
        return ready_at(row.last_answer_at, delay, row.extra_delay)

    def goes_at(self, row: DueLane, share: Share, *, out_of_turn: bool = False) -> float | None:
        """When the campaign's next message may leave through this lane; None while that depends on others."""
        campaign = share.campaign
        if campaign.next_at is not None and campaign.next_at > self.horizon:
            return campaign.next_at  # all its lanes rest until then
        goes = max(self.ready_at(row), campaign.row.opens_at)
        if campaign.allowance is not None:
            may_go = campaign.allowance.opens()
            if may_go is None or may_go > self.horizon:
                return may_go
            goes = max(goes, may_go)
        if campaign.gated:
            in_turn = (
                out_of_turn or campaign.row.rotation == Rotation.FASTEST or campaign.position_in_turn == share.position
            )
            if campaign.row.in_flight or campaign.taken or not in_turn:
                return None
            goes = goes_at(
                goes,
                switches=campaign.row.last_sender_id != row.sender_id,
                campaign_answer_at=campaign.row.last_answer_at,
                switch_delay=self.turn.delays.switch,
            )
        return None if campaign.row.closes_at <= max(goes, self.turn.now) else goes

    def offers_to(self, row: DueLane) -> list[Offer]:
        """What a lane may choose from, for the pure rules."""
        return [
            Offer(
                campaign_id=share.campaign.row.id,
                sender_id=row.sender_id,
                priority=share.campaign.row.priority,
                # a campaign alone on its lanes is not noted each time; that it has started says enough
                served_at=max(share.served_at, share.campaign.row.started_at or 0.0),
                goes_at=None if share.barred else self.goes_at(row, share),
            )
            for share in self.shares[row.sender_id]
        ]

    async def hidden_work(self, senders: Sequence[int]) -> set[int]:
        """Lanes whose campaigns another replica holds just now: they look idle and are not."""
        if not senders:
            return set()
        return set((await self.tx.execute(HAS_WORK, {"senders": pack_values(senders)})).scalars().all())
