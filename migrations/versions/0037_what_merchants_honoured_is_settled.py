"""what merchants honoured is settled.

A settlement claims rows: a line's key is what it claims, so nothing is settled twice. A redemption that is
settled says so in its voucher, and no merchant reverses it any more. The operation centre has an account for
fees.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_STATES = "'issued', 'locked', 'closing', 'redeemed', 'expired', 'cancelled', 'deactivated'"
_KINDS = (
    "'citizen', 'donor', 'pool', 'campaign', 'market_batch', 'event', 'issuance', 'source', 'merchant',"
    " 'clearing', 'expired', 'settled', 'retired', 'clawed_back', 'funder', 'bank'"
)
_CODES = (
    "'CREDIT', 'CREDIT_CARBON', 'REDEEM', 'REDEEM_REVERSAL', 'EXPIRE', 'EXPIRE_REVERSAL', 'DONATE', 'ALLOCATE',"
    " 'BONUS', 'ASSIGN', 'RETURN', 'RETIRE', 'CORRECTION', 'CLAW_BACK', 'ADJUST', 'PAYABLE',"
    " 'PAYABLE_REVERSAL', 'SETTLE', 'PAID'"
)
_HISTORY = (
    "settlement_line",
    "settlement_step",
    "settlement_dispute",
    "settlement_answer",
    "settlement_payment",
)
_CHANGES = {
    "settlement": "state, claimed_day, claimed_id, closed_at, closed_by, dispute_until, line_count, coin_milli,"
    " payable_fen, by_funder, digest",
    "settlement_adjustment": "state, decided_by, decided_at, decided_on, decision_reason",
}


def upgrade() -> None:
    _words(f"{_STATES}, 'settled'", f"{_KINDS}, 'centre'", f"{_CODES}, 'FEE', 'SUBSIDY'")
    _add_settlement()
    _add_lines()
    _add_words_of_both_sides()
    _add_adjustments()
    for table, columns in _CHANGES.items():
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM tanpuhui_app")
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO tanpuhui_app")
    op.execute(f"REVOKE UPDATE, DELETE ON {', '.join(_HISTORY)} FROM tanpuhui_app")


def _words(states: str, kinds: str, codes: str) -> None:
    """Closed words."""
    for table, column in (("voucher", "state"), ("voucher_step", "to_state")):
        _check(table, "state_is_known", f"{column} IN ({states})")
    _check("ledger_account", "kind_is_known", f"kind IN ({kinds})")
    _check("ledger_transfer", "code_is_known", f"code IN ({codes})")


def _check(table: str, name: str, condition: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def _add_settlement() -> None:
    op.create_table(
        "settlement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_day", sa.Date(), nullable=True),
        sa.Column("claimed_id", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("dispute_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("line_count", sa.BigInteger(), nullable=True),
        sa.Column("coin_milli", sa.BigInteger(), nullable=True),
        sa.Column("payable_fen", sa.BigInteger(), nullable=True),
        sa.Column("by_funder", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'closed', 'disputed', 'confirmed', 'paid')",
            name=op.f("ck_settlement_state_is_known"),
        ),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_settlement_it_has_its_days")),
        sa.CheckConstraint(
            "(state = 'open') = (digest IS NULL)"
            " AND num_nonnulls(digest, closed_at, closed_by, dispute_until, line_count, coin_milli,"
            " payable_fen, by_funder) IN (0, 8)",
            name=op.f("ck_settlement_closed_means_with_figures"),
        ),
        sa.CheckConstraint(
            "payable_fen >= 0 AND coin_milli >= 0", name=op.f("ck_settlement_a_merchant_never_owes")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_settlement_region_id")),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_settlement_merchant_id")),
        sa.ForeignKeyConstraint(["rule_id"], ["publication.id"], name=op.f("fk_settlement_rule_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement")),
        sa.UniqueConstraint("merchant_id", "last_day", name=op.f("uq_settlement_merchant_id_last_day")),
    )
    op.create_index(
        "uq_settlement_one_open",
        "settlement",
        ["merchant_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_settlement_region", "settlement", ["region_id", "id"])
    op.create_index(
        "ix_settlement_silent", "settlement", ["dispute_until"], postgresql_where=sa.text("state = 'closed'")
    )


def _add_lines() -> None:
    op.create_table(
        "settlement_line",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("settlement_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("terminal_id", sa.Uuid(), nullable=True),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("coin_milli", sa.BigInteger(), nullable=False),
        sa.Column("payable_fen", sa.BigInteger(), nullable=False),
        sa.Column("centre_fen", sa.BigInteger(), nullable=False),
        sa.Column("shares", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "what IN ('redemption', 'reversal', 'conflict', 'adjustment', 'fee', 'subsidy')",
            name=op.f("ck_settlement_line_what_is_known"),
        ),
        sa.CheckConstraint(
            "(what IN ('redemption', 'reversal', 'conflict'))"
            " = (store_id IS NOT NULL AND terminal_id IS NOT NULL)",
            name=op.f("ck_settlement_line_a_use_has_its_till"),
        ),
        sa.ForeignKeyConstraint(
            ["settlement_id"], ["settlement.id"], name=op.f("fk_settlement_line_settlement_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_settlement_line_region_id")),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_settlement_line_store_id")),
        sa.ForeignKeyConstraint(
            ["terminal_id"], ["terminal.id"], name=op.f("fk_settlement_line_terminal_id")
        ),
        sa.PrimaryKeyConstraint("subject_id", "what", name=op.f("pk_settlement_line")),
    )
    op.create_index(
        "ix_settlement_line_order", "settlement_line", ["settlement_id", "happened_at", "subject_id", "what"]
    )


def _add_words_of_both_sides() -> None:
    op.create_table(
        "settlement_step",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("settlement_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "to_state IN ('open', 'closed', 'disputed', 'confirmed', 'paid')",
            name=op.f("ck_settlement_step_state_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["settlement_id"], ["settlement.id"], name=op.f("fk_settlement_step_settlement_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_settlement_step_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement_step")),
    )
    op.create_index(op.f("ix_settlement_step_settlement_id"), "settlement_step", ["settlement_id"])
    op.create_table(
        "settlement_dispute",
        *_said("settlement_dispute", "settlement"),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_table(
        "settlement_answer",
        *_said("settlement_answer", "settlement_dispute"),
        sa.Column("ruling", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "ruling IN ('upheld', 'rejected')", name=op.f("ck_settlement_answer_ruling_is_known")
        ),
    )
    op.create_table(
        "settlement_payment",
        *_said("settlement_payment", "settlement"),
        sa.Column("bank_statement_id", sa.Text(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint(
            "region_id", "bank_statement_id", name=op.f("uq_settlement_payment_region_id_bank_statement_id")
        ),
    )


def _said(table: str, about: str) -> tuple[Any, ...]:
    """Once a settlement somebody says something, and when."""
    of = "id" if about == "settlement" else "settlement_id"
    return (
        sa.Column("settlement_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["settlement_id"], [f"{about}.{of}"], name=op.f(f"fk_{table}_settlement_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f(f"fk_{table}_region_id")),
        sa.PrimaryKeyConstraint("settlement_id", name=op.f(f"pk_{table}")),
    )


def _add_adjustments() -> None:
    op.create_table(
        "settlement_adjustment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("settlement_id", sa.Uuid(), nullable=False),
        sa.Column("redemption_id", sa.Uuid(), nullable=True),
        sa.Column("coin_milli", sa.BigInteger(), nullable=False),
        sa.Column("payable_fen", sa.BigInteger(), nullable=False),
        sa.Column("shares", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_on", sa.Date(), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('proposed', 'approved', 'rejected')",
            name=op.f("ck_settlement_adjustment_state_is_known"),
        ),
        sa.CheckConstraint(
            "decided_by <> proposed_by", name=op.f("ck_settlement_adjustment_two_persons_adjust")
        ),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_by IS NULL)"
            " AND num_nonnulls(decided_by, decided_at, decided_on, decision_reason) IN (0, 4)",
            name=op.f("ck_settlement_adjustment_a_decision_is_whole"),
        ),
        sa.CheckConstraint(
            "coin_milli <= 0 AND (redemption_id IS NOT NULL OR coin_milli = 0)",
            name=op.f("ck_settlement_adjustment_coins_go_back_with_their_use"),
        ),
        sa.ForeignKeyConstraint(
            ["region_id"], ["region.id"], name=op.f("fk_settlement_adjustment_region_id")
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["merchant.id"], name=op.f("fk_settlement_adjustment_merchant_id")
        ),
        sa.ForeignKeyConstraint(
            ["settlement_id"], ["settlement.id"], name=op.f("fk_settlement_adjustment_settlement_id")
        ),
        sa.ForeignKeyConstraint(
            ["redemption_id"], ["redemption.id"], name=op.f("fk_settlement_adjustment_redemption_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement_adjustment")),
    )
    op.create_index(
        "uq_settlement_adjustment_taken_back",
        "settlement_adjustment",
        ["redemption_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'rejected'"),
    )
    op.create_index("ix_settlement_adjustment_region", "settlement_adjustment", ["region_id", "id"])
    op.create_index(
        "ix_settlement_adjustment_merchant", "settlement_adjustment", ["merchant_id", "decided_at"]
    )


def downgrade() -> None:
    for table in ("settlement_adjustment", "settlement_payment", "settlement_answer", "settlement_dispute"):
        op.drop_table(table)
    for table in ("settlement_step", "settlement_line", "settlement"):
        op.drop_table(table)
    _words(_STATES, _KINDS, _CODES)
