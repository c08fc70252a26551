"""The tables of opt-outs, for SQLAlchemy Core."""

from campaigns.audience.optouts.models import FrequencyCap, Suppression, SuppressionHistory
from gateway.auth.models import Account
from gateway.db import table_of

account = table_of(Account)
suppression = table_of(Suppression)
history = table_of(SuppressionHistory)
frequency_cap = table_of(FrequencyCap)
