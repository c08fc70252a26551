"""Choosing: which campaign each free lane serves, and with which message.

Campaigns offer, lanes choose by the pure rules of `rotation.py` and `pacing.py`, and look for a message. A lane whose
choice has none for it chooses again; one that takes nothing is parked until something may have changed. A lane whose
sender WhatsApp has locked takes no part in that, and may only answer people who wrote to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.claim_statements import (
    COUNT_TAKEN,
    DEAL,
    FIRST_FEW,
    HAS_WORK,
    HEADS_OF_CAMPAIGNS,
    HEADS_OF_SHARES,
    IS_QUEUED,
    OFFERS,
    PARK_LANE,
    POOLS,
    SERVED,
    SET_TURN,
    TAKE_LANE,
    TAKE_MESSAGE,
    UNDEALT,
)
from campaigns.sending.models import IDLE, Rotation
from campaigns.sending.outcomes import Claim, QueueSettings, Task, Turn
from campaigns.sending.pacing import goes_at, is_gated, ready_at
from campaigns.sending.replies import find_reply, with_correspondents
from campaigns.sending.rotation import Offer, choose, deal, look_again_at, turn_of
from campaigns.sending.tables import message
from gateway.db import AnyRow
from gateway.waha.ids import make_message_id

_DEAL_ROUNDS = 8
"""How many rounds are dealt ahead where nobody waits between two messages."""


def lease_of(settings: QueueSettings, turn: Turn, sender_id: int, message_id: str) -> dict[str, Any]:
    """What a lane is given when it is taken: its owner, until when, and for which message."""
    return {
        "b_sender_id": sender_id,
        "b_owner": settings.replica,
        "b_due_at": turn.now + settings.lease_seconds,
        "b_message_id": message_id,
    }


@dataclass(slots=True)
class _Pick:
    """A lane, the campaign it chose, and when it fires.

    `gated` tells that the campaign's messages leave one by one, `in_turn` that this one uses up its sender's turn.
    """

    lane: AnyRow
    offer: AnyRow
    fire_at: float
    gated: bool
    in_turn: bool
    head: AnyRow | None = None
    is_reply: bool = False


class Choice:
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
        picks += await self._answer_people()
        if picks:
            await self._take(picks)
        await self._park({pick.lane.sender_id for pick in picks})

    async def _read_offers(self) -> None:
        senders = [*self.turn.stuck, *(row.sender_id for row in self.lanes)]
        pooled: set[str] = set()
        for row in await self.tx.execute(OFFERS, {"senders": senders}):
            self.offers[row.sender_id].append(row)
            self.turns[row.campaign_id] = row.turn
            if row.senders > 1:
                pooled.add(row.campaign_id)
        if pooled:
            for row in await self.tx.execute(POOLS, {"campaigns": sorted(pooled), "now": self.turn.now}):
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
                    IS_QUEUED,
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

    def _goes_at(self, row: AnyRow, offer: AnyRow, *, out_of_turn: bool = False) -> float | None:
        """When the campaign's next message may leave through this lane; None while that depends on others."""
        ready = self._ready_at(row)
        if not self._gated(offer):
            return ready
        in_turn = out_of_turn or offer.rotation == Rotation.FASTEST or self._turn_of(offer) == offer.position
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
            picks.append(_Pick(lane=row, offer=offer, fire_at=best.goes_at, gated=is_gate, in_turn=is_gate))
        return picks

    # --- people who wrote to a locked sender --------------------------------------------------------------------

    async def _answer_people(self) -> list[_Pick]:
        """What the lanes of locked senders take: messages to people who wrote to them, at the usual pace."""
        locked = {row.sender_id: row for row in self.lanes if _is_locked(row) and self.offers[row.sender_id]}
        if not locked:
            return []
        picks: list[_Pick] = []
        for sender_id in sorted(await with_correspondents(self.tx, list(locked))):
            pick = await self._find_reply(locked[sender_id])
            if pick is not None:
                self.taken[pick.offer.campaign_id].append(pick)
                picks.append(pick)
        return picks

    async def _find_reply(self, row: AnyRow) -> _Pick | None:
        horizon = self.turn.now + self.settings.horizon_seconds
        offers = sorted(self.offers[row.sender_id], key=lambda o: (-o.priority, o.served_at, o.campaign_id))
        for offer in offers:
            goes = self._goes_at(row, offer, out_of_turn=offer.failover)
            if goes is None or goes > horizon:
                continue
            gated = self._gated(offer)
            of_share = not (gated or offer.failover or offer.senders == 1 or offer.rotation == Rotation.FASTEST)
            if of_share:
                await self._deal_share(row, offer)
            gone = {pick.head.id for pick in self.taken[offer.campaign_id] if pick.head is not None}
            head = await find_reply(self.tx, offer.campaign_id, row.sender_id, self.turn.now, gone, of_share=of_share)
            if head is not None:
                in_turn = gated and not offer.failover
                return _Pick(row, offer, goes, gated, in_turn, head, is_reply=True)
        return None

    async def _deal_share(self, row: AnyRow, offer: AnyRow) -> None:
        """Nobody else may be there to deal."""
        params = {"now": self.turn.now, "campaigns": [offer.campaign_id], "senders": [row.sender_id]}
        if (await self.tx.execute(HEADS_OF_SHARES, params)).first() is None:
            await self._deal(offer)

    # --- looking for messages -----------------------------------------------------------------------------------

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
        await self._assign(HEADS_OF_CAMPAIGNS, [group[0] for group in first.values()], by_share=False)
        for key, group in shared.items():
            if key not in first:
                await self._find_first_few(group)
        await self._find_shares(dealt)

    async def _find_first_few(self, group: Sequence[_Pick]) -> None:
        """Several lanes take from one pile: the first messages that nobody has taken in this round."""
        campaign_id = group[0].offer.campaign_id
        gone = {pick.head.id for pick in self.taken[campaign_id] if pick.head is not None}
        count = len(group) + len(gone)
        rows = await self.tx.execute(FIRST_FEW, {"campaign": campaign_id, "now": self.turn.now, "count": count})
        for pick, head in zip(group, (row for row in rows if row.id not in gone), strict=False):
            pick.head = head

    async def _find_shares(self, picks: Sequence[_Pick]) -> None:
        await self._assign(HEADS_OF_SHARES, picks, by_share=True)
        without = [pick for pick in picks if pick.head is None]
        if not without:
            return
        for campaign_id in sorted({pick.offer.campaign_id for pick in without}):
            offer = next(pick.offer for pick in without if pick.offer.campaign_id == campaign_id)
            await self._deal(offer)
        await self._assign(HEADS_OF_SHARES, without, by_share=True)

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
            UNDEALT, {"campaign": offer.campaign_id, "now": self.turn.now, "count": rounds * len(pool)}
        )
        dealt, self.turns[offer.campaign_id] = deal(
            [row.id for row in rows], self.turns[offer.campaign_id], able, failover=offer.failover
        )
        if dealt:
            await self.tx.execute(
                DEAL, [{"b_id": item, "b_sender_id": pool[position].sender_id} for item, position in dealt]
            )
            await self.tx.execute(SET_TURN, {"b_id": offer.campaign_id, "b_turn": self.turns[offer.campaign_id]})

    async def _take(self, picks: Sequence[_Pick]) -> None:
        """Write what was chosen: the id first, so that whatever happens later can be found out."""
        now = self.turn.now
        claims = [self._claim(pick, pick.head) for pick in picks if pick.head is not None]
        await self.tx.execute(
            TAKE_MESSAGE,
            [
                {"b_id": c.message_id, "b_sender_id": c.sender_id, "b_wa_id": c.wa_id, "b_started_at": c.started_at}
                for c in claims
            ],
        )
        await self.tx.execute(
            TAKE_LANE, [lease_of(self.settings, self.turn, c.sender_id, c.message_id) for c in claims]
        )
        counts: list[dict[str, Any]] = []
        for campaign_id in sorted(key for key, taken in self.taken.items() if taken):
            taken = self.taken[campaign_id]
            if taken[0].in_turn:
                self.turns[campaign_id] = (taken[0].offer.position + 1) % taken[0].offer.senders
            counts.append({"b_id": campaign_id, "b_taken": len(taken), "b_turn": self.turns[campaign_id], "b_now": now})
        await self.tx.execute(COUNT_TAKEN, counts)
        served = [
            {"b_campaign_id": pick.offer.campaign_id, "b_sender_id": pick.lane.sender_id, "b_now": now}
            for pick in picks
            if len(self.offers[pick.lane.sender_id]) > 1
        ]
        if served:
            await self.tx.execute(SERVED, served)
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
            turn=offer.position if pick.in_turn else None,
            failover=offer.failover,
            number=row.number,
            session_name=row.session_name,
            server_id=row.server_id,
            paired_at=row.paired_at,
            chat_id=head.chat_id,
            is_reply=pick.is_reply,
            strikes=row.lock_strikes,
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
            if _is_locked(row) and self.offers[row.sender_id]:
                due_at = min(now + self.settings.locked_poll_seconds, max(row.locked_until, due_at))
            elif row.able and row.sender_id not in busy:
                due_at = look_again_at(self._offers_to(row), now, poll, IDLE)
            elif not self.offers[row.sender_id] and row.sender_id not in busy:
                due_at = IDLE
            park.append({"b_sender_id": row.sender_id, "b_due_at": due_at, "b_message_id": None})
        await self.tx.execute(PARK_LANE, park)

    async def _with_hidden_work(self, senders: Sequence[int]) -> set[int]:
        """Lanes whose campaigns another replica holds just now: they look idle and are not."""
        if not senders:
            return set()
        return set((await self.tx.execute(HAS_WORK, {"senders": senders})).scalars())


def _is_locked(row: AnyRow) -> bool:
    """Whether a lane could send, if WhatsApp let its sender write to new contacts."""
    return bool(row.ready) and not row.able
