"""The statements of claiming: what is due, what it is offered, and taking it. All SQL of `claiming` and `choosing`.

A partial index is used only where its predicate stands in the statement as it is: so states are literals here.
"""

from sqlalchemy import ColumnElement, Integer, String, and_, bindparam, case, func, literal_column, or_, select, update

from campaigns.audience.optouts.queries import suppressed
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.tables import campaign, campaign_sender, lane, message, sender, server, session
from gateway.batch import batch, is_among
from gateway.db import ID, SECONDS
from sessions.models import SessionState

IS_QUEUED: ColumnElement[bool] = literal_column("message.state = 'queued'")
HAS_TIME: ColumnElement[bool] = literal_column("message.not_before > 0")
_READY = and_(
    session.c.state == SessionState.CONNECTED,
    session.c.moving_to.is_(None),  # it is about to be stopped
    server.c.up,
    lane.c.resting_until <= bindparam("now"),
)
_ABLE = and_(_READY, sender.c.locked_until <= bindparam("now"))

DUE_LANES = (
    select(
        lane.c.sender_id,
        lane.c.epoch,
        lane.c.owner,
        lane.c.message_id,
        lane.c.due_at,
        lane.c.last_answer_at,
        lane.c.message_delay,
        lane.c.extra_delay,
        lane.c.timezone,
        lane.c.daily_cap,
        lane.c.day_ends_at,
        lane.c.sent_today,
        lane.c.slice_at,
        lane.c.slice_sent,
        lane.c.slices,
        sender.c.number,
        sender.c.account_id,
        session.c.name.label("session_name"),
        session.c.server_id,
        session.c.paired_at,
        sender.c.locked_until,
        sender.c.lock_strikes,
        _READY.label("ready"),  # to reconcile, and to answer people who wrote to it
        _ABLE.label("able"),  # to write to anybody
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
    .limit(bindparam("room"))
    .with_for_update(of=lane, skip_locked=True)
)

_HAS_WORK: tuple[ColumnElement[bool], ...] = (
    literal_column("campaign_sender.open"),
    campaign.c.state.in_((CampaignState.QUEUED, CampaignState.RUNNING)),
    campaign.c.n_queued > 0,
)
SHARES = (
    select(
        campaign_sender.c.sender_id,
        campaign_sender.c.campaign_id,
        campaign_sender.c.position,
        campaign_sender.c.served_at,
    )
    .select_from(campaign_sender.join(campaign, campaign.c.id == campaign_sender.c.campaign_id))
    .where(is_among(campaign_sender.c.sender_id, "senders", Integer()), *_HAS_WORK)
)
CAMPAIGNS = (
    select(
        campaign.c.id,
        campaign.c.priority,
        campaign.c.rotation,
        campaign.c.failover,
        campaign.c.senders,
        campaign.c.turn,
        campaign.c.in_flight,
        campaign.c.last_answer_at,
        campaign.c.last_sender_id,
        campaign.c.started_at,
        campaign.c.opens_at,
        campaign.c.closes_at,
        campaign.c.next_at,
        campaign.c.max_lateness,
        campaign.c.client_id,
        campaign.c.template,
        campaign.c.media_id,
        campaign.c.account_id,
        campaign.c.purpose,
        campaign.c.cap_messages,
        campaign.c.cap_days,
    )
    .where(
        is_among(campaign.c.id, "campaigns", ID),
        campaign.c.state.in_((CampaignState.QUEUED, CampaignState.RUNNING)),
        campaign.c.n_queued > 0,
    )
    .with_for_update(skip_locked=True)
)

_pool = (
    campaign_sender.join(lane, lane.c.sender_id == campaign_sender.c.sender_id)
    .join(sender, sender.c.id == campaign_sender.c.sender_id)
    .outerjoin(message, message.c.id == lane.c.message_id)
    .outerjoin(session, session.c.sender_id == campaign_sender.c.sender_id)
    .outerjoin(server, server.c.id == session.c.server_id)
)
_CAN_SEND = and_(_ABLE, message.c.uncertain_at.is_(None))
POOL = (
    select(campaign_sender.c.sender_id, _CAN_SEND.label("able"))
    .select_from(_pool)
    .where(campaign_sender.c.campaign_id == bindparam("campaign"))
    .order_by(campaign_sender.c.position)
)
NEXT = 16
"""How many of a campaign's senders are woken whose turn is next; some of them may not be able to send."""
IS_NEXT = (campaign_sender.c.position - campaign.c.turn + campaign.c.senders) % campaign.c.senders < NEXT
ABLE_NEXT = (
    select(campaign_sender.c.sender_id)
    .select_from(_pool.join(campaign, campaign.c.id == campaign_sender.c.campaign_id))
    .where(campaign_sender.c.campaign_id == bindparam("campaign"), IS_NEXT, _CAN_SEND)
    .limit(1)
)
GIVEN_BACK = batch("given_back", campaign_id=ID, sender_id=Integer())

HEAD_COLUMNS = (
    message.c.id,
    message.c.campaign_id,
    message.c.seq,
    message.c.phone,
    message.c.text,
    message.c.wa_id,
    message.c.attempts,
    message.c.sender_id,
    message.c.chat_id,
    message.c.not_before,
)
_FIRST_OF_CAMPAIGN = (
    select(func.min(message.c.seq))
    .where(message.c.campaign_id == campaign.c.id, IS_QUEUED, message.c.not_before <= bindparam("now"))
    .correlate(campaign)
    .scalar_subquery()
)
HEADS_OF_CAMPAIGNS = (
    select(*HEAD_COLUMNS)
    .select_from(
        campaign.join(message, and_(message.c.campaign_id == campaign.c.id, message.c.seq == _FIRST_OF_CAMPAIGN))
    )
    .where(is_among(campaign.c.id, "campaigns", ID))
)
_shares = batch("shares", campaign_id=ID, sender_id=Integer())
_FIRST_OF_SHARE = (
    select(func.min(message.c.seq))
    .where(
        message.c.campaign_id == _shares.c.campaign_id,
        message.c.sender_id == _shares.c.sender_id,
        IS_QUEUED,
        message.c.not_before <= bindparam("now"),
    )
    .correlate(_shares)
    .scalar_subquery()
)
HEADS_OF_SHARES = select(*HEAD_COLUMNS).select_from(
    _shares.join(message, and_(message.c.campaign_id == _shares.c.campaign_id, message.c.seq == _FIRST_OF_SHARE))
)
FIRST_FEW = (
    select(*HEAD_COLUMNS)
    .where(message.c.campaign_id == bindparam("campaign"), IS_QUEUED, message.c.not_before <= bindparam("now"))
    .order_by(message.c.seq)
    .limit(bindparam("count"))
)
UNDEALT = FIRST_FEW.where(message.c.sender_id.is_(None))
# where messages have times of their own, those that wait may be many: these look at none of them
FIRST_TIMED = (
    select(*HEAD_COLUMNS)
    .where(
        message.c.campaign_id == bindparam("campaign"), IS_QUEUED, HAS_TIME, message.c.not_before <= bindparam("now")
    )
    .order_by(message.c.not_before, message.c.seq)
    .limit(bindparam("count"))
)
TIMED_UNDEALT = FIRST_TIMED.where(message.c.sender_id.is_(None))
EARLIEST = select(func.min(message.c.not_before)).where(
    message.c.campaign_id == bindparam("campaign"), IS_QUEUED, HAS_TIME
)
SET_NEXT = update(campaign).where(campaign.c.id == bindparam("b_id")).values(next_at=bindparam("b_next_at"))
_dealt = batch("dealt", id=ID, sender_id=Integer())
DEAL = update(message).where(message.c.id == _dealt.c.id, IS_QUEUED).values(sender_id=_dealt.c.sender_id)

SET_TURN = update(campaign).where(campaign.c.id == bindparam("b_id")).values(turn=bindparam("b_turn"))
HAS_WORK = (
    select(campaign_sender.c.sender_id)
    .distinct()
    .select_from(campaign_sender.join(campaign, campaign.c.id == campaign_sender.c.campaign_id))
    .where(
        is_among(campaign_sender.c.sender_id, "senders", Integer()),
        *_HAS_WORK,
    )
)

LEFT_BEHIND = select(
    message.c.id,
    message.c.campaign_id,
    message.c.state,
    message.c.phone,
    message.c.chat_id,
    message.c.wa_id,
    message.c.attempts,
    message.c.started_at,
    message.c.uncertain_at,
    func.coalesce(message.c.sent_at, message.c.finished_at).label("told_at"),
).where(is_among(message.c.id, "ids", ID))
IS_UNCERTAIN = update(message).where(message.c.id == bindparam("b_id")).values(uncertain_at=message.c.started_at)

_messages = batch(
    "messages",
    id=ID,
    sender_id=Integer(),
    wa_id=String(),
    started_at=SECONDS,
    person=String(),
    account_id=String(),
    owner=String(),
)
TAKE_MESSAGE = (
    update(message)
    .where(
        message.c.id == _messages.c.id,
        IS_QUEUED,
        ~suppressed(_messages.c.person, _messages.c.account_id, _messages.c.owner),
    )
    .values(
        state=MessageState.SENDING,
        sender_id=_messages.c.sender_id,
        wa_id=_messages.c.wa_id,
        started_at=_messages.c.started_at,
        attempts=message.c.attempts + 1,
    )
    .returning(message.c.id)
)
_taken = batch("taken", sender_id=Integer(), message_id=ID)
TAKE_LANE = (
    update(lane)
    .where(lane.c.sender_id == _taken.c.sender_id)
    .values(
        owner=bindparam("owner"),
        epoch=lane.c.epoch + 1,
        due_at=bindparam("until", type_=SECONDS),
        message_id=_taken.c.message_id,
    )
)
ROLL_LANE = (
    update(lane)
    .where(lane.c.sender_id == bindparam("b_sender_id"))
    .values(
        day_ends_at=bindparam("b_day_ends_at"),
        sent_today=bindparam("b_sent_today"),
        slice_at=bindparam("b_slice_at"),
        slice_sent=bindparam("b_slice_sent"),
        slices=bindparam("b_slices"),
    )
)
_parked = batch("parked", sender_id=Integer(), due_at=SECONDS, message_id=ID)
PARK_LANES = (
    update(lane)
    .where(lane.c.sender_id == _parked.c.sender_id)
    .values(owner=None, due_at=_parked.c.due_at, message_id=_parked.c.message_id)
)
REST_LANE = (
    update(lane)
    .where(lane.c.sender_id == bindparam("b_sender_id"))
    .values(
        owner=None,
        message_id=None,
        due_at=bindparam("b_until"),
        resting_until=bindparam("b_until"),
        resting_code=bindparam("b_code"),
    )
)
_counted = batch("counted", id=ID, taken=Integer(), turn=Integer())
COUNT_TAKEN = (
    update(campaign)
    .where(campaign.c.id == _counted.c.id)
    .values(
        n_queued=campaign.c.n_queued - _counted.c.taken,
        n_sending=campaign.c.n_sending + _counted.c.taken,
        in_flight=campaign.c.in_flight + _counted.c.taken,
        turn=_counted.c.turn,
        state=CampaignState.RUNNING,
        started_at=func.coalesce(campaign.c.started_at, bindparam("now", type_=SECONDS)),
    )
)
SERVED = (
    update(campaign_sender)
    .where(
        campaign_sender.c.campaign_id == bindparam("b_campaign_id"),
        campaign_sender.c.sender_id == bindparam("b_sender_id"),
    )
    .values(served_at=bindparam("b_now"))
)
CAMPAIGN_LOST_ONE = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"))
    .values(
        in_flight=campaign.c.in_flight - 1,
        last_answer_at=bindparam("b_now"),
        last_sender_id=bindparam("b_sender_id"),
    )
)


# a receipt has told what became of an uncertain message: it may have left as late as then
LANE_HEARD = (
    update(lane)
    .where(lane.c.sender_id == bindparam("b_sender_id"), func.coalesce(lane.c.last_answer_at, 0) < bindparam("b_at"))
    .values(last_answer_at=bindparam("b_at"))
)
LANE_HAS_SENT = (
    update(lane)
    .where(lane.c.sender_id == bindparam("b_sender_id"))
    .values(sent_today=lane.c.sent_today + 1, slice_sent=lane.c.slice_sent + 1, sent_total=lane.c.sent_total + 1)
)
CAMPAIGN_HEARD = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"), func.coalesce(campaign.c.last_answer_at, 0) < bindparam("b_at"))
    # where another one has sent since, it is not known whose was the last one: then any is another sender
    .values(
        last_answer_at=bindparam("b_at"),
        last_sender_id=case((campaign.c.last_sender_id == bindparam("b_sender_id"), campaign.c.last_sender_id)),
    )
)
