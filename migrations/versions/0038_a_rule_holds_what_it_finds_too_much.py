"""a rule holds what it finds too much.

Published rules put activities on hold as they come in; the hold names the rule and what it measured. Records of
a citizen's day are counted in a row of their own, which whoever takes some raises: of two at once one waits.
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "activity_count",
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.CheckConstraint("records > 0", name=op.f("ck_activity_count_records_came")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_activity_count_region_id")),
        sa.PrimaryKeyConstraint(
            "citizen_id", "region_id", "subject", "business_day", name=op.f("pk_activity_count")
        ),
    )
    op.execute("REVOKE UPDATE ON activity_count FROM tanpuhui_app")
    op.execute("GRANT UPDATE (records) ON activity_count TO tanpuhui_app")
    op.add_column("activity_hold", sa.Column("rule_id", sa.Uuid(), nullable=True))
    op.add_column("activity_hold", sa.Column("measured", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_activity_hold_rule_id"), "activity_hold", "publication", ["rule_id"], ["id"]
    )
    op.create_check_constraint(
        op.f("ck_activity_hold_a_rule_or_a_person_holds"),
        "activity_hold",
        "(rule_id IS NULL) = (measured IS NULL) AND (rule_id IS NULL) = (held_by <> 'rule')",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_activity_hold_a_rule_or_a_person_holds"), "activity_hold")
    op.execute("UPDATE activity_hold SET held_by = 'a published rule' WHERE held_by = 'rule'")
    op.drop_column("activity_hold", "measured")
    op.drop_column("activity_hold", "rule_id")
    op.drop_table("activity_count")
