"""a posting is named by its activity.

Its reference says the first activity that was credited with it, and the others lie beside that one by their
ids: no index by posting is needed. (Postings named before, by their batch, are found among all activities of
the citizen.) A cap's usage is raised within its day or month: pages keep room for that.
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_activity_coin_transfer", "activity")
    op.drop_index("ix_activity_carbon_transfer", "activity")
    op.execute("ALTER TABLE cap_usage SET (fillfactor = 80)")


def downgrade() -> None:
    op.execute("ALTER TABLE cap_usage RESET (fillfactor)")
    op.create_index("ix_activity_carbon_transfer", "activity", ["citizen_id", "carbon_transfer_id"])
    op.create_index("ix_activity_coin_transfer", "activity", ["citizen_id", "coin_transfer_id"])
