"""sweeps find what is due.

What is old, the newest mark and the few folded accounts are found by an index; before, each was looked for in
the whole table. (No BRIN for times: where old rows were deleted new ones come to lie, and its ranges only widen.)
"""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_GUARDED = "'campaign', 'citizen', 'donor', 'event', 'market_batch', 'pool'"


def upgrade() -> None:
    op.create_index("ix_idempotency_recorded_at", "idempotency", ["recorded_at"])
    op.create_index(
        "ix_outgoing_taken_at", "outgoing", ["taken_at"], postgresql_where=sa.text("taken_at IS NOT NULL")
    )
    op.create_index(
        "ix_ledger_account_folded",
        "ledger_account",
        ["id"],
        postgresql_where=sa.text(f"kind NOT IN ({_GUARDED})"),
    )
    op.create_index("ix_ledger_checkpoint_up_to_xact", "ledger_checkpoint", ["up_to_xact"])


def downgrade() -> None:
    op.drop_index("ix_ledger_checkpoint_up_to_xact", "ledger_checkpoint")
    op.drop_index("ix_ledger_account_folded", "ledger_account")
    op.drop_index("ix_outgoing_taken_at", "outgoing")
    op.drop_index("ix_idempotency_recorded_at", "idempotency")
