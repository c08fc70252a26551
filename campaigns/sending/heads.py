"""Finding the message that each lane takes from the campaign that it chose, and dealing new ones to senders in turn.

Where messages have times of their own, the earliest of them goes first, and a campaign in which none is due tells its
lanes when the next one is: until then they are not looked at, however many wait.
"""

from collections import defaultdict
from collections.abc import Sequence

from campaigns.sending.claim_statements import (
    DEAL,
    EARLIEST,
    FIRST_FEW,
    FIRST_TIMED,
    HEADS_OF_CAMPAIGNS,
    HEADS_OF_SHARES,
    SET_NEXT,
    SET_TURN,
    TIMED_UNDEALT,
    UNDEALT,
)
from campaigns.sending.offers import Offering, Pick, Round, Share
from campaigns.sending.replies import find_reply
from campaigns.sending.rotation import deal
from campaigns.sending.rows import DueLane, Head, fetch
from gateway.batch import pack, pack_values

_DEAL_ROUNDS = 8
"""How many rounds are dealt ahead where nobody waits between two messages."""


async def find_heads(round_: Round, picks: Sequence[Pick]) -> None:
    """Give each pick the message it will send, where its campaign has one for it."""
    shared: dict[str, list[Pick]] = defaultdict(list)
    dealt: list[Pick] = []
    for pick in picks:
        if pick.share.is_dealt:
            dealt.append(pick)
        else:
            shared[pick.share.campaign.row.id].append(pick)
    alone = [group[0] for group in shared.values() if len(group) == 1 and _is_plain(group[0].share.campaign)]
    if alone:
        campaigns = pack_values(sorted(pick.share.campaign.row.id for pick in alone))
        rows = await round_.tx.execute(HEADS_OF_CAMPAIGNS, {"campaigns": campaigns, "now": round_.turn.now})
        found = {row.campaign_id: row for row in fetch(Head, rows)}
        for pick in alone:
            pick.head = found.get(pick.share.campaign.row.id)
    for group in shared.values():
        if len(group) > 1 or not _is_plain(group[0].share.campaign):
            await _find_first_few(round_, group)
    if dealt:
        await _find_in_shares(round_, dealt)
    unserved = {pick.share.campaign.row.id: pick.share.campaign for pick in picks if pick.head is None}
    for campaign in unserved.values():
        if campaign.next_at is not None:
            await _note_next(round_, campaign)


def _is_plain(campaign: Offering) -> bool:
    """Whether the first message in order is the one to take: nothing was taken in this round, and none has a time."""
    return campaign.next_at is None and not campaign.taken


async def _note_next(round_: Round, campaign: Offering) -> None:
    """Store when the next message of a campaign is due that has none for a lane now."""
    found = (await round_.tx.execute(EARLIEST, {"campaign": campaign.row.id})).scalar()
    if found is not None and found != campaign.next_at:
        campaign.next_at = float(found)
        await round_.tx.execute(SET_NEXT, {"b_id": campaign.row.id, "b_next_at": campaign.next_at})


async def _find_first_few(round_: Round, group: Sequence[Pick]) -> None:
    """Several lanes take from one pile: the first messages that nobody has taken in this round."""
    campaign = group[0].share.campaign
    gone = campaign.taken
    params = {"campaign": campaign.row.id, "now": _until(round_, campaign), "count": len(group) + len(gone)}
    rows = fetch(Head, await round_.tx.execute(FIRST_FEW if campaign.next_at is None else FIRST_TIMED, params))
    for pick, head in zip(group, (row for row in rows if row.id not in gone), strict=False):
        pick.head = head


def _until(round_: Round, campaign: Offering) -> float:
    """Which messages count as due; those with times of their own are claimed ahead, and fired at their very time."""
    return round_.turn.now if campaign.next_at is None else round_.horizon


async def _find_in_shares(round_: Round, picks: Sequence[Pick]) -> None:
    await _assign(round_, picks)
    without = [pick for pick in picks if pick.head is None]
    if not without:
        return
    for campaign in {pick.share.campaign.row.id: pick.share.campaign for pick in without}.values():
        await _deal(round_, campaign)
    await _assign(round_, without)


async def _assign(round_: Round, picks: Sequence[Pick]) -> None:
    pairs = sorted((pick.share.campaign.row.id, pick.lane.sender_id) for pick in picks)
    found = {(row.campaign_id, row.sender_id): row for row in await _heads_of_shares(round_, pairs)}
    for pick in picks:
        pick.head = found.get((pick.share.campaign.row.id, pick.lane.sender_id))


async def _heads_of_shares(round_: Round, pairs: Sequence[tuple[str, int]]) -> Sequence[Head]:
    # as far ahead as messages with times of their own were dealt
    return fetch(Head, await round_.tx.execute(HEADS_OF_SHARES, {"shares": pack(pairs), "now": round_.horizon}))


async def _deal(round_: Round, campaign: Offering) -> None:
    """Deal the next recipients, in turn, to the senders that are able to send."""
    await round_.read_pool(campaign)
    rounds = _DEAL_ROUNDS if round_.turn.delays.message == 0 else 1
    params = {"campaign": campaign.row.id, "now": _until(round_, campaign), "count": rounds * len(campaign.pool)}
    rows = fetch(Head, await round_.tx.execute(UNDEALT if campaign.next_at is None else TIMED_UNDEALT, params))
    dealt, campaign.turn = deal([row.id for row in rows], campaign.turn, campaign.able, failover=campaign.row.failover)
    if dealt:
        await round_.tx.execute(DEAL, {"dealt": pack((item, campaign.pool[position]) for item, position in dealt)})
        await round_.tx.execute(SET_TURN, {"b_id": campaign.row.id, "b_turn": campaign.turn})


async def find_answer(round_: Round, row: DueLane, share: Share) -> Head | None:
    """A message to somebody who wrote to this lane's sender; None if the campaign has none for it."""
    of_share = share.is_dealt and not share.campaign.row.failover
    campaign_id = share.campaign.row.id
    if of_share and not await _heads_of_shares(round_, [(campaign_id, row.sender_id)]):
        await _deal(round_, share.campaign)  # nobody else may be there to deal
    return await find_reply(
        round_.tx, campaign_id, row.sender_id, round_.turn.now, share.campaign.taken, of_share=of_share
    )
