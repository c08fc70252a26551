"""The table of clients, for SQLAlchemy Core."""

from gateway.auth.clients.models import Client
from gateway.db import table_of

client = table_of(Client)
