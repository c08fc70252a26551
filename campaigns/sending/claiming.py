"""Claiming: which lanes are due, and what each of them takes.

Due lanes are read with what their campaigns offer, the choice is made by the pure rules of `rotation.py` and
`pacing.py`, and what was chosen is written in the same transaction: the message's id is stored before anybody
sends it. A lane whose lease has run out comes with the message that it left behind, to be reconciled.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import IDLE, CampaignState, MessageState, Rotation
from campaigns.sending.outcomes import Claim, QueueSettings, Task, Turn
from campaigns.sending.pacing import goes_at, is_gated, ready_at
from campaigns.sending.rotation import Offer, choose, deal, look_again_at, turn_of
from campaigns.sending.settling import finish_campaigns
from campaigns.sending.tables import campaign, campaign_sender, lane, message, sender, server, session
from gateway.db import AnyRow
from gateway.waha.ids import make_message_id
from sessions.models import SessionState

_IS_QUEUED: ColumnElement[bool] = literal_column(
    "message.state = 'queued'"
)  # a parameter would keep the partial indexes out
_DEAL_ROUNDS = 8
_ABLE = and_(session.c.state == SessionState.CONNECTED, server.c.up, lane.c.resting_until <= bindparam("now"))

_DUE_LANES = (
    select(
        lane.c.sender_id,
        lane.c.epoch,
        lane.c.owner,
        lane.c.message_id,
        lane.c.due_at,
        lane.c.last_answer_at,
        lane.c.message_delay,
        lane.c.extra_delay,
        sender.c.number,
        session.c.name.label("session_name"),
        session.c.server_id,
        session.c.paired_at,
        _ABLE.label("able"),
    )
    .select_from(
        lane.join(sender, sender.c.id == lane.c.sender_id)
        .outerjoin(session, session.c.sender_id == lane.c.sender_id)
        .outerjoin(server, server.c.id == session.c.server_id)
    )
    .where(
        lane.c.due_at <= bindparam("horizon"),
        or_(lane.c.owner.is_(None), lane.c.due_at <= bindparam("now")),
    )
    .order_by(lane.c.due_at)
    .limit(bindparam("batch"))
    .with_for_update(of=lane, skip_locked=True)
)

_OFFERS = (
    select(
        campaign_sender.c.sender_id,
        campaign_sender.c.position,
        campaign_sender.c.served_at,
        campaign.c.id.label("campaign_id"),
        campaign.c.state,
        campaign.c.priority,
        campaign.c.rotation,
        campaign.c.failover,
        campaign.c.senders,
        campaign.c.turn,
        campaign.c.in_flight,
        campaign.c.last_answer_at,
        campaign.c.last_sender_id,
        campaign.c.started_at,
        campaign.c.template,
        campaign.c.media_id,
    )
    .select_from(campaign_sender.join(campaign, campaign.c.id == campaign_sender.c.campaign_id))
    .where(
        campaign_sender.c.sender_id.in_(bindparam("senders", expanding=True)),
        literal_column("campaign_sender.open"),
        campaign.c.state.in_((CampaignState.QUEUED, CampaignState.RUNNING)),
        campaign.c.n_queued > 0,
    )
    .with_for_update(of=campaign, skip_locked=True)
)

_POOLS = (
    select(
        campaign_sender.c.campaign_id,
        campaign_sender.c.sender_id,
        and_(_ABLE, message.c.uncertain_at.is_(None)).label("able"),
    )
    .select_from(
        campaign_sender.join(lane, lane.c.sender_id == campaign_sender.c.sender_id)
        .outerjoin(message, message.c.id == lane.c.message_id)
        .outerjoin(session, session.c.sender_id == campaign_sender.c.sender_id)
        .outerjoin(server, server.c.id == session.c.server_id)
    )
    .where(campaign_sender.c.campaign_id.in_(bindparam("campaigns", expanding=True)))
    .order_by(campaign_sender.c.campaign_id, campaign_sender.c.position)
)

_HEAD_COLUMNS = (
    message.c.id,
    message.c.campaign_id,
    message.c.seq,
    message.c.phone,
    message.c.text,
    message.c.wa_id,
    message.c.attempts,
    message.c.sender_id,
)
_FIRST_OF_CAMPAIGN = (
    select(func.min(message.c.seq))
    .where(message.c.campaign_id == campaign.c.id, _IS_QUEUED, message.c.not_before <= bindparam("now"))
    .correlate(campaign)
    .scalar_subquery()
)
_HEADS_OF_CAMPAIGNS = (
    select(*_HEAD_COLUMNS)
    .select_from(
        campaign.join(message, and_(message.c.campaign_id == campaign.c.id, message.c.seq == _FIRST_OF_CAMPAIGN))
    )
    .where(campaign.c.id.in_(bindparam("campaigns", expanding=True)))
)
_FIRST_OF_SHARE = (
    select(func.min(message.c.seq))
    .where(
        message.c.campaign_id == campaign_sender.c.campaign_id,
        message.c.sender_id == campaign_sender.c.sender_id,
        _IS_QUEUED,
        message.c.not_before <= bindparam("now"),
    )
    .correlate(campaign_sender)
    .scalar_subquery()
)
_HEADS_OF_SHARES = (
    select(*_HEAD_COLUMNS)
    .select_from(
        campaign_sender.join(
            message,
            and_(message.c.campaign_id == campaign_sender.c.campaign_id, message.c.seq == _FIRST_OF_SHARE),
        )
    )
    .where(
        campaign_sender.c.campaign_id.in_(bindparam("campaigns", expanding=True)),
        campaign_sender.c.sender_id.in_(bindparam("senders", expanding=True)),
    )
)
_FIRST_FEW = (
    select(*_HEAD_COLUMNS)
    .where(message.c.campaign_id == bindparam("campaign"), _IS_QUEUED, message.c.not_before <= bindparam("now"))
    .order_by(message.c.seq)
    .limit(bindparam("count"))
)
_UNDEALT = _FIRST_FEW.where(message.c.sender_id.is_(None))
_DEAL = update(message).where(message.c.id == bindparam("b_id"), _IS_QUEUED).values(sender_id=bindparam("b_sender_id"))

_SET_TURN = update(campaign).where(campaign.c.id == bindparam("b_id")).values(turn=bindparam("b_turn"))
_HAS_WORK = (
    select(campaign_sender.c.sender_id)
    .distinct()
    .select_from(campaign_sender.join(campaign, campaign.c.id == campaign_sender.c.campaign_id))
    .where(
        campaign_sender.c.sender_id.in_(bindparam("senders", expanding=True)),
        literal_column("campaign_sender.open"),
        campaign.c.state.in_((CampaignState.QUEUED, CampaignState.RUNNING)),
        campaign.c.n_queued > 0,
    )
)

_LEFT_BEHIND = select(
    message.c.id,
    message.c.campaign_id,
    message.c.state,
    message.c.phone,
    message.c.wa_id,
    message.c.attempts,
    message.c.started_at,
    message.c.uncertain_at,
    func.coalesce(message.c.sent_at, message.c.finished_at).label("told_at"),
).where(message.c.id.in_(bindparam("ids", expanding=True)))
_IS_UNCERTAIN = update(message).where(message.c.id == bindparam("b_id")).values(uncertain_at=message.c.started_at)

_TAKE_MESSAGE = (
    update(message)
    .where(message.c.id == bindparam("b_id"), _IS_QUEUED)
    .values(
        state=MessageState.SENDING,
        sender_id=bindparam("b_sender_id"),
        wa_id=bindparam("b_wa_id"),
        started_at=bindparam("b_started_at"),
        attempts=message.c.attempts + 1,
    )
)
_TAKE_LANE = (
    update(lane)
    .where(lane.c.sender_id == bindparam("b_sender_id"))
    .values(
        owner=bindparam("b_owner"),
        epoch=lane.c.epoch + 1,
        due_at=bindparam("b_due_at"),
        message_id=bindparam("b_message_id"),
    )
)
_PARK_LANE = (
    update(lane)
    .where(lane.c.sender_id == bindparam("b_sender_id"))
    .values(owner=None, due_at=bindparam("b_due_at"), message_id=bindparam("b_message_id"))
)
_COUNT_TAKEN = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"))
    .values(
        n_queued=campaign.c.n_queued - bindparam("b_taken"),
        n_sending=campaign.c.n_sending + bindparam("b_taken"),
        in_flight=campaign.c.in_flight + bindparam("b_taken"),
        turn=bindparam("b_turn"),
        state=CampaignState.RUNNING,
        started_at=func.coalesce(campaign.c.started_at, bindparam("b_now")),
    )
)
_SERVED = (
    update(campaign_sender)
    .where(
        campaign_sender.c.campaign_id == bindparam("b_campaign_id"),
        campaign_sender.c.sender_id == bindparam("b_sender_id"),
    )
    .values(served_at=bindparam("b_now"))
)
_CAMPAIGN_LOST_ONE = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"))
    .values(
        in_flight=campaign.c.in_flight - 1,
        last_answer_at=bindparam("b_now"),
        last_sender_id=bindparam("b_sender_id"),
    )
)


# a receipt has told what became of an uncertain message: it may have left as late as then
_LANE_HEARD = (
    update(lane)
    .where(lane.c.sender_id == bindparam("b_sender_id"), func.coalesce(lane.c.last_answer_at, 0) < bindparam("b_at"))
    .values(last_answer_at=bindparam("b_at"))
)
_CAMPAIGN_HEARD = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"), func.coalesce(campaign.c.last_answer_at, 0) < bindparam("b_at"))
    .values(last_answer_at=bindparam("b_at"), last_sender_id=bindparam("b_sender_id"))
)


@dataclass(slots=True)
class _Pick:
    """A lane, the campaign it chose, and when it fires."""

    lane: AnyRow
    offer: AnyRow
    fire_at: float
    gated: bool
    head: AnyRow | None = None


async def claim_due(tx: AsyncConnection, settings: QueueSettings, turn: Turn) -> None:
    """Claim what is due until `horizon_seconds` from now; adds to `turn.claims`."""
    horizon = turn.now + settings.horizon_seconds
    lanes = (await tx.execute(_DUE_LANES, {"horizon": horizon, "now": turn.now, "batch": settings.batch})).all()
    if not lanes and not turn.stuck:
        return
    left = [row for row in lanes if row.message_id is not None]
    if left:
        await _take_over(tx, settings, turn, left)
    free = [row for row in lanes if row.message_id is None]
    turn.stuck |= {row.sender_id for row in left}
    await _Choice(tx, settings, turn, free).run()


async def _take_over(tx: AsyncConnection, settings: QueueSettings, turn: Turn, lanes: Sequence[AnyRow]) -> None:
    """Lanes with an unsettled message: it is uncertain, or its replica has died."""
    rows = {row.id: row for row in await tx.execute(_LEFT_BEHIND, {"ids": [row.message_id for row in lanes]})}
    died: list[dict[str, Any]] = []
    uncertain: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    take: list[dict[str, Any]] = []
    park: list[dict[str, Any]] = []
    for row in lanes:
        found = rows[row.message_id]
        if row.owner is not None and found.uncertain_at is None:
            # its replica is gone, with the answer to a send: what we know is that there was none before now
            died.append({"b_id": found.campaign_id, "b_now": turn.now, "b_sender_id": row.sender_id})
            uncertain.append({"b_id": found.id})
        if found.state != MessageState.SENDING:  # a receipt has settled it
            park.append({"b_sender_id": row.sender_id, "b_due_at": turn.now, "b_message_id": None})
            told.append({"b_id": found.campaign_id, "b_sender_id": row.sender_id, "b_at": found.told_at or turn.now})
        elif not row.able:
            wait = turn.now + settings.poll_seconds
            park.append({"b_sender_id": row.sender_id, "b_due_at": wait, "b_message_id": row.message_id})
        else:
            take.append(_lease(settings, turn, row.sender_id, row.message_id))
            turn.claims.append(_reconcile_claim(row, found, turn.now))
    if died:
        await tx.execute(_CAMPAIGN_LOST_ONE, died)
        await tx.execute(_IS_UNCERTAIN, uncertain)
        await tx.execute(
            update(lane).where(lane.c.sender_id == bindparam("b_sender_id")).values(last_answer_at=turn.now),
            [{"b_sender_id": entry["b_sender_id"]} for entry in died],
        )
    if told:
        await tx.execute(_LANE_HEARD, [{"b_sender_id": entry["b_sender_id"], "b_at": entry["b_at"]} for entry in told])
        await tx.execute(_CAMPAIGN_HEARD, told)
        await finish_campaigns(tx, turn, {entry["b_id"] for entry in told})
    if take:
        await tx.execute(_TAKE_LANE, take)
    if park:
        await tx.execute(_PARK_LANE, park)


def _lease(settings: QueueSettings, turn: Turn, sender_id: int, message_id: str) -> dict[str, Any]:
    return {
        "b_sender_id": sender_id,
        "b_owner": settings.replica,
        "b_due_at": turn.now + settings.lease_seconds,
        "b_message_id": message_id,
    }


def _reconcile_claim(row: AnyRow, found: AnyRow, now: float) -> Claim:
    return Claim(
        task=Task.RECONCILE,
        sender_id=row.sender_id,
        epoch=row.epoch + 1,
        message_id=found.id,
        campaign_id=found.campaign_id,
        wa_id=found.wa_id,
        phone=found.phone,
        text="",
        media_id=None,
        attempts=found.attempts,
        fire_at=max(row.due_at, now),
        started_at=found.started_at,
        turn=None,
        number=row.number,
        session_name=row.session_name,
        server_id=row.server_id,
        paired_at=row.paired_at,
    )


class _Choice:
    """One round of choosing for the lanes that are free."""

    def __init__(self, tx: AsyncConnection, settings: QueueSettings, turn: Turn, lanes: Sequence[AnyRow]) -> None:
        self.tx = tx
        self.settings = settings
        self.turn = turn
        self.lanes = lanes
        self.offers: dict[int, list[AnyRow]] = defaultdict(list)
        self.pools: dict[str, list[AnyRow]] = {}
        self.turns: dict[str, int] = {}
        self.barred: set[tuple[int, str]] = set()
        self.taken: dict[str, list[_Pick]] = defaultdict(list)

    async def run(self) -> None:
        """Choose, look for messages, and choose again for the lanes whose choice had none."""
        await self._read_offers()
        await self._give_back_shares([*self.turn.stuck, *(row.sender_id for row in self.lanes if not row.able)])
        waiting = [row for row in self.lanes if row.able]
        picks: list[_Pick] = []
        while chosen := self._choose(waiting):
            await self._find_heads(chosen)
            found = [pick for pick in chosen if pick.head is not None]
            self.barred |= {(pick.lane.sender_id, pick.offer.campaign_id) for pick in chosen if pick.head is None}
            for pick in found:
                self.taken[pick.offer.campaign_id].append(pick)
            picks += found
            served = {pick.lane.sender_id for pick in picks}
            waiting = [row for row in waiting if row.sender_id not in served]
        if picks:
            await self._take(picks)
        await self._park({pick.lane.sender_id for pick in picks})

    async def _read_offers(self) -> None:
        senders = [*self.turn.stuck, *(row.sender_id for row in self.lanes)]
        pooled: set[str] = set()
        for row in await self.tx.execute(_OFFERS, {"senders": senders}):
            self.offers[row.sender_id].append(row)
            self.turns[row.campaign_id] = row.turn
            if row.senders > 1:
                pooled.add(row.campaign_id)
        if pooled:
            for row in await self.tx.execute(_POOLS, {"campaigns": sorted(pooled), "now": self.turn.now}):
                self.pools.setdefault(row.campaign_id, []).append(row)

    async def _give_back_shares(self, fallen: Sequence[int]) -> None:
        """What was dealt to lanes that cannot send is dealt anew to the others."""
        shares = [
            {"b_campaign": offer.campaign_id, "b_sender_id": sender_id}
            for sender_id in fallen
            for offer in self.offers[sender_id]
            if offer.failover and offer.senders > 1
        ]
        if shares:
            await self.tx.execute(
                update(message)
                .where(
                    message.c.campaign_id == bindparam("b_campaign"),
                    message.c.sender_id == bindparam("b_sender_id"),
                    _IS_QUEUED,
                )
                .values(sender_id=None),
                shares,
            )

    def _gated(self, offer: AnyRow) -> bool:
        return is_gated(offer.senders, self.turn.delays.switch)

    def _turn_of(self, offer: AnyRow) -> int | None:
        able = [bool(row.able) for row in self.pools[offer.campaign_id]]
        return turn_of(self.turns[offer.campaign_id], able, failover=offer.failover)

    def _ready_at(self, row: AnyRow) -> float:
        delay = self.turn.delays.message if row.message_delay is None else row.message_delay
        return ready_at(row.last_answer_at, delay, row.extra_delay)

    def _goes_at(self, row: AnyRow, offer: AnyRow) -> float | None:
        """When the campaign's next message may leave through this lane; None while that depends on others."""
        ready = self._ready_at(row)
        if not self._gated(offer):
            return ready
        in_turn = offer.rotation == Rotation.FASTEST or self._turn_of(offer) == offer.position
        if offer.in_flight or self.taken[offer.campaign_id] or not in_turn:
            return None
        return goes_at(
            ready,
            switches=offer.last_sender_id != row.sender_id,
            campaign_answer_at=offer.last_answer_at,
            switch_delay=self.turn.delays.switch,
        )

    def _offers_to(self, row: AnyRow) -> list[Offer]:
        return [
            Offer(
                campaign_id=offer.campaign_id,
                sender_id=row.sender_id,
                priority=offer.priority,
                # a campaign alone on its lanes is not noted each time; that it has started says enough
                served_at=max(offer.served_at, offer.started_at or 0.0),
                goes_at=None if (row.sender_id, offer.campaign_id) in self.barred else self._goes_at(row, offer),
            )
            for offer in self.offers[row.sender_id]
        ]

    def _choose(self, waiting: Sequence[AnyRow]) -> list[_Pick]:
        """What each waiting lane takes; a gated campaign is taken by one lane only."""
        horizon = self.turn.now + self.settings.horizon_seconds
        picks: list[_Pick] = []
        gated: set[str] = set()
        for row in waiting:
            offers = [offer for offer in self._offers_to(row) if offer.campaign_id not in gated]
            best = choose(offers, horizon)
            if best is None or best.goes_at is None:
                continue
            offer = next(o for o in self.offers[row.sender_id] if o.campaign_id == best.campaign_id)
            is_gate = self._gated(offer)
            if is_gate:
                gated.add(best.campaign_id)
            picks.append(_Pick(lane=row, offer=offer, fire_at=best.goes_at, gated=is_gate))
        return picks

    async def _find_heads(self, picks: Sequence[_Pick]) -> None:
        """Give each pick the message it will send, where its campaign has one for it."""
        shared: dict[str, list[_Pick]] = defaultdict(list)
        dealt: list[_Pick] = []
        for pick in picks:
            if pick.gated or pick.offer.senders == 1 or pick.offer.rotation == Rotation.FASTEST:
                shared[pick.offer.campaign_id].append(pick)
            else:
                dealt.append(pick)
        first = {key: group for key, group in shared.items() if len(group) == 1 and not self.taken[key]}
        await self._assign(_HEADS_OF_CAMPAIGNS, [group[0] for group in first.values()], by_share=False)
        for key, group in shared.items():
            if key not in first:
                await self._find_first_few(group)
        await self._find_shares(dealt)

    async def _find_first_few(self, group: Sequence[_Pick]) -> None:
        """Several lanes take from one pile: the first messages that nobody has taken in this round."""
        campaign_id = group[0].offer.campaign_id
        gone = {pick.head.id for pick in self.taken[campaign_id] if pick.head is not None}
        count = len(group) + len(gone)
        rows = await self.tx.execute(_FIRST_FEW, {"campaign": campaign_id, "now": self.turn.now, "count": count})
        for pick, head in zip(group, (row for row in rows if row.id not in gone), strict=False):
            pick.head = head

    async def _find_shares(self, picks: Sequence[_Pick]) -> None:
        await self._assign(_HEADS_OF_SHARES, picks, by_share=True)
        without = [pick for pick in picks if pick.head is None]
        if not without:
            return
        for campaign_id in sorted({pick.offer.campaign_id for pick in without}):
            offer = next(pick.offer for pick in without if pick.offer.campaign_id == campaign_id)
            await self._deal(offer)
        await self._assign(_HEADS_OF_SHARES, without, by_share=True)

    async def _assign(self, heads: Any, picks: Sequence[_Pick], *, by_share: bool) -> None:
        if not picks:
            return
        params: dict[str, Any] = {
            "now": self.turn.now,
            "campaigns": sorted({pick.offer.campaign_id for pick in picks}),
        }
        if by_share:
            params["senders"] = sorted({pick.lane.sender_id for pick in picks})
        found = {
            (row.campaign_id, row.sender_id if by_share else None): row for row in await self.tx.execute(heads, params)
        }
        for pick in picks:
            pick.head = found.get((pick.offer.campaign_id, pick.lane.sender_id if by_share else None))

    async def _deal(self, offer: AnyRow) -> None:
        """Deal the next recipients, in turn, to the senders that are able to send."""
        pool = self.pools[offer.campaign_id]
        able = [bool(row.able) for row in pool]
        rounds = _DEAL_ROUNDS if self.turn.delays.message == 0 else 1
        rows = await self.tx.execute(
            _UNDEALT, {"campaign": offer.campaign_id, "now": self.turn.now, "count": rounds * len(pool)}
        )
        dealt, self.turns[offer.campaign_id] = deal(
            [row.id for row in rows], self.turns[offer.campaign_id], able, failover=offer.failover
        )
        if dealt:
            await self.tx.execute(
                _DEAL, [{"b_id": item, "b_sender_id": pool[position].sender_id} for item, position in dealt]
            )
            await self.tx.execute(_SET_TURN, {"b_id": offer.campaign_id, "b_turn": self.turns[offer.campaign_id]})

    async def _take(self, picks: Sequence[_Pick]) -> None:
        """Write what was chosen: the id first, so that whatever happens later can be found out."""
        now = self.turn.now
        claims = [self._claim(pick, pick.head) for pick in picks if pick.head is not None]
        await self.tx.execute(
            _TAKE_MESSAGE,
            [
                {"b_id": c.message_id, "b_sender_id": c.sender_id, "b_wa_id": c.wa_id, "b_started_at": c.started_at}
                for c in claims
            ],
        )
        await self.tx.execute(_TAKE_LANE, [_lease(self.settings, self.turn, c.sender_id, c.message_id) for c in claims])
        counts: list[dict[str, Any]] = []
        for campaign_id in sorted(key for key, taken in self.taken.items() if taken):
            taken = self.taken[campaign_id]
            if taken[0].gated:
                self.turns[campaign_id] = (taken[0].offer.position + 1) % taken[0].offer.senders
            counts.append({"b_id": campaign_id, "b_taken": len(taken), "b_turn": self.turns[campaign_id], "b_now": now})
        await self.tx.execute(_COUNT_TAKEN, counts)
        served = [
            {"b_campaign_id": pick.offer.campaign_id, "b_sender_id": pick.lane.sender_id, "b_now": now}
            for pick in picks
            if len(self.offers[pick.lane.sender_id]) > 1
        ]
        if served:
            await self.tx.execute(_SERVED, served)
        self.turn.claims += claims

    def _claim(self, pick: _Pick, head: AnyRow) -> Claim:
        row, offer = pick.lane, pick.offer
        return Claim(
            task=Task.SEND,
            sender_id=row.sender_id,
            epoch=row.epoch + 1,
            message_id=head.id,
            campaign_id=offer.campaign_id,
            wa_id=head.wa_id or make_message_id(),
            phone=head.phone,
            text=offer.template if head.text is None else head.text,
            media_id=offer.media_id,
            attempts=head.attempts + 1,
            fire_at=max(pick.fire_at, self.turn.now),
            started_at=max(pick.fire_at, self.turn.now),
            turn=offer.position if pick.gated else None,
            failover=offer.failover,
            number=row.number,
            session_name=row.session_name,
            server_id=row.server_id,
            paired_at=row.paired_at,
        )

    async def _park(self, served: Iterable[int]) -> None:
        """Lanes that took nothing: when to look at each of them again."""
        done = set(served)
        rest = [row for row in self.lanes if row.sender_id not in done]
        if not rest:
            return
        busy = await self._with_hidden_work([row.sender_id for row in rest if not self.offers[row.sender_id]])
        now, poll = self.turn.now, self.settings.poll_seconds
        park: list[dict[str, Any]] = []
        for row in rest:
            due_at = now + poll
            if row.able and row.sender_id not in busy:
                due_at = look_again_at(self._offers_to(row), now, poll, IDLE)
            elif not self.offers[row.sender_id] and row.sender_id not in busy:
                due_at = IDLE
            park.append({"b_sender_id": row.sender_id, "b_due_at": due_at, "b_message_id": None})
        await self.tx.execute(_PARK_LANE, park)

    async def _with_hidden_work(self, senders: Sequence[int]) -> set[int]:
        """Lanes whose campaigns another replica holds just now: they look idle and are not."""
        if not senders:
            return set()
        return set((await self.tx.execute(_HAS_WORK, {"senders": senders})).scalars())
