"""clients, their API keys, and which client's a campaign is at which price"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
FOLDED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_THERE = sa.text("removed_at IS NULL")
_CLIENTS = sa.text("client_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "client",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("folded_name", FOLDED, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("daily_limit", sa.Integer(), nullable=True),
        sa.Column("messages_per_minute", sa.Integer(), nullable=True),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("day_ends_at", sa.Float(), nullable=False),
        sa.Column("sent_today", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("removed_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_client_name", "client", ["folded_name"], unique=True, sqlite_where=_THERE, postgresql_where=_THERE
    )
    op.create_index("uq_client_account", "client", ["account_id"], unique=True)
    op.create_table(
        "api_key",
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("scopes", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("last_used_at", sa.Float(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key_hash"),
    )
    op.create_index("ix_api_key_client_id", "api_key", ["client_id"])
    op.add_column("campaign", sa.Column("client_id", ID, nullable=True))
    op.add_column("campaign", sa.Column("price", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_campaign_client", "campaign", ["client_id", "state"], sqlite_where=_CLIENTS, postgresql_where=_CLIENTS
    )


def downgrade() -> None:
    op.drop_index("ix_campaign_client", table_name="campaign")
    op.drop_column("campaign", "price")
    op.drop_column("campaign", "client_id")
    op.drop_table("api_key")
    op.drop_table("client")
