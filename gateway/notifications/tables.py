"""The tables of events, for Core statements."""

from gateway.db import table_of
from gateway.notifications.models import Event, EventCounter, EventListener

event = table_of(Event)
listener = table_of(EventListener)
counter = table_of(EventCounter)
