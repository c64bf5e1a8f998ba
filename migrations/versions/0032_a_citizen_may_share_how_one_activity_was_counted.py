"""a citizen may share how one activity was counted."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "activity_link",
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("activity_id", sa.Uuid(), nullable=False),
        sa.Column("secret_digest", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "octet_length(secret_digest) = 32", name=op.f("ck_activity_link_secret_is_hashed")
        ),
        sa.CheckConstraint("ends_at >= made_at", name=op.f("ck_activity_link_ends_after_it_was_made")),
        sa.PrimaryKeyConstraint("citizen_id", "activity_id", name=op.f("pk_activity_link")),
        sa.UniqueConstraint("secret_digest", name=op.f("uq_activity_link_secret_digest")),
    )
    op.execute("REVOKE UPDATE, DELETE ON activity_link FROM tanpuhui_app")
    op.execute("GRANT UPDATE (secret_digest, made_at, ends_at) ON activity_link TO tanpuhui_app")


def downgrade() -> None:
    op.drop_table("activity_link")
