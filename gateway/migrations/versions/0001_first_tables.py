"""first tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")


def upgrade() -> None:
    """Make all tables, the account of open mode, and the clock that rows obey."""
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key"),
    )
    op.create_table(
        "media",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("mimetype", sa.String(length=255), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "message",
        sa.Column("id", ID, nullable=False),
        sa.Column("campaign_id", ID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("phone", sa.String(length=15), nullable=False),
        sa.Column("grade", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("sender_id", sa.Integer(), nullable=True),
        sa.Column("wa_id", sa.String(length=40), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("uncertain_at", sa.Float(), nullable=True),
        sa.Column("sent_at", sa.Float(), nullable=True),
        sa.Column("delivered_at", sa.Float(), nullable=True),
        sa.Column("read_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("ack", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(length=40), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'sent', 'delivered', 'read', 'unconfirmed', 'failed', 'skipped', 'cancelled')",
            name="state",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_message_bad",
        "message",
        ["campaign_id", "seq"],
        unique=False,
        sqlite_where=sa.text("state IN ('failed', 'unconfirmed')"),
        postgresql_where=sa.text("state IN ('failed', 'unconfirmed')"),
    )
    op.create_index(
        "ix_message_dealt",
        "message",
        ["campaign_id", "sender_id", "seq"],
        unique=False,
        sqlite_where=sa.text("state = 'queued' AND sender_id IS NOT NULL"),
        postgresql_where=sa.text("state = 'queued' AND sender_id IS NOT NULL"),
    )
    op.create_index(
        "ix_message_queued",
        "message",
        ["campaign_id", "seq"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("uq_message_campaign_seq", "message", ["campaign_id", "seq"], unique=True)
    op.create_index(
        "uq_message_wa_id",
        "message",
        ["wa_id"],
        unique=True,
        sqlite_where=sa.text("wa_id IS NOT NULL"),
        postgresql_where=sa.text("wa_id IS NOT NULL"),
    )

    op.create_table(
        "server",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("api_key_encrypted", sa.String(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("up", sa.Boolean(), nullable=False),
        sa.Column("engine", sa.String(length=16), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("last_seen_at", sa.Float(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "setting",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "campaign",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("sender_number", sa.String(length=15), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("media_url", sa.String(), nullable=True),
        sa.Column("media_id", sa.String(length=36), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("rotation", sa.String(length=8), nullable=False),
        sa.Column("failover", sa.Boolean(), nullable=False),
        sa.Column("senders", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("in_flight", sa.Integer(), nullable=False),
        sa.Column("last_answer_at", sa.Float(), nullable=True),
        sa.Column("last_sender_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("n_queued", sa.Integer(), nullable=False),
        sa.Column("n_sending", sa.Integer(), nullable=False),
        sa.Column("n_sent", sa.Integer(), nullable=False),
        sa.Column("n_delivered", sa.Integer(), nullable=False),
        sa.Column("n_read", sa.Integer(), nullable=False),
        sa.Column("n_unconfirmed", sa.Integer(), nullable=False),
        sa.Column("n_failed", sa.Integer(), nullable=False),
        sa.Column("n_skipped", sa.Integer(), nullable=False),
        sa.Column("n_cancelled", sa.Integer(), nullable=False),
        sa.CheckConstraint("rotation IN ('even', 'fastest')", name="rotation"),
        sa.CheckConstraint(
            "state IN ('scheduled', 'queued', 'running', 'paused', 'completed', 'completed_with_errors', 'failed', 'cancelled')",
            name="state",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_campaign_account_created", "campaign", ["account_id", "created_at"], unique=False)
    op.create_index("ix_campaign_sender_number_created", "campaign", ["sender_number", "created_at"], unique=False)

    op.create_table(
        "sender",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=15), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_table(
        "sender_token",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("number", sa.String(length=15), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index("ix_sender_token_number", "sender_token", ["number"], unique=False)

    op.create_table(
        "campaign_sender",
        sa.Column("campaign_id", ID, nullable=False),
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("served_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sender_id"],
            ["sender.id"],
        ),
        sa.PrimaryKeyConstraint("campaign_id", "sender_id"),
    )
    op.create_index(
        "ix_campaign_sender_open",
        "campaign_sender",
        ["sender_id"],
        unique=False,
        sqlite_where=sa.text("open"),
        postgresql_where=sa.text("open"),
    )

    op.create_table(
        "lane",
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Float(precision=53), nullable=False),
        sa.Column("owner", sa.String(length=36), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("message_id", ID, nullable=True),
        sa.Column("last_answer_at", sa.Float(), nullable=True),
        sa.Column("message_delay", sa.Float(), nullable=True),
        sa.Column("extra_delay", sa.Float(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("sent_today", sa.Integer(), nullable=False),
        sa.Column("sent_total", sa.Integer(), nullable=False),
        sa.Column("resting_until", sa.Float(), nullable=False),
        sa.Column("resting_code", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["sender_id"],
            ["sender.id"],
        ),
        sa.PrimaryKeyConstraint("sender_id"),
    )
    op.create_index("ix_lane_due_at", "lane", ["due_at"], unique=False)

    op.create_table(
        "session",
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=54), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("waha_status", sa.String(length=40), nullable=False),
        sa.Column("desired", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("push_name", sa.String(), nullable=False),
        sa.Column("paired_at", sa.Float(), nullable=True),
        sa.Column("pairing_until", sa.Float(), nullable=True),
        sa.Column("last_active", sa.Float(), nullable=True),
        sa.Column("state_at", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.CheckConstraint("desired IN ('RUNNING', 'STOPPED')", name="desired"),
        sa.CheckConstraint(
            "state IN ('STOPPED', 'STARTING', 'WAITING_FOR_SCAN', 'SCANNED', 'CONNECTED', 'FAILED', 'EXPIRED')",
            name="state",
        ),
        sa.ForeignKeyConstraint(
            ["sender_id"],
            ["sender.id"],
        ),
        sa.ForeignKeyConstraint(
            ["server_id"],
            ["server.id"],
        ),
        sa.PrimaryKeyConstraint("sender_id"),
    )
    op.create_index("ix_session_name", "session", ["name"], unique=False)
    op.create_index("ix_session_server_id", "session", ["server_id"], unique=False)
    op.execute("INSERT INTO account (id, name, created_at) VALUES ('local', 'local', 0)")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION gateway_now() RETURNS double precision LANGUAGE sql VOLATILE AS "
            "$$ SELECT extract(epoch FROM clock_timestamp())::double precision $$"
        )


def downgrade() -> None:
    """Remove everything."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION gateway_now()")
    op.drop_table("session")
    op.drop_table("lane")
    op.drop_table("campaign_sender")
    op.drop_table("sender_token")
    op.drop_table("sender")
    op.drop_table("campaign")
    op.drop_table("setting")
    op.drop_table("server")
    op.drop_table("message")
    op.drop_table("media")
    op.drop_table("idempotency_key")
    op.drop_table("account")
