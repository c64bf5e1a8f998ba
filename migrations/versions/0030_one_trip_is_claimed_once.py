"""one trip is claimed once.

A citizen's slots of time have a row each, and a key that lets nobody have one twice; a correction takes rows
away again: what was credited, and what was taken back, stands elsewhere.

Evidence of a published tier counts for its share of the kilograms: an activity's basis says which tier and
which rule, and a partner's contract which tiers it may claim. What stands was taken as device-verified.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_WHOLE = "device_verified"


def upgrade() -> None:
    _evidence_has_tiers()
    op.create_table(
        "trip_claim",
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("mode_class", sa.Text(), nullable=False),
        sa.Column("activity_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("citizen_id", "slot", "mode_class", name=op.f("pk_trip_claim")),
    )
    op.execute("REVOKE UPDATE ON trip_claim FROM tanpuhui_app")
    op.execute("GRANT DELETE ON trip_claim TO tanpuhui_app")


def _evidence_has_tiers() -> None:
    op.add_column(
        "partner",
        sa.Column(
            "evidence_tiers", postgresql.ARRAY(sa.Text()), nullable=False, server_default=f"{{{_WHOLE}}}"
        ),
    )
    op.create_check_constraint(
        op.f("ck_partner_has_evidence_tiers"), "partner", "cardinality(evidence_tiers) BETWEEN 1 AND 8"
    )
    op.execute("GRANT UPDATE (evidence_tiers) ON partner TO tanpuhui_app")
    op.add_column("activity_basis", sa.Column("evidence", sa.Text(), nullable=False, server_default=_WHOLE))
    op.add_column("activity_basis", sa.Column("evidence_rule_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_activity_basis_evidence_rule_id"),
        "activity_basis",
        "publication",
        ["evidence_rule_id"],
        ["id"],
    )


def downgrade() -> None:
    op.drop_table("trip_claim")
    op.drop_column("activity_basis", "evidence_rule_id")
    op.drop_column("activity_basis", "evidence")
    op.drop_constraint(op.f("ck_partner_has_evidence_tiers"), "partner")
    op.drop_column("partner", "evidence_tiers")
