"""The statements of claiming: what is due, what it is offered, and taking it. All SQL of `claiming` and `choosing`.

A partial index is used only where its predicate stands in the statement as it is: so states are literals here.
"""

from sqlalchemy import ColumnElement, and_, bindparam, func, literal_column, or_, select, update

from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.tables import campaign, campaign_sender, lane, message, sender, server, session
from sessions.models import SessionState

IS_QUEUED: ColumnElement[bool] = literal_column("message.state = 'queued'")
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
        sender.c.number,
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
    .limit(bindparam("batch"))
    .with_for_update(of=lane, skip_locked=True)
)

OFFERS = (
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

POOLS = (
    select(
        campaign_sender.c.campaign_id,
        campaign_sender.c.sender_id,
        and_(_ABLE, message.c.uncertain_at.is_(None)).label("able"),
    )
    .select_from(
        campaign_sender.join(lane, lane.c.sender_id == campaign_sender.c.sender_id)
        .join(sender, sender.c.id == campaign_sender.c.sender_id)
        .outerjoin(message, message.c.id == lane.c.message_id)
        .outerjoin(session, session.c.sender_id == campaign_sender.c.sender_id)
        .outerjoin(server, server.c.id == session.c.server_id)
    )
    .where(campaign_sender.c.campaign_id.in_(bindparam("campaigns", expanding=True)))
    .order_by(campaign_sender.c.campaign_id, campaign_sender.c.position)
)

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
    .where(campaign.c.id.in_(bindparam("campaigns", expanding=True)))
)
_FIRST_OF_SHARE = (
    select(func.min(message.c.seq))
    .where(
        message.c.campaign_id == campaign_sender.c.campaign_id,
        message.c.sender_id == campaign_sender.c.sender_id,
        IS_QUEUED,
        message.c.not_before <= bindparam("now"),
    )
    .correlate(campaign_sender)
    .scalar_subquery()
)
HEADS_OF_SHARES = (
    select(*HEAD_COLUMNS)
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
FIRST_FEW = (
    select(*HEAD_COLUMNS)
    .where(message.c.campaign_id == bindparam("campaign"), IS_QUEUED, message.c.not_before <= bindparam("now"))
    .order_by(message.c.seq)
    .limit(bindparam("count"))
)
UNDEALT = FIRST_FEW.where(message.c.sender_id.is_(None))
DEAL = update(message).where(message.c.id == bindparam("b_id"), IS_QUEUED).values(sender_id=bindparam("b_sender_id"))

SET_TURN = update(campaign).where(campaign.c.id == bindparam("b_id")).values(turn=bindparam("b_turn"))
HAS_WORK = (
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
).where(message.c.id.in_(bindparam("ids", expanding=True)))
IS_UNCERTAIN = update(message).where(message.c.id == bindparam("b_id")).values(uncertain_at=message.c.started_at)

TAKE_MESSAGE = (
    update(message)
    .where(message.c.id == bindparam("b_id"), IS_QUEUED)
    .values(
        state=MessageState.SENDING,
        sender_id=bindparam("b_sender_id"),
        wa_id=bindparam("b_wa_id"),
        started_at=bindparam("b_started_at"),
        attempts=message.c.attempts + 1,
    )
)
TAKE_LANE = (
    update(lane)
    .where(lane.c.sender_id == bindparam("b_sender_id"))
    .values(
        owner=bindparam("b_owner"),
        epoch=lane.c.epoch + 1,
        due_at=bindparam("b_due_at"),
        message_id=bindparam("b_message_id"),
    )
)
PARK_LANE = (
    update(lane)
    .where(lane.c.sender_id == bindparam("b_sender_id"))
    .values(owner=None, due_at=bindparam("b_due_at"), message_id=bindparam("b_message_id"))
)
COUNT_TAKEN = (
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
CAMPAIGN_HEARD = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"), func.coalesce(campaign.c.last_answer_at, 0) < bindparam("b_at"))
    .values(last_answer_at=bindparam("b_at"), last_sender_id=bindparam("b_sender_id"))
)
