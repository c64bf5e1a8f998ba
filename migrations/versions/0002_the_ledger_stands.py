"""the ledger stands."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FUNCTIONS = Path(__file__).parents[1] / "functions" / "0002_ledger.sql"
_FUNCTION_NAMES = (
    "ledger_credit_many",
    "ledger_take_back",
    "ledger_reverse_spend",
    "ledger_release_holds",
    "ledger_settle_return",
    "ledger_spend_holds",
    "ledger_lock_held",
    "ledger_hold_coins",
    "ledger_post",
    "ledger_claim",
    "ledger_move",
    "ledger_fill_bucket",
    "ledger_expire",
)
_APPEND_ONLY = (
    "ledger_account",
    "ledger_transfer",
    "ledger_reference",
    "ledger_hold",
    "ledger_hold_end",
    "ledger_checkpoint",
    "coin_regrace",
)


class _Xid8(sa.types.UserDefinedType[int]):
    """PostgreSQL's transaction number."""

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def upgrade() -> None:
    op.create_table(
        "cap_usage",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("used >= 0", name=op.f("ck_cap_usage_used_is_not_negative")),
        sa.PrimaryKeyConstraint(
            "holder_id", "account_id", "rule_id", "period_start", name=op.f("pk_cap_usage")
        ),
    )
    op.create_table(
        "coin_bucket",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("credited", sa.BigInteger(), nullable=False),
        sa.Column("expired", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("credited >= 0", name=op.f("ck_coin_bucket_credited_is_not_negative")),
        sa.CheckConstraint("expired >= 0", name=op.f("ck_coin_bucket_expired_is_not_negative")),
        sa.PrimaryKeyConstraint("holder_id", "account_id", "expires_on", name=op.f("pk_coin_bucket")),
    )
    op.create_table(
        "coin_regrace",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hold_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("grace_on", sa.Date(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_coin_regrace_amount_is_positive")),
        sa.PrimaryKeyConstraint("holder_id", "account_id", "hold_id", name=op.f("pk_coin_regrace")),
    )
    op.create_table(
        "ledger_balance",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("posted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("held", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("floor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("frozen", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("next_expiry", sa.Date(), server_default=sa.text("'9999-12-31'"), nullable=False),
        sa.CheckConstraint("floor <= 0", name=op.f("ck_ledger_balance_floor_is_not_positive")),
        sa.CheckConstraint("held >= 0", name=op.f("ck_ledger_balance_held_is_not_negative")),
        sa.CheckConstraint(
            "posted - held >= floor", name=op.f("ck_ledger_balance_available_stands_on_the_floor")
        ),
        sa.PrimaryKeyConstraint("holder_id", "account_id", name=op.f("pk_ledger_balance")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "ix_ledger_balance_next_expiry",
        "ledger_balance",
        ["next_expiry"],
        unique=False,
        postgresql_where=sa.text("next_expiry < '9999-12-31'"),
    )
    op.create_table(
        "ledger_checkpoint",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("up_to_xact", _Xid8(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "up_to_xact", name=op.f("pk_ledger_checkpoint")),
    )
    op.create_table(
        "ledger_hold",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xact", _Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_ledger_hold_amount_is_positive")),
        sa.PrimaryKeyConstraint("holder_id", "account_id", "id", name=op.f("pk_ledger_hold")),
        sa.UniqueConstraint(
            "holder_id",
            "purpose",
            "reference",
            "account_id",
            name=op.f("uq_ledger_hold_holder_id_purpose_reference_account_id"),
        ),
    )
    op.create_table(
        "ledger_hold_end",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("transfer_id", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xact", _Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('posted', 'voided')", name=op.f("ck_ledger_hold_end_outcome_is_known")
        ),
        sa.PrimaryKeyConstraint("holder_id", "account_id", "id", name=op.f("pk_ledger_hold_end")),
    )
    op.create_table(
        "ledger_reference",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("transfer_id", sa.BigInteger(), nullable=True),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("holder_id", "source", "reference", name=op.f("pk_ledger_reference")),
    )
    op.create_table(
        "ledger_transfer",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contra_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("movement_id", sa.Uuid(), nullable=True),
        sa.Column("hold_id", sa.BigInteger(), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("reverses_id", sa.BigInteger(), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xact", _Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint(
            "code IN ('CREDIT', 'CREDIT_CARBON', 'REDEEM', 'REDEEM_REVERSAL', 'EXPIRE', 'EXPIRE_REVERSAL', 'DONATE', 'ALLOCATE', 'BONUS', 'ASSIGN', 'RETURN', 'RETIRE', 'CORRECTION', 'CLAW_BACK', 'ADJUST', 'PAYABLE', 'PAYABLE_REVERSAL', 'SETTLE', 'PAID')",
            name=op.f("ck_ledger_transfer_code_is_known"),
        ),
        sa.CheckConstraint(
            "unit IN ('coin', 'carbon', 'cny')", name=op.f("ck_ledger_transfer_unit_is_known")
        ),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_ledger_transfer_amount_is_not_zero")),
        sa.PrimaryKeyConstraint("holder_id", "account_id", "id", name=op.f("pk_ledger_transfer")),
    )
    op.create_table(
        "ledger_account",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("validity_class", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("expires_into", sa.BigInteger(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('citizen', 'donor', 'pool', 'campaign', 'market_batch', 'event', 'issuance', 'source', 'merchant', 'clearing', 'expired', 'settled', 'retired', 'clawed_back', 'funder', 'bank')",
            name=op.f("ck_ledger_account_kind_is_known"),
        ),
        sa.CheckConstraint("unit IN ('coin', 'carbon', 'cny')", name=op.f("ck_ledger_account_unit_is_known")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_ledger_account_region_id")),
        sa.PrimaryKeyConstraint("holder_id", "id", name=op.f("pk_ledger_account")),
        sa.UniqueConstraint(
            "holder_id",
            "kind",
            "unit",
            "validity_class",
            name=op.f("uq_ledger_account_holder_id_kind_unit_validity_class"),
        ),
    )

    op.create_table(
        "ledger_pending_leg",
        sa.Column("movement_id", sa.Uuid(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("rolled_into", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_ledger_pending_leg_amount_is_positive")),
        sa.PrimaryKeyConstraint("movement_id", name=op.f("pk_ledger_pending_leg")),
    )
    op.create_index(
        "ix_ledger_pending_leg_waiting",
        "ledger_pending_leg",
        ["account_id"],
        unique=False,
        postgresql_where=sa.text("rolled_into IS NULL"),
    )
    # Rows lie in the order they were written, so a few pages say which transactions wrote them: reading
    # what lies behind a checkpoint costs what it finds, and filling the index almost nothing.
    op.create_index(
        "ix_ledger_transfer_xact",
        "ledger_transfer",
        [sa.text("((xact::text)::bigint)")],
        postgresql_using="brin",
        postgresql_with={"pages_per_range": "32", "autosummarize": "on"},
    )
    op.execute("CREATE SEQUENCE ledger_account_id")
    # Single postings take one number of a block; a bulk writer takes whole blocks of 1,000.
    op.execute("CREATE SEQUENCE ledger_transfer_id INCREMENT BY 1000 CACHE 1")
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(_FUNCTIONS.read_text(encoding="utf-8"))
    for table in _APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM tanpuhui_app")


def downgrade() -> None:
    for function in _FUNCTION_NAMES:
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP SEQUENCE ledger_transfer_id")
    op.execute("DROP SEQUENCE ledger_account_id")
    op.drop_table("ledger_pending_leg")
    op.drop_table("ledger_account")
    op.drop_table("ledger_transfer")
    op.drop_table("ledger_reference")
    op.drop_table("ledger_hold_end")
    op.drop_table("ledger_hold")
    op.drop_table("ledger_checkpoint")
    op.drop_index(
        "ix_ledger_balance_next_expiry",
        table_name="ledger_balance",
        postgresql_where=sa.text("next_expiry < '9999-12-31'"),
    )
    op.drop_table("ledger_balance")
    op.drop_table("coin_regrace")
    op.drop_table("coin_bucket")
    op.drop_table("cap_usage")
