"""what is past is read off the balance.

What comes back and what is taken back asked the caller's day which buckets are past. Who waits for a lock
across midnight has yesterday's, while others have ended today's bucket: its coins were then left without an
end, or lost twice. Now the balance's own next expiry says it.
"""

from pathlib import Path

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

_FUNCTIONS = Path(__file__).parents[1] / "functions"
_RETURN = "uuid, bigint, bigint, text, date, date, timestamptz"
_TAKE_BACK = "uuid, bigint, bigint, bigint, text, text, bytea, text, timestamptz, date, timestamptz, bigint"


def upgrade() -> None:
    _replace("0045_settle_return.sql", "0045_take_back.sql")


def downgrade() -> None:
    _replace("0045_former_settle_return.sql", "0029_take_back.sql")


def _replace(*names: str) -> None:
    op.execute(f"DROP FUNCTION ledger_settle_return({_RETURN})")
    op.execute(f"DROP FUNCTION ledger_take_back({_TAKE_BACK})")
    with op.get_bind().connection.cursor() as cursor:
        for name in names:
            cursor.execute((_FUNCTIONS / name).read_text(encoding="utf-8"))
