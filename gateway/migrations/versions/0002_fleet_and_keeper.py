"""fleet, keeper, keepalive and limits"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ZERO, EMPTY = sa.text("0"), sa.text("''")


def server_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False, server_default=ZERO),
        sa.Column("ask_at", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("last_error", sa.String(), nullable=False, server_default=EMPTY),
        sa.Column("listener", sa.String(length=36), nullable=True),
        sa.Column("listener_until", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("ghosts", sa.String(), nullable=False, server_default=sa.text("'[]'")),
    )


def sender_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("locked_until", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("lock_strikes", sa.Integer(), nullable=False, server_default=ZERO),
        sa.Column("lock_reason", sa.String(), nullable=False, server_default=EMPTY),
    )


def session_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("moving_to", sa.String(length=36), nullable=True),
        sa.Column("status_at", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("event_at", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("requires_auth", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("busy_by", sa.String(length=36), nullable=True),
        sa.Column("busy_with", sa.String(length=16), nullable=False, server_default=EMPTY),
        sa.Column("busy_until", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("repairs", sa.Integer(), nullable=False, server_default=ZERO),
        sa.Column("repair_at", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("repaired_at", sa.Float(), nullable=True),
        sa.Column("rejections", sa.Integer(), nullable=False, server_default=ZERO),
        sa.Column("configured_at", sa.Float(), nullable=True),
        sa.Column("deaf_at", sa.Float(), nullable=True),
        sa.Column("phone_last_seen", sa.Float(), nullable=True),
        sa.Column("ping_at", sa.Float(), nullable=True),
        sa.Column("pinged_at", sa.Float(), nullable=True),
        sa.Column("ping_failures", sa.Integer(), nullable=False, server_default=ZERO),
        sa.Column("warned_at", sa.Float(), nullable=True),
        sa.Column("phone_warned_at", sa.Float(), nullable=True),
        sa.Column("capping", sa.String(), nullable=False, server_default=EMPTY),
    )


def upgrade() -> None:
    """Add what the fleet, the keeper and the keepalive remember."""
    for table, columns in (("server", server_columns()), ("sender", sender_columns())):
        for column in columns:
            op.add_column(table, column)
    with op.batch_alter_table("session") as batch:
        for column in session_columns():
            batch.add_column(column)
        batch.drop_constraint("desired", type_="check")
        batch.create_check_constraint("desired", "desired IN ('RUNNING', 'STOPPED', 'DELETED')")
        batch.create_foreign_key("session_moving_to_fkey", "server", ["moving_to"], ["id"])
    # a phone is needed where none is paired, or where the last one was logged out; it was seen when it scanned
    op.execute("UPDATE session SET requires_auth = (paired_at IS NULL OR state IN ('EXPIRED', 'FAILED'))")
    op.execute("UPDATE session SET phone_last_seen = paired_at, status_at = state_at")
    op.add_column("message", sa.Column("chat_id", sa.String(length=64), nullable=True))
    op.add_column("sender_token", sa.Column("stranger", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "server_seed",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("values_encrypted", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "session_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_session_event_sender", "session_event", ["sender_id", "id"], unique=False)
    op.create_index("ix_session_event_at", "session_event", ["at"], unique=False)
    op.create_table(
        "number_check",
        sa.Column("phone", sa.String(length=15), nullable=False),
        sa.Column("exists", sa.Boolean(), nullable=False),
        sa.Column("chat_id", sa.String(length=64), nullable=True),
        sa.Column("checked_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("phone"),
    )
    op.create_index("ix_number_check_checked_at", "number_check", ["checked_at"], unique=False)
    op.create_table(
        "correspondent",
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("phone", sa.String(length=15), nullable=False),
        sa.Column("wrote_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"]),
        sa.PrimaryKeyConstraint("sender_id", "phone"),
    )


def downgrade() -> None:
    """Forget it again."""
    for table in ("correspondent", "number_check", "session_event", "server_seed"):
        op.drop_table(table)
    op.drop_column("message", "chat_id")
    with op.batch_alter_table("sender_token") as batch:
        batch.drop_column("stranger")
    op.execute("UPDATE session SET desired = 'STOPPED' WHERE desired = 'DELETED'")
    with op.batch_alter_table("session") as batch:
        batch.drop_constraint("session_moving_to_fkey", type_="foreignkey")
        batch.drop_constraint("desired", type_="check")
        batch.create_check_constraint("desired", "desired IN ('RUNNING', 'STOPPED')")
        for column in session_columns():
            batch.drop_column(column.name)
    for table, columns in (("sender", sender_columns()), ("server", server_columns())):
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.drop_column(column.name)
