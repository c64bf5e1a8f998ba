"""partners take turns.

A worker that is done with one partner's share goes on with the partner that was served longest ago.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("partner", sa.Column("served_at", sa.DateTime(timezone=True)))
    op.execute("GRANT UPDATE (served_at) ON partner TO tanpuhui_app")


def downgrade() -> None:
    op.drop_column("partner", "served_at")
