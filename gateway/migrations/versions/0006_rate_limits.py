"""windows of rate limits that several replicas count together, and the status code of answers to idempotency keys"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_limit",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_rate_limit_ends_at", "rate_limit", ["ends_at"])
    op.add_column("idempotency_key", sa.Column("status_code", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency_key", "status_code")
    op.drop_table("rate_limit")
