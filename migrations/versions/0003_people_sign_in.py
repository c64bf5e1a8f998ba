"""people sign in."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "citizen",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("nickname", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_citizen_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_citizen")),
    )
    op.create_table(
        "identity",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("appid", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("unionid", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("channel IN ('wechat')", name=op.f("ck_identity_channel_is_known")),
        sa.ForeignKeyConstraint(
            ["citizen_id"],
            ["citizen.id"],
            name=op.f("fk_identity_citizen_id"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_identity_region_id")),
        sa.PrimaryKeyConstraint("channel", "appid", "subject", name=op.f("pk_identity")),
    )
    op.create_index("ix_identity_citizen_id", "identity", ["citizen_id"])
    op.create_table(
        "staff",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('clerk', 'operator_editor', 'operator_publisher', 'operator_auditor', 'donor')",
            name=op.f("ck_staff_role_is_known"),
        ),
        sa.CheckConstraint(
            "(role IN ('clerk', 'donor')) = (organisation_id IS NOT NULL)",
            name=op.f("ck_staff_organisation_where_it_belongs"),
        ),
        sa.CheckConstraint("username ~ '^[a-z0-9._-]{3,64}$'", name=op.f("ck_staff_username_is_plain")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_staff_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("username", name=op.f("uq_staff_username")),
    )
    op.create_table(
        "sign_in_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("citizen_id", sa.Uuid(), nullable=True),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("current_token", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_cause", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(citizen_id IS NULL) <> (staff_id IS NULL)",
            name=op.f("ck_sign_in_session_belongs_to_one_person"),
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (end_cause IS NULL)"
            " AND (end_cause IS NULL OR end_cause IN ('signed_out', 'token_reused'))",
            name=op.f("ck_sign_in_session_end_has_its_cause"),
        ),
        sa.ForeignKeyConstraint(["citizen_id"], ["citizen.id"], name=op.f("fk_sign_in_session_citizen_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_sign_in_session_region_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_sign_in_session_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_session")),
    )
    op.create_table(
        "sign_in_attempts",
        sa.Column("username_digest", sa.LargeBinary(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("window_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("attempts BETWEEN 1 AND 5", name=op.f("ck_sign_in_attempts_attempts_are_bounded")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_sign_in_attempts_region_id")),
        sa.PrimaryKeyConstraint("username_digest", name=op.f("pk_sign_in_attempts")),
    )
    op.execute("REVOKE DELETE ON citizen, staff, sign_in_session FROM tanpuhui_app")


def downgrade() -> None:
    for table in ("sign_in_attempts", "sign_in_session", "staff", "identity", "citizen"):
        op.drop_table(table)
