"""events that are told to clients, who listens to them, and how far they are numbered"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
NEW, NUMBERED = sa.text("sequence IS NULL"), sa.text("sequence IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("id", ID, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("campaign_id", ID, nullable=True),
        sa.Column("sender_number", sa.String(length=15), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_event_new", "event", ["id"], sqlite_where=NEW, postgresql_where=NEW)
    op.create_index(
        "uq_event_sequence", "event", ["sequence"], unique=True, sqlite_where=NUMBERED, postgresql_where=NUMBERED
    )
    op.create_table(
        "event_listener",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("sender_number", sa.String(length=15), nullable=True),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("heard_after", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_event_listener_account_id", "event_listener", ["account_id"])
    counter = op.create_table(
        "event_counter",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("forgotten", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.bulk_insert(counter, [{"name": "events", "last": 0, "forgotten": 0}])


def downgrade() -> None:
    op.drop_table("event_counter")
    op.drop_table("event_listener")
    op.drop_table("event")
