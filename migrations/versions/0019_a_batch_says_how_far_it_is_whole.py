"""a batch says how far it is whole.

Lanes finish the lines of a chunk side by side. Who reads the results meanwhile goes no further than the last
whole chunk, or a page would pass lines that are about to come.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("activity_batch", sa.Column("settled_line", sa.BigInteger()))
    op.execute("GRANT UPDATE (settled_line) ON activity_batch TO tanpuhui_app")


def downgrade() -> None:
    op.drop_column("activity_batch", "settled_line")
