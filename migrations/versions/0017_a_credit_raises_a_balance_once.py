"""a credit raises a balance once.

The bulk writer locked each balance, and then raised it, and offered each bucket as a new one before it raised
the one that stood. It raises what stands, which locks it, and adds only what is new. Buckets are raised
daily for a month: pages keep room for that.
"""

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_FUNCTIONS = Path(__file__).parents[1] / "functions"


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute((_FUNCTIONS / "0017_credit_many.sql").read_text(encoding="utf-8"))
    op.execute("ALTER TABLE coin_bucket SET (fillfactor = 70)")


def downgrade() -> None:
    op.execute("ALTER TABLE coin_bucket RESET (fillfactor)")
    _, create, former = (
        (_FUNCTIONS / "0002_ledger.sql")
        .read_text(encoding="utf-8")
        .partition("CREATE FUNCTION ledger_credit_many")
    )
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(create.replace("CREATE", "CREATE OR REPLACE") + former)
