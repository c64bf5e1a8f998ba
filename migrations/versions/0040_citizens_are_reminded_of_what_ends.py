"""citizens are reminded of what ends.

A message is told once by its key. The accounts and vouchers of a day are found by an index in the order in
which a round goes through them, so a round begins where the last one stopped and reads nobody else's.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_LIVE = sa.text("state IN ('issued', 'locked')")


def upgrade() -> None:
    op.create_table(
        "message",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind ~ '^[a-z_]{1,40}$'", name=op.f("ck_message_kind_is_a_word")),
        sa.CheckConstraint("read_at >= created_at", name=op.f("ck_message_read_after_it_was_made")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_message_region_id")),
        sa.PrimaryKeyConstraint("holder_id", "id", name=op.f("pk_message")),
        sa.UniqueConstraint(
            "holder_id",
            "kind",
            "subject",
            "occasion",
            name=op.f("uq_message_holder_id_kind_subject_occasion"),
        ),
    )
    op.create_index(
        "ix_message_unread", "message", ["holder_id", "id"], postgresql_where=sa.text("read_at IS NULL")
    )
    op.create_index("ix_message_created_at", "message", ["created_at"])
    op.create_table(
        "reminder_round",
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("days_ahead", sa.Integer(), nullable=False),
        sa.Column("after", postgresql.JSONB(), nullable=False),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("what IN ('coins', 'vouchers')", name=op.f("ck_reminder_round_what_is_known")),
        sa.CheckConstraint(
            "days_ahead BETWEEN 0 AND 90", name=op.f("ck_reminder_round_days_ahead_are_bounded")
        ),
        sa.CheckConstraint(
            "days_ahead > 0 OR what = 'coins'", name=op.f("ck_reminder_round_ended_vouchers_are_news")
        ),
        sa.CheckConstraint("told >= 0", name=op.f("ck_reminder_round_told_is_not_negative")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_reminder_round_region_id")),
        sa.PrimaryKeyConstraint("region_id", "what", "ends_on", "days_ahead", name=op.f("pk_reminder_round")),
    )
    op.execute("REVOKE UPDATE, DELETE ON message, reminder_round FROM tanpuhui_app")
    op.execute("GRANT UPDATE (read_at), DELETE ON message TO tanpuhui_app")
    op.execute("GRANT UPDATE (after, told, done_at) ON reminder_round TO tanpuhui_app")
    op.create_index("ix_pool_share_allocation_id", "pool_share", ["allocation_id"])
    op.create_index("ix_coin_bucket_ending", "coin_bucket", ["expires_on", "holder_id", "account_id"])
    op.drop_index("ix_voucher_ending", table_name="voucher")
    op.create_index("ix_voucher_ending", "voucher", ["ends_at", "holder_id", "id"], postgresql_where=_LIVE)


def downgrade() -> None:
    op.drop_index("ix_voucher_ending", table_name="voucher", postgresql_where=_LIVE)
    op.create_index("ix_voucher_ending", "voucher", ["ends_at"], postgresql_where=_LIVE)
    op.drop_index("ix_coin_bucket_ending", table_name="coin_bucket")
    op.drop_index("ix_pool_share_allocation_id", table_name="pool_share")
    op.drop_table("reminder_round")
    op.drop_table("message")
