"""batches arrive over http."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ADDED: dict[str, Any] = {
    "content_bytes": sa.BigInteger(),
    "spool": sa.Text(),
    "stations_digest": sa.LargeBinary(),
    "stations_spool": sa.Text(),
    "lease": sa.Uuid(),
    "leased_until": sa.DateTime(timezone=True),
    "failure_pointer": sa.Text(),
    "failure_detail": sa.Text(),
}
_CHECKS = {
    "content_comes_once": "(state = 'created') = (content_digest IS NULL)",
    "a_failure_is_named": "(state = 'failed') = (failure IS NOT NULL)",
    "a_lease_ends": "(lease IS NULL) = (leased_until IS NULL)",
}
_STATES = "('created', 'uploaded', 'running', 'done', 'failed')"


def upgrade() -> None:
    for name, kind in _ADDED.items():
        op.add_column("activity_batch", sa.Column(name, kind, nullable=True))
    # Batches that stand were imported from the command line: none waits for another turn.
    op.add_column("activity_batch", sa.Column("tries", sa.SmallInteger(), nullable=False, server_default="0"))
    op.alter_column("activity_batch", "tries", server_default=None)
    op.drop_constraint(op.f("ck_activity_batch_state_is_known"), "activity_batch")
    op.create_check_constraint(
        op.f("ck_activity_batch_state_is_known"), "activity_batch", f"state IN {_STATES}"
    )
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_activity_batch_{name}"), "activity_batch", condition)
    op.create_index("ix_activity_batch_of_partner", "activity_batch", ["partner_id", "id"])
    op.create_index(
        "ix_activity_batch_waiting",
        "activity_batch",
        ["id"],
        postgresql_where=sa.text("state IN ('uploaded', 'running')"),
    )
    op.create_table(
        "activity_batch_step",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"to_state IN {_STATES}", name=op.f("ck_activity_batch_step_state_is_known")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["activity_batch.id"], name=op.f("fk_activity_batch_step_batch_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_activity_batch_step_region_id")),
        sa.PrimaryKeyConstraint("batch_id", "id", name=op.f("pk_activity_batch_step")),
    )
    op.execute("REVOKE UPDATE, DELETE ON activity_batch_step FROM tanpuhui_app")


def downgrade() -> None:
    op.drop_table("activity_batch_step")
    op.drop_index("ix_activity_batch_waiting", table_name="activity_batch")
    op.drop_index("ix_activity_batch_of_partner", table_name="activity_batch")
    for name in _CHECKS:
        op.drop_constraint(op.f(f"ck_activity_batch_{name}"), "activity_batch")
    op.drop_constraint(op.f("ck_activity_batch_state_is_known"), "activity_batch")
    op.execute("UPDATE activity_batch SET state = 'created' WHERE state = 'uploaded'")
    op.create_check_constraint(
        op.f("ck_activity_batch_state_is_known"),
        "activity_batch",
        "state IN ('created', 'running', 'done', 'failed')",
    )
    for name in ("tries", *_ADDED):
        op.drop_column("activity_batch", name)
