"""a table corrects what another credited.

A published table may be taken the place of by one that corrects it. What that changes of earlier credits is a
recomputation: proposed, computed, approved by another person, posted in parts; each activity keeps what it
came to before and after. A take-back counts what corrections took, and may stop above the account's floor.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_FUNCTIONS = Path(__file__).parents[1] / "functions"
_TAKE_BACK = "uuid, bigint, bigint, bigint, text, text, bytea, text, timestamptz, date, timestamptz"
_WHOLLY_SIGNED = "num_nulls(digest, kid, signature, publisher_id, published_at) IN (0, 5)"
_STATES = "('draft', 'dry_run_done', 'approved', 'running', 'done', 'cancelled')"


def upgrade() -> None:
    _publication_states("'published', 'withdrawn', 'corrected'")
    _create("0029_publication_stays.sql")
    op.execute(f"DROP FUNCTION ledger_take_back({_TAKE_BACK})")
    _create("0029_take_back.sql")
    _create_recomputations()
    _create_parts()
    _create_corrections()
    op.execute("REVOKE UPDATE ON recomputation, recomputation_part FROM tanpuhui_app")
    op.execute("REVOKE UPDATE, DELETE ON recomputation_step, activity_correction FROM tanpuhui_app")
    op.execute(
        "GRANT UPDATE (state, approver_id, digest, told, cancelled_because, finished_at)"
        " ON recomputation TO tanpuhui_app"
    )
    op.execute("GRANT UPDATE (posted_at) ON recomputation_part TO tanpuhui_app")


def downgrade() -> None:
    for table in ("activity_correction", "recomputation_part", "recomputation_step", "recomputation"):
        op.drop_table(table)
    op.execute(f"DROP FUNCTION ledger_take_back({_TAKE_BACK}, bigint)")
    _create("0029_former_take_back.sql")
    op.execute("ALTER TABLE publication DISABLE TRIGGER publication_stays")
    op.execute(
        "UPDATE publication SET state = 'withdrawn', withdrawn_from = effective_from,"
        " withdrawn_by = publisher_id WHERE state = 'corrected'"
    )
    op.execute("ALTER TABLE publication ENABLE TRIGGER publication_stays")
    _create("0029_former_publication_stays.sql")
    _publication_states("'published', 'withdrawn'")


def _publication_states(public: str) -> None:
    """Which states a publication has beside those of a proposal; what is public is signed."""
    for name, condition in (
        ("state_is_known", f"state IN ('draft', 'in_review', 'public_notice', {public})"),
        (
            "published_means_signed",
            f"(state IN ({public})) = (digest IS NOT NULL) AND {_WHOLLY_SIGNED}",
        ),
    ):
        op.drop_constraint(op.f(f"ck_publication_{name}"), "publication")
        op.create_check_constraint(op.f(f"ck_publication_{name}"), "publication", condition)


def _create_recomputations() -> None:
    op.create_table(
        "recomputation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("table_id", sa.Uuid(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("approver_id", sa.Uuid(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("told", postgresql.JSONB(), nullable=True),
        sa.Column("cancelled_because", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"state IN {_STATES}", name=op.f("ck_recomputation_state_is_known")),
        sa.CheckConstraint(
            "policy IN ('fund', 'unspent', 'floor')", name=op.f("ck_recomputation_policy_is_known")
        ),
        sa.CheckConstraint(
            "approver_id IS NULL OR approver_id <> author_id",
            name=op.f("ck_recomputation_two_persons_correct"),
        ),
        sa.CheckConstraint(
            "state = 'cancelled' OR (state IN ('draft', 'dry_run_done')) = (approver_id IS NULL)",
            name=op.f("ck_recomputation_approved_has_an_approver"),
        ),
        sa.CheckConstraint(
            "state = 'cancelled' OR (state = 'draft') = (digest IS NULL)",
            name=op.f("ck_recomputation_dry_run_has_a_digest"),
        ),
        sa.CheckConstraint(
            "(digest IS NULL) = (told IS NULL)", name=op.f("ck_recomputation_figures_are_told")
        ),
        sa.CheckConstraint(
            "(state = 'cancelled') = (cancelled_because IS NOT NULL)",
            name=op.f("ck_recomputation_cancelled_says_why"),
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'cancelled')) = (finished_at IS NOT NULL)",
            name=op.f("ck_recomputation_an_end_is_dated"),
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_recomputation_region_id")),
        sa.ForeignKeyConstraint(["table_id"], ["publication.id"], name=op.f("fk_recomputation_table_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recomputation")),
    )
    op.create_index(
        "uq_recomputation_open",
        "recomputation",
        ["table_id", "region_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('draft', 'dry_run_done', 'approved', 'running')"),
    )
    op.create_table(
        "recomputation_step",
        sa.Column("recomputation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"to_state IN {_STATES}", name=op.f("ck_recomputation_step_state_is_known")),
        sa.ForeignKeyConstraint(
            ["recomputation_id"], ["recomputation.id"], name=op.f("fk_recomputation_step_recomputation_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_recomputation_step_region_id")),
        sa.PrimaryKeyConstraint("recomputation_id", "id", name=op.f("pk_recomputation_step")),
    )


def _create_parts() -> None:
    op.create_table(
        "recomputation_part",
        sa.Column("recomputation_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("after_citizen", sa.Uuid(), nullable=False),
        sa.Column("until_citizen", sa.Uuid(), nullable=False),
        sa.Column("activities", sa.BigInteger(), nullable=False),
        sa.Column("carbon_mg_difference", sa.BigInteger(), nullable=False),
        sa.Column("coin_milli_difference", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("until_citizen > after_citizen", name=op.f("ck_recomputation_part_has_citizens")),
        sa.ForeignKeyConstraint(
            ["recomputation_id"], ["recomputation.id"], name=op.f("fk_recomputation_part_recomputation_id")
        ),
        sa.PrimaryKeyConstraint("recomputation_id", "number", name=op.f("pk_recomputation_part")),
    )


def _create_corrections() -> None:
    op.create_table(
        "activity_correction",
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("activity_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("recomputation_id", sa.Uuid(), nullable=False),
        sa.Column("factor_id", sa.Uuid(), nullable=True),
        sa.Column("carbon_mg_before", sa.BigInteger(), nullable=False),
        sa.Column("carbon_mg_after", sa.BigInteger(), nullable=False),
        sa.Column("coin_milli_before", sa.BigInteger(), nullable=False),
        sa.Column("coin_milli_after", sa.BigInteger(), nullable=False),
        sa.Column("coin_cut_milli_after", sa.BigInteger(), nullable=False),
        sa.Column("coin_posted_milli", sa.BigInteger(), nullable=False),
        sa.Column("borne_milli_before", sa.BigInteger(), nullable=False),
        sa.Column("borne_milli_after", sa.BigInteger(), nullable=False),
        sa.Column("carbon_transfer_id", sa.BigInteger(), nullable=True),
        sa.Column("coin_transfer_id", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_activity_correction_is_numbered")),
        sa.CheckConstraint(
            "carbon_mg_before >= 0 AND carbon_mg_after >= 0",
            name=op.f("ck_activity_correction_carbon_is_not_negative"),
        ),
        sa.CheckConstraint(
            "coin_milli_before >= 0 AND coin_milli_after >= 0 AND coin_cut_milli_after >= 0"
            " AND borne_milli_before >= 0 AND borne_milli_after >= 0",
            name=op.f("ck_activity_correction_coins_are_not_negative"),
        ),
        sa.CheckConstraint(
            "coin_milli_after + borne_milli_after"
            " = coin_milli_before + borne_milli_before + coin_posted_milli",
            name=op.f("ck_activity_correction_coins_are_posted_or_borne"),
        ),
        sa.CheckConstraint(
            "(coin_posted_milli = 0) = (coin_transfer_id IS NULL)"
            " AND (carbon_mg_before = carbon_mg_after) = (carbon_transfer_id IS NULL)",
            name=op.f("ck_activity_correction_moved_means_posted"),
        ),
        sa.CheckConstraint(
            "carbon_mg_before <> carbon_mg_after OR coin_milli_before <> coin_milli_after",
            name=op.f("ck_activity_correction_something_changed"),
        ),
        sa.PrimaryKeyConstraint("citizen_id", "activity_id", "number", name=op.f("pk_activity_correction")),
        sa.UniqueConstraint(
            "citizen_id",
            "activity_id",
            "recomputation_id",
            name=op.f("uq_activity_correction_citizen_id_activity_id_recomputation_id"),
        ),
    )


def _create(name: str) -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute((_FUNCTIONS / name).read_text(encoding="utf-8"))
