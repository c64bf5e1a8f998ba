"""work that waits has its tables."""

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_LAST = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
"""The queue's own migrations are history and never change: applied up to this one, whatever is installed."""
_DELETES = ("idempotency", "outgoing", "sign_in_attempts")
"""All that the application ever deletes: answers and news grown old, attempts that a sign-in ended."""
_NEVER_DELETED = (
    "cap_usage",
    "coin_bucket",
    "ledger_balance",
    "ledger_pending_leg",
    "region",
    "signing_key",
)
"""Had the right by default until now."""


class _Xid8(sa.types.UserDefinedType[int]):
    """PostgreSQL's transaction number."""

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def upgrade() -> None:
    op.execute("CREATE SCHEMA jobs")
    op.execute("SET LOCAL search_path TO jobs")
    with op.get_bind().connection.cursor() as cursor:
        for file in _queue_migrations():
            cursor.execute(file.read_text(encoding="utf-8"))
    op.execute("SET LOCAL search_path TO DEFAULT")
    op.execute("GRANT USAGE ON SCHEMA jobs TO tanpuhui_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs TO tanpuhui_app")
    op.execute("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA jobs TO tanpuhui_app")

    op.add_column(
        "outgoing",
        sa.Column("xact", _Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
    )
    op.create_index(
        "ix_outgoing_waiting",
        "outgoing",
        ["xact", "id"],
        unique=False,
        postgresql_where=sa.text("taken_at IS NULL"),
    )

    op.execute("REVOKE DELETE ON ALL TABLES IN SCHEMA public FROM tanpuhui_app")
    op.execute(f"GRANT DELETE ON {', '.join(_DELETES)} TO tanpuhui_app")
    op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE DELETE ON TABLES FROM tanpuhui_app")


def downgrade() -> None:
    op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT DELETE ON TABLES TO tanpuhui_app")
    op.execute(f"GRANT DELETE ON {', '.join(_NEVER_DELETED)} TO tanpuhui_app")
    op.drop_index("ix_outgoing_waiting", table_name="outgoing")
    op.drop_column("outgoing", "xact")
    op.execute("DROP SCHEMA jobs CASCADE")


def _queue_migrations() -> Iterator[Path]:
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    yield from (file for file in files if file.name <= _LAST)
