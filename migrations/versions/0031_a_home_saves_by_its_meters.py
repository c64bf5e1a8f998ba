"""a home saves by its meters.

What was read, said and judged is only added to. Of a meter and a stay the days may end, of a home it is noted
how far it was judged.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_CHANGES = {
    "household": "evidence_no, assessed_no, assessed_to, assessed_on",
    "household_meter": "days",
    "household_member": "days",
}
_HISTORY = ("household_standing", "household_saving", "household_saving_line", "meter_reading")


def upgrade() -> None:
    op.create_table(
        "household",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("evidence_no", sa.BigInteger(), nullable=False),
        sa.Column("assessed_no", sa.BigInteger(), nullable=False),
        sa.Column("assessed_to", sa.Date(), nullable=False),
        sa.Column("assessed_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "assessed_no BETWEEN 0 AND evidence_no", name=op.f("ck_household_judged_what_was_there")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_household_partner_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_household_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household")),
        sa.UniqueConstraint("partner_id", "reference", name=op.f("uq_household_partner_id_reference")),
    )
    op.create_index("ix_household_assessed_on", "household", ["assessed_on"], unique=False)
    op.create_table(
        "household_member",
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("binding_id", sa.Uuid(), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("days", postgresql.DATERANGE(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("household_id"), "="),
            (sa.column("citizen_id"), "="),
            (sa.column("days"), "&&"),
            using="gist",
            name="ex_household_member_once",
        ),
        sa.CheckConstraint(
            "NOT isempty(days) AND NOT lower_inf(days)", name=op.f("ck_household_member_has_a_day")
        ),
        sa.CheckConstraint("share BETWEEN 1 AND 1000", name=op.f("ck_household_member_share_weighs")),
        sa.ForeignKeyConstraint(["binding_id"], ["binding.id"], name=op.f("fk_household_member_binding_id")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_member_household_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_household_member_region_id")),
        sa.PrimaryKeyConstraint("household_id", "id", name=op.f("pk_household_member")),
    )
    op.create_index("ix_household_member_citizen", "household_member", ["citizen_id"], unique=False)
    op.create_table(
        "household_meter",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("point", sa.Text(), nullable=False),
        sa.Column("meter_hash", sa.LargeBinary(), nullable=False),
        sa.Column("modulus", sa.BigInteger(), nullable=False),
        sa.Column("resolution", sa.BigInteger(), nullable=False),
        sa.Column("multiplier", sa.BigInteger(), nullable=False),
        sa.Column("days", postgresql.DATERANGE(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("household_id"), "="),
            (sa.column("kind"), "="),
            (sa.column("point"), "="),
            (sa.column("days"), "&&"),
            using="gist",
            name="ex_household_meter_one_at_a_point",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("region_id"), "="),
            (sa.column("meter_hash"), "="),
            (sa.column("days"), "&&"),
            using="gist",
            name="ex_household_meter_one_home",
        ),
        sa.CheckConstraint(
            "kind IN ('electricity', 'water', 'gas', 'heat')", name=op.f("ck_household_meter_kind_is_known")
        ),
        sa.CheckConstraint(
            "NOT isempty(days) AND NOT lower_inf(days)", name=op.f("ck_household_meter_has_a_day")
        ),
        sa.CheckConstraint(
            "modulus > 1 AND resolution > 0 AND multiplier > 0",
            name=op.f("ck_household_meter_register_counts"),
        ),
        sa.CheckConstraint("octet_length(meter_hash) = 32", name=op.f("ck_household_meter_meter_is_hashed")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_meter_household_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_household_meter_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_meter")),
    )
    op.create_table(
        "household_saving",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("end_day", sa.Date(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("figures", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("household_id"), "="),
            (sa.column("kind"), "="),
            (sa.text("daterange(first_day, end_day)"), "&&"),
            where=sa.text("revision = 1"),
            using="gist",
            name="ex_household_saving_days",
        ),
        sa.CheckConstraint(
            "kind IN ('electricity', 'water', 'gas', 'heat')", name=op.f("ck_household_saving_kind_is_known")
        ),
        sa.CheckConstraint("first_day < end_day", name=op.f("ck_household_saving_has_a_day")),
        sa.CheckConstraint("octet_length(digest) = 32", name=op.f("ck_household_saving_digest_is_sha256")),
        sa.CheckConstraint("revision > 0 AND total >= 0", name=op.f("ck_household_saving_counts_upwards")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_saving_household_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_household_saving_region_id")),
        sa.ForeignKeyConstraint(["rule_id"], ["publication.id"], name=op.f("fk_household_saving_rule_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_saving")),
        sa.UniqueConstraint(
            "household_id",
            "kind",
            "first_day",
            "revision",
            name=op.f("uq_household_saving_household_id_kind_first_day_revision"),
        ),
    )
    op.create_table(
        "household_standing",
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("price_tier", sa.SmallInteger(), nullable=False),
        sa.Column("has_solar", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("price_tier BETWEEN 1 AND 9", name=op.f("ck_household_standing_tier_is_known")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_standing_household_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_household_standing_region_id")),
        sa.PrimaryKeyConstraint("household_id", "id", name=op.f("pk_household_standing")),
    )
    op.create_table(
        "household_saving_line",
        sa.Column("saving_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("activity_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "line IN ('saving', 'standard_use', 'maintenance')",
            name=op.f("ck_household_saving_line_line_is_known"),
        ),
        sa.CheckConstraint(
            "result IN ('credited', 'assessed', 'stands', 'rejected')",
            name=op.f("ck_household_saving_line_result_is_known"),
        ),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_household_saving_line_amount_is_not_negative")),
        sa.ForeignKeyConstraint(
            ["household_id", "member_id"],
            ["household_member.household_id", "household_member.id"],
            name=op.f("fk_household_saving_line_household_id_member_id"),
        ),
        sa.ForeignKeyConstraint(
            ["region_id"], ["region.id"], name=op.f("fk_household_saving_line_region_id")
        ),
        sa.ForeignKeyConstraint(
            ["saving_id"], ["household_saving.id"], name=op.f("fk_household_saving_line_saving_id")
        ),
        sa.PrimaryKeyConstraint("saving_id", "line", "member_id", name=op.f("pk_household_saving_line")),
    )
    op.create_table(
        "meter_reading",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.Column("meter_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("register", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("corrects", sa.Text(), nullable=True),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "octet_length(payload_hash) = 32", name=op.f("ck_meter_reading_payload_is_hashed")
        ),
        sa.CheckConstraint("register >= 0", name=op.f("ck_meter_reading_register_is_not_negative")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_meter_reading_household_id")
        ),
        sa.ForeignKeyConstraint(["meter_id"], ["household_meter.id"], name=op.f("fk_meter_reading_meter_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "corrects"],
            ["meter_reading.partner_id", "meter_reading.source_event_id"],
            name=op.f("fk_meter_reading_partner_id_corrects"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_meter_reading_partner_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_meter_reading_region_id")),
        sa.PrimaryKeyConstraint("partner_id", "source_event_id", name=op.f("pk_meter_reading")),
        sa.UniqueConstraint("partner_id", "corrects", name=op.f("uq_meter_reading_partner_id_corrects")),
    )
    op.create_index("ix_meter_reading_household", "meter_reading", ["household_id"], unique=False)
    op.create_index(
        "uq_meter_reading_of_a_day",
        "meter_reading",
        ["meter_id", "day", "estimated"],
        unique=True,
        postgresql_where=sa.text("corrects IS NULL"),
    )
    for table, columns in _CHANGES.items():
        op.execute(f"REVOKE UPDATE ON {table} FROM tanpuhui_app")
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO tanpuhui_app")
    op.execute(f"REVOKE UPDATE ON {', '.join(_HISTORY)} FROM tanpuhui_app")


def downgrade() -> None:
    op.drop_index(
        "uq_meter_reading_of_a_day", table_name="meter_reading", postgresql_where=sa.text("corrects IS NULL")
    )
    op.drop_index("ix_meter_reading_household", table_name="meter_reading")
    op.drop_table("meter_reading")
    op.drop_table("household_saving_line")
    op.drop_table("household_standing")
    op.drop_table("household_saving")
    op.drop_table("household_meter")
    op.drop_index("ix_household_member_citizen", table_name="household_member")
    op.drop_table("household_member")
    op.drop_index("ix_household_assessed_on", table_name="household")
    op.drop_table("household")
