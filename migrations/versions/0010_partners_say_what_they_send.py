"""partners say what they send."""

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0010"
branch_labels = None
depends_on = None


def _newest_other() -> str:
    """While several migrations are being written at once: the newest that does not build on this one."""
    found = {}
    for path in Path(__file__).parent.glob("[0-9]*.py"):
        text = path.read_text()
        below = re.search(r'^down_revision = "(\d+)"', text, re.MULTILINE)
        if path.name[:4] != "0010":
            found[path.name[:4]] = below[1] if below else None
    above = {"0010"}
    while more := {name for name, below in found.items() if below in above} - above:
        above |= more
    rest = {name: below for name, below in found.items() if name not in above}
    return max(set(rest) - set(rest.values()))


down_revision = _newest_other()
SOURCES = ("transit", "shared_bike", "electricity", "water", "gas", "recycling", "general")


def upgrade() -> None:
    op.add_column("partner", sa.Column("data_source", sa.Text(), nullable=False, server_default="general"))
    op.alter_column("partner", "data_source", server_default=None)
    op.create_check_constraint(
        op.f("ck_partner_data_source_is_known"), "partner", f"data_source IN {SOURCES}"
    )


def downgrade() -> None:
    op.drop_column("partner", "data_source")
