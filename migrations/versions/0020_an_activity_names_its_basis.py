"""an activity names its basis.

Who sent it, what it was and by which rows it was judged are the same for thousands of activities: they stand
once in `activity_basis`, an activity names that row (decision 0012). Moving them over rewrites no activity's
content; a large table takes its time.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_SHARED = (
    ("region_id", sa.Text(), "region"),
    ("partner_id", sa.Uuid(), "partner"),
    ("scenario", sa.Text(), None),
    ("factor_id", sa.Uuid(), "factor"),
    ("found_by", sa.Text(), None),
    ("coin_rule_id", sa.Uuid(), "publication"),
    ("cap_rule_id", sa.Uuid(), "publication"),
)
_MAY_BE_NULL = "cap_rule_id"
_NAMES = ", ".join(name for name, _, _ in _SHARED)


def upgrade() -> None:
    op.create_table(
        "activity_basis",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        *(sa.Column(name, kind, nullable=name == _MAY_BE_NULL) for name, kind, _ in _SHARED),
        *(
            sa.ForeignKeyConstraint([name], [f"{table}.id"], name=op.f(f"fk_activity_basis_{name}"))
            for name, _, table in _SHARED
            if table is not None
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activity_basis")),
    )
    op.create_index("ix_activity_basis_rules", "activity_basis", ["partner_id", "coin_rule_id"])
    op.execute("REVOKE UPDATE, DELETE ON activity_basis FROM tanpuhui_app")
    op.execute(f"INSERT INTO activity_basis ({_NAMES}) SELECT DISTINCT {_NAMES} FROM activity")  # noqa: S608 - ours
    op.add_column("activity", sa.Column("basis_id", sa.BigInteger(), nullable=True))
    same = " AND ".join(
        f"a.{name} {'IS NOT DISTINCT FROM' if name == _MAY_BE_NULL else '='} b.{name}"
        for name, _, _ in _SHARED
    )
    op.execute(f"UPDATE activity a SET basis_id = b.id FROM activity_basis b WHERE {same}")  # noqa: S608 - ours
    op.alter_column("activity", "basis_id", nullable=False)
    for name, _, _ in _SHARED:
        op.drop_column("activity", name)


def downgrade() -> None:
    for name, kind, _ in _SHARED:
        op.add_column("activity", sa.Column(name, kind, nullable=True))
    own = ", ".join(f"{name} = b.{name}" for name, _, _ in _SHARED)
    op.execute(f"UPDATE activity a SET {own} FROM activity_basis b WHERE b.id = a.basis_id")  # noqa: S608 - ours
    for name, _, _ in _SHARED:
        if name != _MAY_BE_NULL:
            op.alter_column("activity", name, nullable=False)
    op.drop_column("activity", "basis_id")
    op.drop_table("activity_basis")
