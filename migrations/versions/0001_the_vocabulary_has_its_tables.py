"""the vocabulary has its tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Roles belong to the whole cluster: another database may have made it already, even this instant.
    op.execute(
        """
        DO $$ BEGIN
            CREATE ROLE tanpuhui_app NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END $$
        """
    )
    op.execute("DO $$ BEGIN EXECUTE format('GRANT tanpuhui_app TO %I', current_user); END $$")
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.execute("GRANT USAGE ON SCHEMA public TO tanpuhui_app")
    op.execute(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tanpuhui_app"
    )
    op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO tanpuhui_app")
    op.create_table(
        "idempotency",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("principal", "route", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "region",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("id ~ '^[A-Z0-9]+(-[A-Z0-9]+)*$'", name=op.f("ck_region_id_is_a_code")),
        sa.ForeignKeyConstraint(["parent_id"], ["region.id"], name=op.f("fk_region_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_region")),
        sa.UniqueConstraint("holder_id", name=op.f("uq_region_holder_id")),
    )
    op.create_table(
        "signing_key",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("kid", sa.SmallInteger(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_private_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signs_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kid between 1 and 255", name=op.f("ck_signing_key_kid_fits_a_byte")),
        sa.PrimaryKeyConstraint("purpose", "kid", name=op.f("pk_signing_key")),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=True),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_audit_entry_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_table(
        "outgoing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_outgoing_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing")),
    )
    op.create_table(
        "publication",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("assumption", sa.Text(), nullable=True),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("publisher_id", sa.Uuid(), nullable=True),
        sa.Column("corrects_id", sa.Uuid(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("kid", sa.SmallInteger(), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("drafted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'draft') = (digest IS NULL AND publisher_id IS NULL AND published_at IS NULL)",
            name=op.f("ck_publication_published_means_signed"),
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'published', 'withdrawn')",
            name=op.f("ck_publication_state_is_known"),
        ),
        sa.CheckConstraint(
            "ends_on IS NULL OR ends_on > effective_from", name=op.f("ck_publication_ends_after_it_starts")
        ),
        sa.CheckConstraint(
            "publisher_id IS NULL OR publisher_id <> author_id",
            name=op.f("ck_publication_two_persons_publish"),
        ),
        sa.ForeignKeyConstraint(["corrects_id"], ["publication.id"], name=op.f("fk_publication_corrects_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_publication_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publication")),
    )
    op.execute(
        "ALTER TABLE publication ADD CONSTRAINT ex_publication_one_in_force EXCLUDE USING gist"
        " (region_id WITH =, kind WITH =, subject WITH =, daterange(effective_from, ends_on) WITH &&)"
        " WHERE (state = 'published')"
    )
    op.create_table(
        "publication_step",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("publication_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["publication_id"], ["publication.id"], name=op.f("fk_publication_step_publication_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_publication_step_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publication_step")),
    )
    op.create_index(
        op.f("ix_publication_step_publication_id"), "publication_step", ["publication_id"], unique=False
    )

    op.execute("REVOKE UPDATE, DELETE ON audit_entry, publication_step, publication FROM tanpuhui_app")
    # What was drafted is never edited: a better draft is a new one.
    op.execute(
        "GRANT UPDATE (state, publisher_id, published_at, digest, kid, signature, ends_on)"
        " ON publication TO tanpuhui_app"
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_publication_step_publication_id"), table_name="publication_step")
    op.drop_table("publication_step")
    op.drop_table("publication")
    op.drop_table("outgoing")
    op.drop_table("audit_entry")
    op.drop_table("signing_key")
    op.drop_table("region")
    op.drop_table("idempotency")
    op.execute(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public"
        " REVOKE SELECT, INSERT, UPDATE, DELETE ON TABLES FROM tanpuhui_app"
    )
    op.execute(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE USAGE, SELECT ON SEQUENCES FROM tanpuhui_app"
    )
    op.execute("REVOKE USAGE ON SCHEMA public FROM tanpuhui_app")
    op.execute("DROP EXTENSION IF EXISTS btree_gist")
