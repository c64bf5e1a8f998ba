"""lines that came to nothing are found.

Among a million that were credited they are few, and a page of them was a scan of the batch. A line that was
credited is not in the index.
"""

from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX ix_activity_batch_assessed ON activity (batch_id, file_no, line_no) WHERE carbon_mg = 0"
    )


def downgrade() -> None:
    op.execute("DROP INDEX ix_activity_batch_assessed")
