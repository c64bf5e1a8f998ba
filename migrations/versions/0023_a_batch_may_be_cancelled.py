"""a batch may be cancelled.

Until its first lines are taken. What is cancelled never was posted: the database itself says so, whatever a
worker is about to commit.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_FORMER = "('created', 'uploaded', 'running', 'done', 'failed')"
_STATES = "('created', 'uploaded', 'running', 'done', 'failed', 'cancelled')"
_CONTENT = "(state = 'created') = (content_digest IS NULL)"
_NOTHING = (
    "state <> 'cancelled' OR (lines_done = 0 AND lease IS NULL AND spool IS NULL AND stations_spool IS NULL)"
)


def upgrade() -> None:
    op.add_column("activity_batch", sa.Column("cancelled_because", sa.Text()))
    op.execute("GRANT UPDATE (cancelled_because) ON activity_batch TO tanpuhui_app")
    _check("activity_batch", "state_is_known", f"state IN {_STATES}")
    _check("activity_batch_step", "state_is_known", f"to_state IN {_STATES}")
    _check("activity_batch", "content_comes_once", f"state = 'cancelled' OR {_CONTENT}")
    op.create_check_constraint(
        op.f("ck_activity_batch_nothing_of_a_cancelled_batch_was_taken"), "activity_batch", _NOTHING
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_activity_batch_nothing_of_a_cancelled_batch_was_taken"), "activity_batch")
    # What never had content waits for it again; the rest has failed, under the code that says why.
    op.execute(
        "UPDATE activity_batch SET state = 'created', finished_at = NULL"
        " WHERE state = 'cancelled' AND content_digest IS NULL"
    )
    op.execute(
        "UPDATE activity_batch SET state = 'failed', failure = 'batch_cancelled',"
        " failure_detail = cancelled_because WHERE state = 'cancelled'"
    )
    op.execute(
        "UPDATE activity_batch_step s SET to_state = b.state FROM activity_batch b"
        " WHERE b.id = s.batch_id AND s.to_state = 'cancelled'"
    )
    _check("activity_batch", "content_comes_once", _CONTENT)
    _check("activity_batch_step", "state_is_known", f"to_state IN {_FORMER}")
    _check("activity_batch", "state_is_known", f"state IN {_FORMER}")
    op.drop_column("activity_batch", "cancelled_because")


def _check(table: str, name: str, condition: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
