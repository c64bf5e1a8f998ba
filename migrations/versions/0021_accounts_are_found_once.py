"""accounts are found once.

The bulk writer looked up each account again that its caller had found in the same transaction. It is handed
what was found (`ManyAccounts`), as a single posting is, and raises the balances.
"""

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_FUNCTIONS = Path(__file__).parents[1] / "functions"


def upgrade() -> None:
    op.execute("DROP FUNCTION ledger_credit_many(text, text, uuid[], bigint[], bigint[], date)")
    _create("0021_credit_many.sql")


def downgrade() -> None:
    op.execute("DROP FUNCTION ledger_credit_many(uuid[], bigint[], bigint[], date)")
    _create("0017_credit_many.sql")


def _create(name: str) -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute((_FUNCTIONS / name).read_text(encoding="utf-8"))
