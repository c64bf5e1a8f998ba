"""enterprises give kilograms."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "donation_project",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("enterprise_id", sa.Uuid(), nullable=False),
        sa.Column("enterprise_name", sa.Text(), nullable=False),
        sa.Column("project_key", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("dossier", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("carbon_mg", sa.BigInteger(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("verification_document", sa.Text(), nullable=False),
        sa.Column("exclusivity_statement", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("declared_by", sa.Uuid(), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('declared', 'approved', 'rejected')", name=op.f("ck_donation_project_state_is_known")
        ),
        sa.CheckConstraint("carbon_mg > 0", name=op.f("ck_donation_project_carbon_is_positive")),
        sa.CheckConstraint(
            "period_end > period_start", name=op.f("ck_donation_project_period_ends_after_it_starts")
        ),
        sa.CheckConstraint(
            "decided_by IS NULL OR decided_by <> declared_by",
            name=op.f("ck_donation_project_two_persons_approve"),
        ),
        sa.CheckConstraint(
            "(state = 'declared') = (decided_by IS NULL)",
            name=op.f("ck_donation_project_decided_has_a_decider"),
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_donation_project_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_donation_project")),
    )
    op.execute(
        "ALTER TABLE donation_project ADD CONSTRAINT ex_donation_project_period EXCLUDE USING gist"
        " (project_key WITH =, daterange(period_start, period_end) WITH &&) WHERE (state <> 'rejected')"
    )
    op.create_table(
        "donation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("carbon_mg", sa.BigInteger(), nullable=False),
        sa.Column("transfer_id", sa.BigInteger(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("kid", sa.SmallInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("carbon_mg > 0", name=op.f("ck_donation_carbon_is_positive")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_donation_region_id")),
        sa.ForeignKeyConstraint(["project_id"], ["donation_project.id"], name=op.f("fk_donation_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_donation")),
    )
    op.create_index(op.f("ix_donation_project_id"), "donation", ["project_id"])
    op.create_table(
        "pool_allocation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("carbon_mg_each", sa.BigInteger(), nullable=False),
        sa.Column("coin_rule_id", sa.Uuid(), nullable=False),
        sa.Column("allocated_by", sa.Uuid(), nullable=False),
        sa.Column("allocated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("carbon_mg_each > 0", name=op.f("ck_pool_allocation_share_is_positive")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_pool_allocation_region_id")),
        sa.ForeignKeyConstraint(
            ["coin_rule_id"], ["publication.id"], name=op.f("fk_pool_allocation_coin_rule_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool_allocation")),
    )
    op.create_table(
        "pool_share",
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("allocation_id", sa.Uuid(), nullable=False),
        sa.Column("carbon_mg", sa.BigInteger(), nullable=False),
        sa.Column("coin_milli", sa.BigInteger(), nullable=False),
        sa.Column("carbon_transfer_id", sa.BigInteger(), nullable=False),
        sa.Column("coin_transfer_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("carbon_mg > 0 AND coin_milli > 0", name=op.f("ck_pool_share_share_is_positive")),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["pool_allocation.id"], name=op.f("fk_pool_share_allocation_id")
        ),
        sa.PrimaryKeyConstraint("citizen_id", "allocation_id", name=op.f("pk_pool_share")),
    )
    op.execute("REVOKE UPDATE, DELETE ON donation, pool_allocation, pool_share FROM tanpuhui_app")
    op.execute("REVOKE DELETE ON donation_project FROM tanpuhui_app")


def downgrade() -> None:
    for table in ("pool_share", "pool_allocation", "donation", "donation_project"):
        op.drop_table(table)
