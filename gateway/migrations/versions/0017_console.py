"""logins at the console, and its curve of what was sent"""

import sqlalchemy as sa
from alembic import op

from gateway.db import ID

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables of the console."""
    op.create_table(
        "console_login",
        sa.Column("token_hash", sa.String(length=64), primary_key=True),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("login_id", ID, nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
    )
    op.create_index("ix_console_login_seen_at", "console_login", ["seen_at"])
    op.create_table(
        "console_link",
        sa.Column("code_hash", sa.String(length=64), primary_key=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "throughput",
        sa.Column("at", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("account_id", sa.String(length=36), primary_key=True),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
    )
    op.create_index("ix_campaign_finished_at", "campaign", ["finished_at"])


def downgrade() -> None:
    """Without a console."""
    op.drop_index("ix_campaign_finished_at", table_name="campaign")
    op.drop_table("throughput")
    op.drop_table("console_link")
    op.drop_table("console_login")
