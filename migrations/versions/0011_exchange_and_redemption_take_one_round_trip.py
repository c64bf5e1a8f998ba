"""exchange and redemption take one round trip."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_FUNCTIONS = Path(__file__).parents[1] / "functions" / "0011_vouchers.sql"
_FUNCTION_NAMES = ("voucher_redeem", "voucher_advance", "voucher_exchange", "reward_draw")


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(_FUNCTIONS.read_text(encoding="utf-8"))


def downgrade() -> None:
    for function in _FUNCTION_NAMES:
        op.execute(f"DROP FUNCTION {function}")
