"""caps count by their subject.

Until now what a cap had given was kept by the publication, so that a successor gave everybody a fresh cap.
What the publications of one subject gave in one period is added up. And who had a card before is looked
for by the card.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_binding_former",
        "binding",
        ["partner_id", "subject_hash"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.add_column("cap_usage", sa.Column("region_id", sa.Text(), nullable=True))
    op.add_column("cap_usage", sa.Column("subject", sa.Text(), nullable=True))
    op.add_column("cap_usage", sa.Column("period", sa.Text(), nullable=True))
    op.drop_constraint("pk_cap_usage", "cap_usage")
    op.execute(
        "CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT u.holder_id, u.account_id, p.region_id, p.subject,"
        " p.content->>'period' AS period, u.period_start, sum(u.used)::bigint AS used"
        " FROM cap_usage u JOIN publication p ON p.id = u.rule_id GROUP BY 1, 2, 3, 4, 5, 6"
    )
    op.execute("DELETE FROM cap_usage")
    op.drop_column("cap_usage", "rule_id")
    op.execute(
        "INSERT INTO cap_usage (holder_id, account_id, region_id, subject, period, period_start, used)"
        " SELECT holder_id, account_id, region_id, subject, period, period_start, used FROM kept"
    )
    op.execute("DROP TABLE kept")
    op.create_primary_key(
        op.f("pk_cap_usage"),
        "cap_usage",
        ["holder_id", "account_id", "region_id", "subject", "period", "period_start"],
    )
    op.create_check_constraint(
        op.f("ck_cap_usage_period_is_known"), "cap_usage", "period IN ('day', 'month')"
    )
    op.create_foreign_key(op.f("fk_cap_usage_region_id"), "cap_usage", "region", ["region_id"], ["id"])


def downgrade() -> None:
    op.add_column("cap_usage", sa.Column("rule_id", sa.Uuid(), nullable=True))
    # All of it goes to the publication that ruled the period's first day, or else to the first one after.
    op.execute(
        "UPDATE cap_usage u SET rule_id = (SELECT p.id FROM publication p WHERE p.kind = 'cap'"
        " AND p.region_id = u.region_id AND p.subject = u.subject AND p.content->>'period' = u.period"
        " AND p.state = 'published' AND (p.ends_on IS NULL OR p.ends_on > u.period_start)"
        " ORDER BY p.effective_from LIMIT 1)"
    )
    op.drop_constraint("fk_cap_usage_region_id", "cap_usage")
    op.drop_constraint("ck_cap_usage_period_is_known", "cap_usage")
    op.drop_constraint("pk_cap_usage", "cap_usage")
    op.drop_column("cap_usage", "period")
    op.drop_column("cap_usage", "subject")
    op.drop_column("cap_usage", "region_id")
    op.create_primary_key(
        op.f("pk_cap_usage"), "cap_usage", ["holder_id", "account_id", "rule_id", "period_start"]
    )
    op.drop_index("ix_binding_former", table_name="binding", postgresql_where=sa.text("ended_at IS NOT NULL"))
