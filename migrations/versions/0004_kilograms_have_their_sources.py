"""kilograms have their sources."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("factor", "activity_reference", "activity", "activity_reversal", "activity_batch_line")


def upgrade() -> None:
    op.create_table(
        "activity_reference",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("activity_id", sa.Uuid(), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "partner_id", "source_event_id", "revision", name=op.f("pk_activity_reference")
        ),
    )
    op.create_table(
        "activity_reversal",
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("activity_id", sa.Uuid(), nullable=False),
        sa.Column("superseded_by", sa.Uuid(), nullable=False),
        sa.Column("coin_milli", sa.BigInteger(), nullable=False),
        sa.Column("coin_absorbed_milli", sa.BigInteger(), nullable=False),
        sa.Column("carbon_mg", sa.BigInteger(), nullable=False),
        sa.Column("coin_transfer_id", sa.BigInteger(), nullable=True),
        sa.Column("carbon_transfer_id", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("citizen_id", "activity_id", name=op.f("pk_activity_reversal")),
    )
    op.create_table(
        "partner",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('active', 'suspended')", name=op.f("ck_partner_state_is_known")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_partner_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_partner_key_hash")),
    )
    op.create_table(
        "activity_batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.LargeBinary(), nullable=True),
        sa.Column("lines_done", sa.BigInteger(), nullable=False),
        sa.Column("chunks_done", sa.BigInteger(), nullable=False),
        sa.Column("outcomes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('created', 'running', 'done', 'failed')", name=op.f("ck_activity_batch_state_is_known")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_activity_batch_partner_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_activity_batch_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activity_batch")),
        sa.UniqueConstraint("partner_id", "reference", name=op.f("uq_activity_batch_partner_id_reference")),
    )
    op.create_table(
        "binding",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("subject_hash", sa.LargeBinary(), nullable=False),
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("octet_length(subject_hash) = 32", name=op.f("ck_binding_subject_is_hashed")),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_binding_partner_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_binding_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_binding")),
    )
    op.create_index("ix_binding_citizen", "binding", ["citizen_id"], unique=False)
    op.create_index(
        "uq_binding_active",
        "binding",
        ["partner_id", "subject_hash"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "consent",
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("text_version", sa.Text(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "withdrawn_at IS NULL OR withdrawn_at >= given_at", name=op.f("ck_consent_ends_after_it_starts")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_consent_partner_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_consent_region_id")),
        sa.PrimaryKeyConstraint("citizen_id", "id", name=op.f("pk_consent")),
    )
    op.create_index(
        "uq_consent_open",
        "consent",
        ["citizen_id", "partner_id"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    op.create_table(
        "factor",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("publication_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("scenario", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("method_version", sa.SmallInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("value_ng", sa.BigInteger(), nullable=False),
        sa.Column("gas_set", sa.Text(), nullable=False),
        sa.Column("data_year", sa.SmallInteger(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("quantity_min", sa.BigInteger(), nullable=False),
        sa.Column("quantity_max", sa.BigInteger(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("assumption", sa.Text(), nullable=True),
        sa.Column("notes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("gas_set IN ('CO2', 'CO2e')", name=op.f("ck_factor_gas_set_is_known")),
        sa.CheckConstraint(
            "quantity_min >= 0 AND quantity_max >= quantity_min", name=op.f("ck_factor_limits_are_in_order")
        ),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_factor_ends_after_it_starts")
        ),
        sa.CheckConstraint("value_ng >= 0", name=op.f("ck_factor_value_is_not_negative")),
        sa.ForeignKeyConstraint(
            ["publication_id"], ["publication.id"], name=op.f("fk_factor_publication_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_factor_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_factor")),
    )
    op.create_index("ix_factor_lookup", "factor", ["region_id", "scenario", "valid_from"], unique=False)
    op.create_index(op.f("ix_factor_publication_id"), "factor", ["publication_id"], unique=False)
    op.create_table(
        "activity",
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("scenario", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column("inputs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("factor_id", sa.Uuid(), nullable=False),
        sa.Column("found_by", sa.Text(), nullable=False),
        sa.Column("coin_rule_id", sa.Uuid(), nullable=False),
        sa.Column("cap_rule_id", sa.Uuid(), nullable=True),
        sa.Column("carbon_mg", sa.BigInteger(), nullable=False),
        sa.Column("coin_milli", sa.BigInteger(), nullable=False),
        sa.Column("coin_cut_milli", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("coin_transfer_id", sa.BigInteger(), nullable=True),
        sa.Column("carbon_transfer_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("file_no", sa.SmallInteger(), nullable=True),
        sa.Column("line_no", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(coin_milli = 0) = (coin_transfer_id IS NULL) AND (carbon_mg = 0) = (carbon_transfer_id IS NULL)",
            name=op.f("ck_activity_credited_means_posted"),
        ),
        sa.CheckConstraint("carbon_mg >= 0", name=op.f("ck_activity_carbon_is_not_negative")),
        sa.CheckConstraint(
            "coin_milli >= 0 AND coin_cut_milli >= 0", name=op.f("ck_activity_coins_are_not_negative")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["activity_batch.id"], name=op.f("fk_activity_batch_id")),
        sa.ForeignKeyConstraint(["cap_rule_id"], ["publication.id"], name=op.f("fk_activity_cap_rule_id")),
        sa.ForeignKeyConstraint(["coin_rule_id"], ["publication.id"], name=op.f("fk_activity_coin_rule_id")),
        sa.ForeignKeyConstraint(["factor_id"], ["factor.id"], name=op.f("fk_activity_factor_id")),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_activity_partner_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_activity_region_id")),
        sa.PrimaryKeyConstraint("citizen_id", "id", name=op.f("pk_activity")),
    )
    op.create_index("ix_activity_batch", "activity", ["batch_id", "file_no", "line_no"], unique=False)
    op.create_index(
        "ix_activity_carbon_transfer", "activity", ["citizen_id", "carbon_transfer_id"], unique=False
    )
    op.create_index("ix_activity_coin_transfer", "activity", ["citizen_id", "coin_transfer_id"], unique=False)
    op.create_table(
        "activity_batch_line",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("file_no", sa.SmallInteger(), nullable=False),
        sa.Column("line_no", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("pointer", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["activity_batch.id"], name=op.f("fk_activity_batch_line_batch_id")
        ),
        sa.PrimaryKeyConstraint("batch_id", "file_no", "line_no", name=op.f("pk_activity_batch_line")),
    )
    for table in _APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM tanpuhui_app")


def downgrade() -> None:
    op.drop_table("activity_batch_line")
    op.drop_index("ix_activity_coin_transfer", table_name="activity")
    op.drop_index("ix_activity_carbon_transfer", table_name="activity")
    op.drop_index("ix_activity_batch", table_name="activity")
    op.drop_table("activity")
    op.drop_index(op.f("ix_factor_publication_id"), table_name="factor")
    op.drop_index("ix_factor_lookup", table_name="factor")
    op.drop_table("factor")
    op.drop_index("uq_consent_open", table_name="consent", postgresql_where=sa.text("withdrawn_at IS NULL"))
    op.drop_table("consent")
    op.drop_index("uq_binding_active", table_name="binding", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_index("ix_binding_citizen", table_name="binding")
    op.drop_table("binding")
    op.drop_table("activity_batch")
    op.drop_table("partner")
    op.drop_table("activity_reversal")
    op.drop_table("activity_reference")
