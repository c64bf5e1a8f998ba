"""tries to bind another's card are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "binding_refusal",
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_binding_refusal_partner_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_binding_refusal_region_id")),
        sa.PrimaryKeyConstraint("citizen_id", "id", name=op.f("pk_binding_refusal")),
    )
    op.create_index(
        "ix_binding_refusal_recent",
        "binding_refusal",
        ["citizen_id", "partner_id", "recorded_at"],
        unique=False,
    )
    op.execute("REVOKE UPDATE ON binding_refusal FROM tanpuhui_app")


def downgrade() -> None:
    op.drop_index("ix_binding_refusal_recent", table_name="binding_refusal")
    op.drop_table("binding_refusal")
