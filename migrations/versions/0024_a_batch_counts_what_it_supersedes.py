"""a batch counts what it supersedes.

Lines that correct earlier records come out as any others. Whoever sends a file of corrections is told how many
earlier records it took the place of.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "activity_batch", sa.Column("superseded", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.alter_column("activity_batch", "superseded", server_default=None)
    op.execute(
        "UPDATE activity_batch b SET superseded = a.lines FROM"
        " (SELECT batch_id, count(*) AS lines FROM activity WHERE revision > 1 GROUP BY 1) a"
        " WHERE a.batch_id = b.id"
    )
    op.execute("GRANT UPDATE (superseded) ON activity_batch TO tanpuhui_app")


def downgrade() -> None:
    op.drop_column("activity_batch", "superseded")
