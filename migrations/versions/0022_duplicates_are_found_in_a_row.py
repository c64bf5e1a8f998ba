"""duplicates are found in a row.

References sort by bytes, whatever the database's own order: what stands between two event ids is read in one
range. And neighbouring lines of a file that say the same share a row.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("activity_reference", "source_event_id", type_=sa.Text(collation="C"))
    op.add_column("activity_batch_line", sa.Column("lines", sa.Integer(), server_default="1", nullable=False))
    op.create_check_constraint(
        op.f("ck_activity_batch_line_stands_for_lines"),
        "activity_batch_line",
        "lines BETWEEN 1 AND line_no",
    )


def downgrade() -> None:
    op.execute(
        "INSERT INTO activity_batch_line (batch_id, file_no, line_no, outcome, code, pointer, detail)"
        " SELECT l.batch_id, l.file_no, n, l.outcome, l.code, l.pointer, l.detail"
        " FROM activity_batch_line l, generate_series(l.line_no - l.lines + 1, l.line_no - 1) n"
        " WHERE l.lines > 1"
    )
    op.drop_constraint(op.f("ck_activity_batch_line_stands_for_lines"), "activity_batch_line")
    op.drop_column("activity_batch_line", "lines")
    op.alter_column("activity_reference", "source_event_id", type_=sa.Text())
