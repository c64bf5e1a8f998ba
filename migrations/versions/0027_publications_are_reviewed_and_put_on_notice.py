"""publications are reviewed and put on notice.

Until now the application's role might set state, digest and signature of a published row. From here on a
trigger lets it go the ways of a publication's life only, and of a published row change nothing but its end.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_FORMER_STATES = "('draft', 'published', 'withdrawn')"
_STATES = "('draft', 'in_review', 'public_notice', 'published', 'withdrawn')"
_PUBLIC = "('published', 'withdrawn')"
_FORMER_SIGNED = "(state = 'draft') = (digest IS NULL AND publisher_id IS NULL AND published_at IS NULL)"
_SIGNED = (
    f"(state IN {_PUBLIC}) = (digest IS NOT NULL)"
    " AND num_nulls(digest, kid, signature, publisher_id, published_at) IN (0, 5)"
)
_CHECKS = {
    "another_reviews": "reviewer_id IS NULL OR reviewer_id <> author_id",
    "a_third_publishes": "publisher_id IS NULL OR reviewer_id IS NULL OR publisher_id <> reviewer_id",
    "notice_has_its_days": "(notice_from IS NULL) = (notice_until IS NULL)"
    " AND (notice_until IS NULL OR notice_until > notice_from)"
    " AND (state <> 'public_notice' OR notice_until IS NOT NULL)",
    "withdrawal_has_its_day": "(withdrawn_from IS NULL) = (withdrawn_by IS NULL)"
    " AND (withdrawn_from IS NULL OR digest IS NOT NULL)"
    " AND (state = 'withdrawn') = (coalesce(withdrawn_from <= effective_from, false))",
}
_ADDED: dict[str, Any] = {
    "procedure_id": sa.Uuid(),
    "reviewer_id": sa.Uuid(),
    "notice_from": sa.Date(),
    "notice_until": sa.Date(),
    "withdrawn_from": sa.Date(),
    "withdrawn_by": sa.Uuid(),
}
_FORMER_ROLES = "('clerk', 'operator_editor', 'operator_publisher', 'operator_auditor', 'donor')"
_ROLES = (
    "('clerk', 'operator_editor', 'operator_reviewer', 'operator_publisher', 'operator_auditor', 'donor')"
)
_STAYS = """
CREATE FUNCTION publication_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ends CONSTANT text[] := ARRAY['state', 'ends_on', 'withdrawn_from', 'withdrawn_by'];
    asked jsonb;
    day date;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' OR NEW.review_round <> 0 OR num_nonnulls(NEW.ends_on, NEW.procedure_id,
            NEW.reviewer_id, NEW.notice_until, NEW.withdrawn_from) > 0 THEN
            RAISE EXCEPTION 'a publication begins as a draft';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    IF OLD.state IN ('published', 'withdrawn') THEN
        IF OLD.state = 'withdrawn' OR to_jsonb(NEW) - ends <> to_jsonb(OLD) - ends
            OR NEW.state NOT IN ('published', 'withdrawn')
            OR NEW.ends_on IS DISTINCT FROM OLD.ends_on AND (NEW.ends_on IS NULL OR NEW.ends_on > OLD.ends_on)
            OR OLD.withdrawn_from IS NOT NULL AND NEW.withdrawn_from IS DISTINCT FROM OLD.withdrawn_from
            OR OLD.withdrawn_by IS NOT NULL AND NEW.withdrawn_by IS DISTINCT FROM OLD.withdrawn_by THEN
            RAISE EXCEPTION 'of what is published only the end may change, and only come nearer';
        END IF;
        RETURN NEW;
    END IF;
    IF NOT (OLD.state, NEW.state) IN (
        ('draft', 'in_review'), ('draft', 'public_notice'), ('draft', 'published'),
        ('in_review', 'in_review'), ('in_review', 'draft'), ('in_review', 'public_notice'),
        ('in_review', 'published'), ('public_notice', 'draft'), ('public_notice', 'published')
    ) THEN
        RAISE EXCEPTION 'no way leads from % to %', OLD.state, NEW.state;
    END IF;
    IF NEW.withdrawn_from IS NOT NULL OR NEW.ends_on IS NOT NULL
        OR NEW.review_round NOT IN (OLD.review_round, OLD.review_round + (OLD.state = 'draft')::int)
        OR NEW.state <> 'draft' AND (
            OLD.procedure_id IS NOT NULL AND NEW.procedure_id IS DISTINCT FROM OLD.procedure_id
            OR OLD.reviewer_id IS NOT NULL AND NEW.reviewer_id IS DISTINCT FROM OLD.reviewer_id
            OR OLD.notice_until IS NOT NULL
                AND (NEW.notice_from, NEW.notice_until) IS DISTINCT FROM (OLD.notice_from, OLD.notice_until)
        ) THEN
        RAISE EXCEPTION 'what was decided on the way of a publication stays decided';
    END IF;
    IF NEW.state = 'published' THEN
        day := (NEW.published_at AT TIME ZONE 'Asia/Shanghai')::date;
        SELECT content INTO asked FROM publication p
            WHERE CASE WHEN NEW.procedure_id IS NOT NULL THEN p.id = NEW.procedure_id
                ELSE p.region_id = NEW.region_id AND p.kind = 'publication_procedure'
                    AND p.subject IN (NEW.kind, 'standard') AND p.state = 'published'
                    AND p.effective_from <= day AND (p.ends_on IS NULL OR p.ends_on > day) END
            ORDER BY p.subject = NEW.kind DESC LIMIT 1;
        IF asked->>'review' = 'third_person' AND NEW.reviewer_id IS NULL
            OR (asked->>'notice_days')::int > 0 AND NEW.kind <> 'working_calendar'
                AND NEW.notice_until IS NULL
            OR NEW.notice_until >= day
            OR EXISTS (
                SELECT FROM publication_objection o LEFT JOIN objection_answer a ON a.objection_id = o.id
                WHERE o.publication_id = NEW.id AND o.review_round = NEW.review_round
                AND (a.ruling = 'upheld' OR a.ruling IS NULL AND asked->>'objections' = 'must_be_answered')
            ) THEN
            RAISE EXCEPTION 'the procedure of this publication is not at its end';
        END IF;
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    for name, kind in _ADDED.items():
        op.add_column("publication", sa.Column(name, kind))
    op.create_foreign_key(
        op.f("fk_publication_procedure_id"), "publication", "publication", ["procedure_id"], ["id"]
    )
    op.add_column(
        "publication", sa.Column("review_round", sa.SmallInteger(), nullable=False, server_default="0")
    )
    op.alter_column("publication", "review_round", server_default=None)
    _check("publication", "state_is_known", f"state IN {_STATES}")
    _check("publication", "published_means_signed", _SIGNED)
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_publication_{name}"), "publication", condition)
    _make_tables()
    op.execute(f"GRANT UPDATE ({', '.join((*_ADDED, 'review_round'))}) ON publication TO tanpuhui_app")
    op.execute(
        "REVOKE UPDATE, DELETE ON publication_comment, publication_objection, objection_answer"
        " FROM tanpuhui_app"
    )
    op.execute(_STAYS)
    op.execute(
        "CREATE TRIGGER publication_stays BEFORE INSERT OR UPDATE ON publication"
        " FOR EACH ROW EXECUTE FUNCTION publication_stays()"
    )
    _check("staff", "role_is_known", f"role IN {_ROLES}")


