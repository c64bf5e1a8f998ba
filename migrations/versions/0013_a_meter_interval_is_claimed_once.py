"""a meter interval is claimed once.

Ending a claim is all that ever changes on its row.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "meter_claim",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("meter_hash", sa.LargeBinary(), nullable=False),
        sa.Column("days", postgresql.DATERANGE(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("file_no", sa.SmallInteger(), nullable=True),
        sa.Column("line_no", sa.BigInteger(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("octet_length(meter_hash) = 32", name=op.f("ck_meter_claim_meter_is_hashed")),
        sa.CheckConstraint("NOT isempty(days)", name=op.f("ck_meter_claim_has_a_day")),
        postgresql.ExcludeConstraint(
            (sa.column("region_id"), "="),
            (sa.column("meter_hash"), "="),
            (sa.column("days"), "&&"),
            where=sa.text("ended_at IS NULL"),
            using="gist",
            name="ex_meter_claim_days",
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_meter_claim_partner_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_meter_claim_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_claim")),
    )
    op.create_index("ix_meter_claim_event", "meter_claim", ["partner_id", "source_event_id"], unique=False)
    op.execute("REVOKE UPDATE ON meter_claim FROM tanpuhui_app")
    op.execute("GRANT UPDATE (ended_at) ON meter_claim TO tanpuhui_app")


def downgrade() -> None:
    op.drop_table("meter_claim")
