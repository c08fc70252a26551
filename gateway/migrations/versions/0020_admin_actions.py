"""what operators have done to single rows, and why"""

import sqlalchemy as sa
from alembic import op

from gateway.db import ID

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The history of operators' actions."""
    op.create_table(
        "admin_action",
        sa.Column("id", ID, primary_key=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("by", sa.String(length=320), nullable=False),
        sa.Column("table_name", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("before", sa.String(length=24), nullable=False),
        sa.Column("after", sa.String(length=24), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint("outcome IN ('begun', 'done', 'refused')", name="outcome"),
    )
    op.create_index("ix_admin_action_row", "admin_action", ["table_name", "row_id", "id"])


def downgrade() -> None:
    """Without the history."""
    op.drop_table("admin_action")
