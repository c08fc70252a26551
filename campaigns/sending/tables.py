"""The tables that sending reads and writes, for SQLAlchemy Core."""

from campaigns.audience.models import Correspondent
from campaigns.sending.models import Campaign, CampaignSender, Lane, Media, Message, Setting, UsualHours
from gateway.db import table_of
from sessions.models import Sender, Server, Session

lane = table_of(Lane)
message = table_of(Message)
campaign = table_of(Campaign)
campaign_sender = table_of(CampaignSender)
setting = table_of(Setting)
media = table_of(Media)
usual_hours = table_of(UsualHours)
sender = table_of(Sender)
session = table_of(Session)
server = table_of(Server)
correspondent = table_of(Correspondent)
