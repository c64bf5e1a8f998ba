"""owners of dear vouchers are asked.

Where a published rule says so, a till's reservation asks the voucher's owner, who says yes or no in time; a
manager may say yes in the owner's place, with a reason. An answer is final.
"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

_CHECKS = {
    "state_is_known": "state IN ('asked', 'confirmed', 'declined', 'overridden')",
    "an_answer_has_its_time": "(state = 'asked') = (answered_at IS NULL)",
    "who_overrides_says_why": "(state = 'overridden') = (num_nonnulls(manager_id, reason) = 2)"
    " AND num_nonnulls(manager_id, reason) <> 1",
    "nothing_without_a_yes": "redemption_id IS NULL OR state IN ('confirmed', 'overridden')",
}
_FOREIGN = {
    "region": "region_id",
    "terminal": "terminal_id",
    "store": "store_id",
    "clerk": "manager_id",
    "redemption": "redemption_id",
}


def upgrade() -> None:
    op.create_table(
        "redemption_ask",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("session", sa.Uuid(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("voucher_id", sa.Uuid(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("manager_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("redemption_id", sa.Uuid(), nullable=True),
        *(
            sa.CheckConstraint(condition, name=op.f(f"ck_redemption_ask_{name}"))
            for name, condition in _CHECKS.items()
        ),
        *(
            sa.ForeignKeyConstraint([column], [f"{table}.id"], name=op.f(f"fk_redemption_ask_{column}"))
            for table, column in _FOREIGN.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redemption_ask")),
        sa.UniqueConstraint("session", name=op.f("uq_redemption_ask_session")),
    )
    op.create_index("ix_redemption_ask_holder", "redemption_ask", ["holder_id", "id"])
    op.execute("REVOKE UPDATE, DELETE ON redemption_ask FROM tanpuhui_app")
    changes = "state, answered_at, manager_id, reason, redemption_id"
    op.execute(f"GRANT UPDATE ({changes}) ON redemption_ask TO tanpuhui_app")


def downgrade() -> None:
    op.drop_table("redemption_ask")
