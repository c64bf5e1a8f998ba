"""a transaction's transfers are found by larger ranges of pages.

A night's intake fills 32 pages every twentieth of a second, faster than autovacuum writes down what lies in
them: its list ran over, a line of the server's log said so for each range, and a fold read them all. It goes
through its list once a minute; 256 pages fill at most two hundred times in one.
"""

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _build(pages=256)


def downgrade() -> None:
    _build(pages=32)


def _build(*, pages: int) -> None:
    op.execute("DROP INDEX ix_ledger_transfer_xact")
    op.execute(
        "CREATE INDEX ix_ledger_transfer_xact ON ledger_transfer USING brin (((xact::text)::bigint))"
        f" WITH (pages_per_range = {pages}, autosummarize = on)"
    )