def downgrade() -> None:
    op.execute("DROP TRIGGER publication_stays ON publication")
    op.execute("DROP FUNCTION publication_stays()")
    op.execute("UPDATE staff SET role = 'operator_auditor' WHERE role = 'operator_reviewer'")
    _check("staff", "role_is_known", f"role IN {_FORMER_ROLES}")
    for table in ("objection_answer", "publication_objection", "publication_comment"):
        op.drop_table(table)
    for name in _CHECKS:
        op.drop_constraint(op.f(f"ck_publication_{name}"), "publication")
    op.execute("UPDATE publication SET state = 'draft' WHERE state IN ('in_review', 'public_notice')")
    _check("publication", "published_means_signed", _FORMER_SIGNED)
    _check("publication", "state_is_known", f"state IN {_FORMER_STATES}")
    op.drop_constraint(op.f("fk_publication_procedure_id"), "publication")
    for name in (*_ADDED, "review_round"):
        op.drop_column("publication", name)


def _make_tables() -> None:
    op.create_table(
        "publication_comment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("publication_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("review_round", sa.SmallInteger(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        *_of("publication_comment", publication_id="publication", region_id="region"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publication_comment")),
    )
    op.create_index(op.f("ix_publication_comment_publication_id"), "publication_comment", ["publication_id"])
    op.create_table(
        "publication_objection",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("publication_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("review_round", sa.SmallInteger(), nullable=False),
        sa.Column("objector_kind", sa.Text(), nullable=False),
        sa.Column("objector_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        *_of("publication_objection", publication_id="publication", region_id="region"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publication_objection")),
        sa.UniqueConstraint(
            "publication_id",
            "review_round",
            "objector_id",
            name=op.f("uq_publication_objection_once_a_notice"),
        ),
    )
    op.create_table(
        "objection_answer",
        sa.Column("objection_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("ruling", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "ruling IN ('dismissed', 'upheld')", name=op.f("ck_objection_answer_ruling_is_known")
        ),
        *_of("objection_answer", objection_id="publication_objection", region_id="region"),
        sa.PrimaryKeyConstraint("objection_id", name=op.f("pk_objection_answer")),
    )


def _of(table: str, **columns: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}"))
        for column, other in columns.items()
    ]


def _check(table: str, name: str, condition: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
