"""a transfer is found by its holder.

The key was (holder, account, id). Ids are of one sequence, so the account says nothing more; without it a
page of a statement is one scan instead of one for each account, and the index is a fifth smaller.
"""

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _key("holder_id, id")


def downgrade() -> None:
    _key("holder_id, account_id, id")


def _key(columns: str) -> None:
    op.execute(
        f"ALTER TABLE ledger_transfer DROP CONSTRAINT pk_ledger_transfer,"
        f" ADD CONSTRAINT pk_ledger_transfer PRIMARY KEY ({columns})"
    )
