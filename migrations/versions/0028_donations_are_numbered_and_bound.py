"""donations are numbered and bound.

Every milligram that was given gets a serial, and every share the serials it was made of: what was shared out
so far took the oldest first. A project says what else it rests on (meters, records, numbers of other
schemes), has documents, and a donation may be withdrawn as far as it was not shared out.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_SAME_KEY = "lower(regexp_replace(normalize(project_key, NFKC), '\\s+', '', 'g'))"
_SCHEMES = "'ets', 'ccer', 'green_certificate', 'vcs', 'gold_standard', 'other_platform'"
_KINDS = "'verification_report', 'baseline', 'meter_readings', 'photo', 'exclusivity', 'other'"
_MEDIA = (
    "'application/pdf', 'image/png', 'image/jpeg',"
    " 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'"
)
_CAUSES = "'claimed_elsewhere', 'verification_withdrawn', 'donor_asked'"
_CHANGES = {
    "donation_registration": "ended_at",
    "pool_book": "numbered",
    "pool_lot": "next_serial, withdrawn_at",
    "pool_campaign": "allocated_mg",
}
_NOTHING = ("donation_event", "donation_document", "donation_withdrawal", "pool_serial_use")
_TABLES = (*_NOTHING, *_CHANGES)


def upgrade() -> None:
    _claims()
    _documents()
    _plan()
    _serials()
    _withdrawals()
    for table in _TABLES:
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM tanpuhui_app")
    for table, columns in _CHANGES.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO tanpuhui_app")


def _period(key: str) -> None:
    op.execute("ALTER TABLE donation_project DROP CONSTRAINT ex_donation_project_period")
    op.execute(
        "ALTER TABLE donation_project ADD CONSTRAINT ex_donation_project_period EXCLUDE USING gist"
        f" ({key} WITH =, daterange(period_start, period_end) WITH &&) WHERE (state <> 'rejected')"
    )


def _claims() -> None:
    _period(f"({_SAME_KEY})")
    op.alter_column("meter_claim", "partner_id", nullable=True)
    op.add_column("meter_claim", sa.Column("project_id", sa.Uuid()))
    op.create_foreign_key(
        op.f("fk_meter_claim_project_id"), "meter_claim", "donation_project", ["project_id"], ["id"]
    )
    op.create_index(op.f("ix_meter_claim_project_id"), "meter_claim", ["project_id"])
    op.create_check_constraint(
        op.f("ck_meter_claim_has_one_claimant"), "meter_claim", "num_nonnulls(partner_id, project_id) = 1"
    )
    op.create_table(
        "donation_registration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("days", postgresql.DATERANGE(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"scheme IN ({_SCHEMES})", name=op.f("ck_donation_registration_scheme_is_known")),
        sa.CheckConstraint("NOT isempty(days)", name=op.f("ck_donation_registration_has_a_day")),
        postgresql.ExcludeConstraint(
            (sa.column("scheme"), "="),
            (sa.column("number"), "="),
            (sa.column("days"), "&&"),
            where=sa.text("ended_at IS NULL"),
            using="gist",
            name="ex_donation_registration_number",
        ),
        sa.ForeignKeyConstraint(
            ["region_id"], ["region.id"], name=op.f("fk_donation_registration_region_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["donation_project.id"], name=op.f("fk_donation_registration_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_donation_registration")),
    )
    op.create_index(op.f("ix_donation_registration_project_id"), "donation_registration", ["project_id"])
    op.create_table(
        "donation_event",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["donation_project.id"], name=op.f("fk_donation_event_project_id")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name=op.f("fk_donation_event_partner_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_donation_event_region_id")),
        sa.PrimaryKeyConstraint(
            "project_id", "partner_id", "source_event_id", name=op.f("pk_donation_event")
        ),
    )


def _documents() -> None:
    op.create_table(
        "donation_document",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("content_bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"kind IN ({_KINDS})", name=op.f("ck_donation_document_kind_is_known")),
        sa.CheckConstraint(
            f"media_type IN ({_MEDIA})", name=op.f("ck_donation_document_media_type_is_known")
        ),
        sa.CheckConstraint("place BETWEEN 1 AND 20", name=op.f("ck_donation_document_has_a_place")),
        sa.CheckConstraint(
            "digest = sha256(content)", name=op.f("ck_donation_document_digest_is_of_the_content")
        ),
        sa.CheckConstraint(
            "octet_length(content) BETWEEN 1 AND 8388608", name=op.f("ck_donation_document_is_not_too_long")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_donation_document_region_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["donation_project.id"], name=op.f("fk_donation_document_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_donation_document")),
        sa.UniqueConstraint("project_id", "place", name="uq_donation_document_place"),
        sa.UniqueConstraint("project_id", "digest", name="uq_donation_document_digest"),
    )
    # Pictures and documents are compressed already.
    op.execute("ALTER TABLE donation_document ALTER COLUMN content SET STORAGE EXTERNAL")


def _plan() -> None:
    op.create_table(
        "pool_campaign",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("title_zh", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=False),
        sa.Column("purpose_zh", sa.Text(), nullable=False),
        sa.Column("purpose_en", sa.Text(), nullable=False),
        sa.Column("budget_mg", sa.BigInteger(), nullable=False),
        sa.Column("allocated_mg", sa.BigInteger(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("planned_by", sa.Uuid(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("budget_mg > 0", name=op.f("ck_pool_campaign_budget_is_positive")),
        sa.CheckConstraint(
            "allocated_mg BETWEEN 0 AND budget_mg", name=op.f("ck_pool_campaign_stays_within_its_budget")
        ),
        sa.CheckConstraint("ends_on > starts_on", name=op.f("ck_pool_campaign_has_a_day")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_pool_campaign_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool_campaign")),
        sa.UniqueConstraint("region_id", "key", name="uq_pool_campaign_key"),
    )
    op.add_column("pool_share", sa.Column("weight", sa.SmallInteger(), nullable=False, server_default="1"))
    op.alter_column("pool_share", "weight", server_default=None)
    op.create_check_constraint(op.f("ck_pool_share_weight_is_positive"), "pool_share", "weight > 0")
    op.add_column("pool_allocation", sa.Column("rule", sa.Text(), nullable=False, server_default="equal"))
    op.alter_column("pool_allocation", "rule", server_default=None)
    op.add_column("pool_allocation", sa.Column("campaign_id", sa.Uuid()))
    op.create_foreign_key(
        op.f("fk_pool_allocation_campaign_id"), "pool_allocation", "pool_campaign", ["campaign_id"], ["id"]
    )
    op.create_index(op.f("ix_pool_allocation_campaign_id"), "pool_allocation", ["campaign_id"])
    op.add_column("pool_allocation", sa.Column("carbon_mg", sa.BigInteger()))
    op.execute(
        "UPDATE pool_allocation a SET carbon_mg = coalesce("
        "(SELECT sum(s.carbon_mg) FROM pool_share s WHERE s.allocation_id = a.id), a.carbon_mg_each)"
    )
    op.alter_column("pool_allocation", "carbon_mg", nullable=False)
    op.alter_column("pool_allocation", "carbon_mg_each", nullable=True)
    for name, condition in {
        "rule_is_known": "rule IN ('equal', 'need')",
        "carbon_is_positive": "carbon_mg > 0",
        "equal_shares_say_how_much": "(rule = 'need') = (carbon_mg_each IS NULL)",
    }.items():
        op.create_check_constraint(op.f(f"ck_pool_allocation_{name}"), "pool_allocation", condition)


def _serials() -> None:
    op.create_table(
        "pool_book",
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("numbered", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("numbered >= 0", name=op.f("ck_pool_book_numbered_is_not_negative")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_pool_book_region_id")),
        sa.PrimaryKeyConstraint("region_id", name=op.f("pk_pool_book")),
    )
    serials = sa.text("int8range(first_serial, last_serial, '[]')")
    op.create_table(
        "pool_lot",
        sa.Column("donation_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("first_serial", sa.BigInteger(), nullable=False),
        sa.Column("last_serial", sa.BigInteger(), nullable=False),
        sa.Column("next_serial", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "first_serial >= 1 AND last_serial >= first_serial", name=op.f("ck_pool_lot_has_a_serial")
        ),
        sa.CheckConstraint(
            "next_serial BETWEEN first_serial AND last_serial + 1", name=op.f("ck_pool_lot_next_lies_within")
        ),
        postgresql.ExcludeConstraint(
            (sa.column("region_id"), "="), (serials, "&&"), using="gist", name="ex_pool_lot_serials"
        ),
        sa.ForeignKeyConstraint(["donation_id"], ["donation.id"], name=op.f("fk_pool_lot_donation_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_pool_lot_region_id")),
        sa.PrimaryKeyConstraint("donation_id", name=op.f("pk_pool_lot")),
    )
    op.create_table(
        "pool_serial_use",
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("first_serial", sa.BigInteger(), nullable=False),
        sa.Column("last_serial", sa.BigInteger(), nullable=False),
        sa.Column("donation_id", sa.Uuid(), nullable=False),
        sa.Column("citizen_id", sa.Uuid(), nullable=True),
        sa.Column("allocation_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "first_serial >= 1 AND last_serial >= first_serial", name=op.f("ck_pool_serial_use_has_a_serial")
        ),
        sa.CheckConstraint(
            "(citizen_id IS NULL) = (allocation_id IS NULL)",
            name=op.f("ck_pool_serial_use_is_shared_or_withdrawn"),
        ),
        postgresql.ExcludeConstraint(
            (sa.column("region_id"), "="), (serials, "&&"), using="gist", name="ex_pool_serial_use_serials"
        ),
        sa.ForeignKeyConstraint(
            ["donation_id"], ["pool_lot.donation_id"], name=op.f("fk_pool_serial_use_donation_id")
        ),
        sa.ForeignKeyConstraint(
            ["citizen_id", "allocation_id"],
            ["pool_share.citizen_id", "pool_share.allocation_id"],
            name="fk_pool_serial_use_share",
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_pool_serial_use_region_id")),
        sa.PrimaryKeyConstraint("region_id", "first_serial", name=op.f("pk_pool_serial_use")),
    )
    op.create_index(op.f("ix_pool_serial_use_donation_id"), "pool_serial_use", ["donation_id"])
    op.create_index("ix_pool_serial_use_share", "pool_serial_use", ["citizen_id", "allocation_id"])
    for statement in _NUMBERED:
        op.execute(statement)


_NUMBERED = (
    """INSERT INTO pool_lot (donation_id, region_id, first_serial, last_serial, next_serial)
       SELECT id, region_id, CAST(up_to - carbon_mg + 1 AS bigint), CAST(up_to AS bigint),
       CAST(least(greatest(shared, up_to - carbon_mg), up_to) + 1 AS bigint) FROM
       (SELECT d.*, sum(d.carbon_mg) OVER (PARTITION BY d.region_id ORDER BY d.given_at, d.id) AS up_to,
        coalesce((SELECT sum(a.carbon_mg) FROM pool_allocation a WHERE a.region_id = d.region_id), 0) AS shared
        FROM donation d) numbered""",
    """INSERT INTO pool_serial_use
       (region_id, first_serial, last_serial, donation_id, citizen_id, allocation_id)
       SELECT l.region_id, greatest(l.first_serial, s.up_to - s.carbon_mg + 1), least(l.last_serial, s.up_to),
       l.donation_id, s.citizen_id, s.allocation_id FROM pool_lot l JOIN
       (SELECT h.citizen_id, h.allocation_id, h.carbon_mg, a.region_id, CAST(sum(h.carbon_mg) OVER
        (PARTITION BY a.region_id ORDER BY a.allocated_at, a.id, h.citizen_id) AS bigint) AS up_to
        FROM pool_share h JOIN pool_allocation a ON a.id = h.allocation_id) s
       ON s.region_id = l.region_id AND s.up_to >= l.first_serial
       AND s.up_to - s.carbon_mg + 1 <= l.last_serial""",
    "INSERT INTO pool_book (region_id, numbered) SELECT region_id, max(last_serial) FROM pool_lot GROUP BY 1",
)
"""What was given and shared out before: numbered in the order of giving, the oldest shared out first."""


def _withdrawals() -> None:
    op.add_column("donation", sa.Column("statement_version", sa.Text()))
    op.create_table(
        "donation_withdrawal",
        sa.Column("donation_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("carbon_mg", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("transfer_id", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_by", sa.Uuid(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("kid", sa.SmallInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("carbon_mg > 0", name=op.f("ck_donation_withdrawal_carbon_is_positive")),
        sa.CheckConstraint(f"cause IN ({_CAUSES})", name=op.f("ck_donation_withdrawal_cause_is_known")),
        sa.ForeignKeyConstraint(
            ["donation_id"], ["donation.id"], name=op.f("fk_donation_withdrawal_donation_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_donation_withdrawal_region_id")),
        sa.PrimaryKeyConstraint("donation_id", name=op.f("pk_donation_withdrawal")),
    )


def downgrade() -> None:
    op.drop_table("donation_withdrawal")
    op.drop_column("donation", "statement_version")
    for table in ("pool_serial_use", "pool_lot", "pool_book"):
        op.drop_table(table)
    for name in ("rule_is_known", "carbon_is_positive", "equal_shares_say_how_much"):
        op.drop_constraint(op.f(f"ck_pool_allocation_{name}"), "pool_allocation")
    op.execute("UPDATE pool_allocation SET carbon_mg_each = coalesce(carbon_mg_each, carbon_mg)")
    op.alter_column("pool_allocation", "carbon_mg_each", nullable=False)
    for name in ("carbon_mg", "campaign_id", "rule"):
        op.drop_column("pool_allocation", name)
    op.drop_column("pool_share", "weight")
    for table in ("pool_campaign", "donation_document", "donation_event", "donation_registration"):
        op.drop_table(table)
    op.execute("DELETE FROM meter_claim WHERE partner_id IS NULL")
    op.drop_column("meter_claim", "project_id")
    op.alter_column("meter_claim", "partner_id", nullable=False)
    _period("project_key")
