"""the inbox: what people write to us, in threads; replies to campaigns"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
FOLDED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
STOPPABLE = sa.text("state = 'queued' AND stoppable")


def create_contacts() -> None:
    """People, and their names."""
    op.create_table(
        "inbox_contact",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("phone", sa.String(length=15), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("search_text", FOLDED, nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_inbox_contact_account", "inbox_contact", ["account_id", "phone"], unique=False)
    op.create_table(
        "contact_identity",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["contact_id"], ["inbox_contact.id"]),
        sa.PrimaryKeyConstraint("account_id", "name"),
    )
    op.create_index("ix_contact_identity_contact", "contact_identity", ["contact_id"], unique=False)


def create_threads() -> None:
    """Conversations, what came in, and which campaigns are replies."""
    op.create_table(
        "conversation",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("last_message_at", sa.Float(), nullable=False),
        sa.Column("last_text", sa.String(length=200), nullable=False),
        sa.Column("unread", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"]),
        sa.ForeignKeyConstraint(["contact_id"], ["inbox_contact.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_conversation_sender_contact", "conversation", ["sender_id", "contact_id"], unique=True)
    op.create_index("ix_conversation_account_last", "conversation", ["account_id", "last_message_at", "id"])
    op.create_index("ix_conversation_sender_last", "conversation", ["sender_id", "last_message_at", "id"])
    op.create_index("ix_conversation_contact", "conversation", ["contact_id"])
    op.create_table(
        "incoming_message",
        sa.Column("id", ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("wa_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("search_text", FOLDED, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("quoted_wa_id", sa.String(length=128), nullable=True),
        sa.Column("answers_id", ID, nullable=True),
        sa.Column("campaign_id", ID, nullable=True),
        sa.CheckConstraint("kind IN ('text', 'media', 'location', 'contact', 'other')", name="kind"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"]),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_incoming_message_wa_id", "incoming_message", ["sender_id", "wa_id"], unique=True)
    op.create_index("ix_incoming_message_thread", "incoming_message", ["conversation_id", "at", "id"])
    op.create_table(
        "conversation_reply",
        sa.Column("campaign_id", ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"]),
        sa.PrimaryKeyConstraint("campaign_id"),
    )
    op.create_index("ix_conversation_reply_conversation", "conversation_reply", ["conversation_id"])


def upgrade() -> None:
    """Make room for the inbox, and for what replies do to campaigns."""
    create_contacts()
    create_threads()
    op.add_column("campaign", sa.Column("label", sa.String(length=255), nullable=False, server_default=""))
    op.add_column("campaign", sa.Column("stop_on_reply", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("campaign", sa.Column("n_replied", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("message", sa.Column("replied_at", sa.Float(), nullable=True))
    op.add_column("message", sa.Column("stoppable", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_message_stoppable", "message", ["phone"], sqlite_where=STOPPABLE, postgresql_where=STOPPABLE)


def downgrade() -> None:
    """Take it away again; what came in is forgotten."""
    op.drop_index("ix_message_stoppable", table_name="message")
    for table, column in (
        ("message", "stoppable"),
        ("message", "replied_at"),
        ("campaign", "n_replied"),
        ("campaign", "stop_on_reply"),
        ("campaign", "label"),
    ):
        op.drop_column(table, column)
    for name in ("conversation_reply", "incoming_message", "conversation", "contact_identity", "inbox_contact"):
        op.drop_table(name)
