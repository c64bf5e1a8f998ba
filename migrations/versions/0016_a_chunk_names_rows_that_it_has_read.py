"""a chunk names rows that it has read.

The foreign keys of `activity`, and that of `cap_usage`, were asked once a row though a chunk names one
region, one partner, one batch and a handful of rules, all of them read in its own transaction. Nobody of
the application may delete such a row; reconciliation looks whether every name stands (decision 0010).
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_NAMES = (
    ("activity", "region_id", "region"),
    ("activity", "partner_id", "partner"),
    ("activity", "factor_id", "factor"),
    ("activity", "coin_rule_id", "publication"),
    ("activity", "cap_rule_id", "publication"),
    ("activity", "batch_id", "activity_batch"),
    ("cap_usage", "region_id", "region"),
)


def upgrade() -> None:
    for table, column, _ in _NAMES:
        op.drop_constraint(op.f(f"fk_{table}_{column}"), table)


def downgrade() -> None:
    for table, column, named in _NAMES:
        op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, named, [column], ["id"])
