"""a batch says how fast it goes.

Whoever watches a batch is told how many lines there are, and how fast they are taken while somebody works on
them: time in which the batch only waited is not counted.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_ADDED: dict[str, Any] = {
    "content_lines": sa.BigInteger(),
    "started_at": sa.DateTime(timezone=True),
    "worked_ms": sa.BigInteger(),
    "working_since": sa.DateTime(timezone=True),
}
_COUNTS = ("recent_lines", "recent_ms")
_CHECKS = {
    "content_has_lines": "content_lines > 0",
    "what_was_taken_was_begun": "started_at IS NOT NULL OR (lines_done = 0 AND worked_ms IS NULL)",
    "who_works_has_a_lease": "working_since IS NULL OR lease IS NOT NULL",
    "work_is_not_negative": "worked_ms >= 0 AND recent_ms >= 0 AND recent_lines >= 0",
}


def upgrade() -> None:
    for name, kind in _ADDED.items():
        op.add_column("activity_batch", sa.Column(name, kind))
    for name in _COUNTS:
        op.add_column("activity_batch", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
        op.alter_column("activity_batch", name, server_default=None)
    # How long batches were worked on that began before this, nobody can tell: they show no pace of the
    # whole. When they began is among their steps; the oldest, of the command line, have none.
    op.execute(
        "UPDATE activity_batch b SET started_at = s.started_at FROM"
        " (SELECT batch_id, min(recorded_at) AS started_at FROM activity_batch_step"
        " WHERE to_state = 'running' GROUP BY 1) s WHERE s.batch_id = b.id"
    )
    op.execute(
        "UPDATE activity_batch SET started_at = created_at WHERE started_at IS NULL AND lines_done > 0"
    )
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_activity_batch_{name}"), "activity_batch", condition)
    op.execute(f"GRANT UPDATE ({', '.join((*_ADDED, *_COUNTS))}) ON activity_batch TO tanpuhui_app")


def downgrade() -> None:
    for name in _CHECKS:
        op.drop_constraint(op.f(f"ck_activity_batch_{name}"), "activity_batch")
    for name in (*_COUNTS, *_ADDED):
        op.drop_column("activity_batch", name)
