"""terminals honour without asking.

What a till accepts offline it writes down and signs, each record over the one before. A voucher of which such a
record may still arrive does not end at once: it is closing, and its coins wait until none can.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_BEFORE = "'issued', 'locked', 'redeemed', 'expired', 'cancelled', 'deactivated'"
_SINCE = "'issued', 'locked', 'closing', 'redeemed', 'expired', 'cancelled', 'deactivated'"
_ADVANCE = """
CREATE OR REPLACE FUNCTION voucher_advance(p_holder uuid, p_voucher uuid, p_from text, p_cycle integer, p_to text,
    p_session uuid, p_until timestamptz, p_by uuid, p_step uuid, p_principal text, p_reason text,
    p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE v_region text;
BEGIN
    UPDATE voucher SET state = p_to, lock_session = p_session, locked_until = p_until, lock_by = p_by%s
    WHERE holder_id = p_holder AND id = p_voucher AND state = p_from AND cycle = p_cycle
    RETURNING region_id INTO v_region;
    IF NOT FOUND THEN RAISE EXCEPTION 'a locked voucher changed under us'; END IF;
    INSERT INTO voucher_step (holder_id, voucher_id, id, region_id, from_state, to_state, cycle, principal,
        reason, recorded_at)
    VALUES (p_holder, p_voucher, p_step, v_region, p_from, p_to, p_cycle, p_principal, p_reason, p_now);
END $$
"""
_CLOSED = ", closes_at = NULL, closing_to = NULL"
_ADDED = ("offline_until", "closes_at", "closing_to")
_CHECKS = {
    "closing_says_when_and_what": "(state = 'closing') = (num_nonnulls(closes_at, closing_to) = 2)"
    " AND num_nonnulls(closes_at, closing_to) <> 1",
    "it_closes_to_an_end": "closing_to IN ('expired', 'cancelled', 'deactivated')",
}


def upgrade() -> None:
    op.add_column("voucher", sa.Column("offline_until", sa.DateTime(timezone=True)))
    op.add_column("voucher", sa.Column("closes_at", sa.DateTime(timezone=True)))
    op.add_column("voucher", sa.Column("closing_to", sa.Text()))
    op.execute(f"GRANT UPDATE ({', '.join(_ADDED)}) ON voucher TO tanpuhui_app")
    _states(_SINCE)
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_voucher_{name}"), "voucher", condition)
    op.create_index(
        "ix_voucher_closing", "voucher", ["closes_at"], postgresql_where=sa.text("closes_at IS NOT NULL")
    )
    op.create_index(
        "ix_voucher_offline",
        "voucher",
        ["scope_no", "offline_until"],
        postgresql_where=sa.text("offline_until IS NOT NULL"),
    )
    op.execute(_ADVANCE % _CLOSED)
    _add_records()
    _add_conflicts()
    op.execute("REVOKE UPDATE, DELETE ON offline_record, offline_conflict FROM tanpuhui_app")


def _states(states: str) -> None:
    for table, column in (("voucher", "state"), ("voucher_step", "to_state")):
        name = op.f(f"ck_{table}_state_is_known")
        op.drop_constraint(name, table)
        op.create_check_constraint(name, table, f"{column} IN ({states})")


def _add_records() -> None:
    op.create_table(
        "offline_record",
        sa.Column("terminal_id", sa.Uuid(), nullable=False),
        sa.Column("counter", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("record_hash", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("voucher_id", sa.Uuid(), nullable=True),
        sa.Column("cycle", sa.Integer(), nullable=True),
        sa.Column("redemption_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("counter >= 1", name=op.f("ck_offline_record_counters_begin_at_one")),
        sa.CheckConstraint(
            "outcome IN ('redeemed', 'conflict', 'refused')", name=op.f("ck_offline_record_outcome_is_known")
        ),
        sa.CheckConstraint(
            "(outcome = 'redeemed') = (redemption_id IS NOT NULL)",
            name=op.f("ck_offline_record_what_it_redeemed"),
        ),
        sa.CheckConstraint(
            "(outcome = 'refused') = (refusal IS NOT NULL)", name=op.f("ck_offline_record_why_it_was_refused")
        ),
        sa.CheckConstraint(
            "outcome = 'refused' OR voucher_id IS NOT NULL", name=op.f("ck_offline_record_which_voucher")
        ),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminal.id"], name=op.f("fk_offline_record_terminal_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_offline_record_region_id")),
        sa.ForeignKeyConstraint(
            ["redemption_id"], ["redemption.id"], name=op.f("fk_offline_record_redemption_id")
        ),
        sa.PrimaryKeyConstraint("terminal_id", "counter", name=op.f("pk_offline_record")),
    )


def _add_conflicts() -> None:
    op.create_table(
        "offline_conflict",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("terminal_id", sa.Uuid(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("voucher_id", sa.Uuid(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("other_redemption_id", sa.Uuid(), nullable=True),
        sa.Column("other_terminal_id", sa.Uuid(), nullable=True),
        sa.Column("other_principal", sa.Text(), nullable=True),
        sa.Column("liable", sa.Text(), nullable=False),
        sa.Column("cost_fen", sa.BigInteger(), nullable=False),
        sa.Column("payables", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "cause IN ('redeemed', 'reversed', 'cancelled', 'expired', 'deactivated', 'late', 'frozen')",
            name=op.f("ck_offline_conflict_cause_is_known"),
        ),
        sa.CheckConstraint(
            "liable IN ('merchant', 'funders')", name=op.f("ck_offline_conflict_somebody_bears_it")
        ),
        sa.CheckConstraint("cost_fen >= 0", name=op.f("ck_offline_conflict_cost_is_not_negative")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_offline_conflict_region_id")),
        sa.ForeignKeyConstraint(
            ["terminal_id", "counter"],
            ["offline_record.terminal_id", "offline_record.counter"],
            name=op.f("fk_offline_conflict_terminal_id_counter"),
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["merchant.id"], name=op.f("fk_offline_conflict_merchant_id")
        ),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_offline_conflict_store_id")),
        sa.ForeignKeyConstraint(
            ["other_redemption_id"], ["redemption.id"], name=op.f("fk_offline_conflict_other_redemption_id")
        ),
        sa.ForeignKeyConstraint(
            ["other_terminal_id"], ["terminal.id"], name=op.f("fk_offline_conflict_other_terminal_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offline_conflict")),
        sa.UniqueConstraint("terminal_id", "counter", name=op.f("uq_offline_conflict_terminal_id_counter")),
    )
    op.create_index("ix_offline_conflict_statement", "offline_conflict", ["merchant_id", "business_day"])
    op.create_index("ix_offline_conflict_region", "offline_conflict", ["region_id", "id"])
    op.create_index("ix_offline_conflict_recent", "offline_conflict", ["terminal_id", "recorded_at"])


def downgrade() -> None:
    op.drop_table("offline_conflict")
    op.drop_table("offline_record")
    op.execute(_ADVANCE % "")
    op.drop_index("ix_voucher_offline", "voucher")
    op.drop_index("ix_voucher_closing", "voucher")
    for name in _CHECKS:
        op.drop_constraint(op.f(f"ck_voucher_{name}"), "voucher")
    _states(_BEFORE)
    for name in _ADDED:
        op.drop_column("voucher", name)
