"""clerks stand at tills.

A clerk signs in at a till with a number and a PIN; what is honoured, undone or refused there names the shift's
clerk. A store may ask for a clerk, for one who said which citizen it is, and for a manager to undo. Merchants
have managers of their own. Refused scans are read by merchant and by region.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_FUNCTIONS = Path(__file__).parents[1] / "functions"
_CHECKS = {
    "role_is_known": "role IN ('clerk', %s'operator_editor', 'operator_reviewer', 'operator_publisher',"
    " 'operator_auditor', 'donor')",
    "organisation_where_it_belongs": "(role IN ('clerk', %s'donor')) = (organisation_id IS NOT NULL)",
}
_ASKED = ("clerk_required", "linked_clerks_only", "manager_reverses")
_BY_CLERK = ("redemption", "redemption_reversal", "scan_refusal")
_CHANGES = "pin_hash, citizen_id, attempts, window_started_at, wrong_in_a_row, dismissed_at"


def upgrade() -> None:
    _staff("'merchant_manager', ")
    for name in _ASKED:
        op.add_column("store", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(f"GRANT UPDATE ({', '.join(_ASKED)}) ON store TO tanpuhui_app")
    _add_clerks()
    for table in _BY_CLERK:
        op.add_column(table, sa.Column("clerk_id", sa.Uuid()))
        op.create_foreign_key(op.f(f"fk_{table}_clerk_id"), table, "clerk", ["clerk_id"], ["id"])
    op.create_index("ix_scan_refusal_merchant", "scan_refusal", ["merchant_id", "id"])
    op.create_index("ix_scan_refusal_region", "scan_refusal", ["region_id", "id"])
    op.execute("DROP FUNCTION voucher_redeem")
    _run(_text("0034_redeem_by_clerk.sql"))


def _text(name: str) -> str:
    return (_FUNCTIONS / name).read_text(encoding="utf-8")


def _run(functions: str) -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(functions)


def _staff(managers: str) -> None:
    for name, condition in _CHECKS.items():
        op.drop_constraint(op.f(f"ck_staff_{name}"), "staff")
        op.create_check_constraint(op.f(f"ck_staff_{name}"), "staff", condition % managers)


def _add_clerks() -> None:
    op.create_table(
        "clerk",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("pin_hash", sa.Text(), nullable=False),
        sa.Column("citizen_id", sa.Uuid(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("window_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wrong_in_a_row", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dismissed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('cashier', 'manager')", name=op.f("ck_clerk_role_is_known")),
        sa.CheckConstraint("number ~ '^[0-9A-Z]{1,12}$'", name=op.f("ck_clerk_number_is_plain")),
        sa.CheckConstraint("attempts BETWEEN 0 AND 5", name=op.f("ck_clerk_attempts_are_bounded")),
        sa.CheckConstraint("wrong_in_a_row BETWEEN 0 AND 20", name=op.f("ck_clerk_wrong_ones_are_bounded")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_clerk_region_id")),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_clerk_merchant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clerk")),
        sa.UniqueConstraint("merchant_id", "number", name=op.f("uq_clerk_merchant_id_number")),
    )
    op.create_table(
        "clerk_shift",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("clerk_id", sa.Uuid(), nullable=False),
        sa.Column("terminal_id", sa.Uuid(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_cause", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (end_cause IS NULL) AND (end_cause IS NULL OR end_cause IN"
            " ('signed_out', 'replaced', 'pin_set', 'dismissed', 'terminal_revoked'))",
            name=op.f("ck_clerk_shift_end_has_its_cause"),
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_clerk_shift_region_id")),
        sa.ForeignKeyConstraint(["clerk_id"], ["clerk.id"], name=op.f("fk_clerk_shift_clerk_id")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminal.id"], name=op.f("fk_clerk_shift_terminal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clerk_shift")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_clerk_shift_token_digest")),
    )
    for name in ("terminal", "clerk"):
        op.create_index(
            f"uq_clerk_shift_{name}",
            "clerk_shift",
            [f"{name}_id"],
            unique=True,
            postgresql_where=sa.text("ended_at IS NULL"),
        )
    for table, columns in (("clerk", _CHANGES), ("clerk_shift", "ended_at, end_cause")):
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM tanpuhui_app")
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO tanpuhui_app")


def downgrade() -> None:
    op.execute("DROP FUNCTION voucher_redeem")
    op.execute("DROP FUNCTION till_standing")
    _, create, former = _text("0011_vouchers.sql").partition("CREATE FUNCTION voucher_redeem")
    _run(create + former)
    op.drop_index("ix_scan_refusal_region", "scan_refusal")
    op.drop_index("ix_scan_refusal_merchant", "scan_refusal")
    for table in _BY_CLERK:
        op.drop_column(table, "clerk_id")
    op.drop_table("clerk_shift")
    op.drop_table("clerk")
    op.execute(f"REVOKE UPDATE ({', '.join(_ASKED)}) ON store FROM tanpuhui_app")
    for name in _ASKED:
        op.drop_column("store", name)
    op.execute("DELETE FROM staff WHERE role = 'merchant_manager'")
    _staff("")
