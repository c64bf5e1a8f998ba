"""one trip is claimed once.

A citizen's slots of time have a row each, and a key that lets nobody have one twice; a correction takes rows
away again: what was credited, and what was taken back, stands elsewhere.

Evidence of a published tier counts for its share of the kilograms: an activity's basis says which tier and
which rule, and a partner's contract which tiers it may claim. What stands was taken as device-verified.

An activity may be put on hold, once, and is released or refused by another person; its citizen appeals once.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_WHOLE = "device_verified"
_LATER = {
    "appeal": sa.Text(),
    "appealed_at": sa.DateTime(timezone=True),
    "decided_by": sa.Text(),
    "decided_at": sa.DateTime(timezone=True),
    "decision_reason": sa.Text(),
}
_CHECKS = {
    "state_is_known": "state IN ('held', 'released', 'refused')",
    "decided_once": "(state = 'held') = (decided_at IS NULL)",
    "a_decision_is_whole": (
        "(decided_at IS NULL) = (decided_by IS NULL) AND (decided_at IS NULL) = (decision_reason IS NULL)"
    ),
    "two_persons_decide": "decided_by <> held_by",
    "an_appeal_is_dated": "(appeal IS NULL) = (appealed_at IS NULL)",
    "an_appeal_ends": "length(appeal) <= 1000",
    "coins_are_not_negative": "coin_milli >= 0",
}


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
    _activities_are_held()


def _activities_are_held() -> None:
    texts = ("state", "reason_zh", "reason_en", "held_by")
    op.create_table(
        "activity_hold",
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("activity_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("coin_milli", sa.BigInteger(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, kind, nullable=True) for name, kind in _LATER.items()),
        *(
            sa.CheckConstraint(condition, name=op.f(f"ck_activity_hold_{name}"))
            for name, condition in _CHECKS.items()
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_activity_hold_region_id")),
        sa.PrimaryKeyConstraint("citizen_id", "activity_id", name=op.f("pk_activity_hold")),
        sa.UniqueConstraint("id", name=op.f("uq_activity_hold_id")),
    )
    op.create_index("ix_activity_hold_region", "activity_hold", ["region_id", "id"])
    op.execute("REVOKE UPDATE ON activity_hold FROM tanpuhui_app")
    op.execute(f"GRANT UPDATE (state, {', '.join(_LATER)}) ON activity_hold TO tanpuhui_app")


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
    op.drop_table("activity_hold")
    op.drop_table("trip_claim")
    op.drop_column("activity_basis", "evidence_rule_id")
    op.drop_column("activity_basis", "evidence")
    op.drop_constraint(op.f("ck_partner_has_evidence_tiers"), "partner")
    op.drop_column("partner", "evidence_tiers")
