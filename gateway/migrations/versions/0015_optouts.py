"""whom an account may not write to, and how often it may write to the same person"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
FOLDED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
SOURCES = "source IN ('keyword', 'api', 'import', 'console')"


def upgrade() -> None:
    """Make room for opt-outs; what was submitted before is a campaign without a limit."""
    op.create_table(
        "suppression",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("person", sa.String(length=15), nullable=False),
        sa.Column("phone", sa.String(length=15), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("sender_number", sa.String(length=15), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("search_text", FOLDED, nullable=False),
        sa.CheckConstraint(SOURCES, name="source"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_suppression_account_person", "suppression", ["account_id", "person"], unique=True)
    op.create_index("ix_suppression_account", "suppression", ["account_id", "id"], unique=False)
    op.create_table(
        "suppression_history",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("person", sa.String(length=15), nullable=False),
        sa.Column("phone", sa.String(length=15), nullable=False),
        sa.Column("action", sa.String(length=9), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("by", sa.String(length=320), nullable=False),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("sender_number", sa.String(length=15), nullable=True),
        sa.Column("said_at", sa.Double(), nullable=True),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.CheckConstraint("action IN ('opted_out', 'opted_in')", name="action"),
        sa.CheckConstraint(SOURCES, name="source"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_suppression_history_person", "suppression_history", ["account_id", "person", "id"], unique=False
    )
    op.create_table(
        "frequency_cap",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.add_column("campaign", sa.Column("purpose", sa.String(length=12), nullable=False, server_default="campaign"))
    op.add_column("campaign", sa.Column("cap_messages", sa.Integer(), nullable=True))
    op.add_column("campaign", sa.Column("cap_days", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Take it away again: whoever has opted out is forgotten."""
    for name in ("cap_days", "cap_messages", "purpose"):
        op.drop_column("campaign", name)
    op.drop_table("frequency_cap")
    op.drop_table("suppression_history")
    op.drop_table("suppression")
