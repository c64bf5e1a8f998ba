"""merchants and partners are told.

Endpoints with their sealed secrets, one delivery an event and endpoint, and a row for each attempt. What is
older than its days is deleted, attempts with their delivery.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_MAY_CHANGE = {
    "webhook_endpoint": "state, paused_because, failing_since, verified_at, page_digest, page_ends_at",
    "webhook_secret": "ends_at",
    "webhook_delivery": "state, tries, tries_left, next_at, lease, leased_until, ended_at",
}


def upgrade() -> None:
    _add_endpoints()
    _add_deliveries()
    op.execute(
        "REVOKE UPDATE, DELETE ON webhook_endpoint, webhook_secret, webhook_delivery, webhook_attempt FROM tanpuhui_app"
    )
    op.execute("GRANT DELETE ON webhook_delivery TO tanpuhui_app")
    for table, columns in _MAY_CHANGE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO tanpuhui_app")


def _add_endpoints() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("owner_kind", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("paused_because", sa.Text(), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("page_digest", sa.LargeBinary(), nullable=True),
        sa.Column("page_ends_at", sa.DateTime(timezone=True), nullable=True),
        *_checks(
            "webhook_endpoint",
            owner_is_known="owner_kind IN ('merchant', 'partner')",
            state_is_known="state IN ('waiting', 'on', 'paused', 'deleted')",
            pause_is_known="paused_because IN ('owner', 'failures', 'gone')",
            paused_says_why="(state = 'paused') = (paused_because IS NOT NULL)",
            on_means_verified="state <> 'on' OR verified_at IS NOT NULL",
            a_handful_an_owner="slot BETWEEN 1 AND 5",
            only_https="url LIKE 'https://%'",
            page_has_an_end="num_nonnulls(page_digest, page_ends_at) <> 1",
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_webhook_endpoint_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
        sa.UniqueConstraint("page_digest", name=op.f("uq_webhook_endpoint_page_digest")),
    )
    op.create_index(
        "uq_webhook_endpoint_slot",
        "webhook_endpoint",
        ["owner_kind", "owner_id", "slot"],
        unique=True,
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_index(
        "ix_webhook_endpoint_on", "webhook_endpoint", ["id"], postgresql_where=sa.text("state = 'on'")
    )
    op.create_index("ix_webhook_endpoint_region", "webhook_endpoint", ["region_id", "id"])
    op.create_table(
        "webhook_secret",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoint.id"], name=op.f("fk_webhook_secret_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "id", name=op.f("pk_webhook_secret")),
    )
    op.create_index(
        "uq_webhook_secret_current",
        "webhook_secret",
        ["endpoint_id"],
        unique=True,
        postgresql_where=sa.text("ends_at IS NULL"),
    )


def _add_deliveries() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("news_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        *_checks(
            "webhook_delivery",
            state_is_known="state IN ('waiting', 'delivered', 'dead')",
            waiting_says_until_when="(state = 'waiting') = (next_at IS NOT NULL)",
            ended_says_when="(state = 'waiting') = (ended_at IS NULL)",
            a_lease_has_an_end="(lease IS NULL) = (leased_until IS NULL)",
            tries_are_counted="tries >= 0 AND tries_left >= 0",
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoint.id"], name=op.f("fk_webhook_delivery_endpoint_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_webhook_delivery_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
        sa.UniqueConstraint("endpoint_id", "news_id", name=op.f("uq_webhook_delivery_endpoint_id_news_id")),
    )
    _index_deliveries()
    op.create_table(
        "webhook_attempt",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        *_checks(
            "webhook_attempt",
            result_is_known="result IN ('delivered', 'refused', 'slow', 'unresolved', 'forbidden', 'unreachable',"
            " 'untrusted', 'garbled')",
            status_came="(status IS NULL) = (result NOT IN ('delivered', 'refused'))",
            numbers_are_counts="number >= 1 AND took_ms >= 0",
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["webhook_delivery.id"],
            name=op.f("fk_webhook_attempt_delivery_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_webhook_attempt")),
    )


def _index_deliveries() -> None:
    for name, columns, unique, where in (
        ("ix_webhook_delivery_due", ["endpoint_id", "next_at", "id"], False, "state = 'waiting'"),
        ("ix_webhook_delivery_leased", ["endpoint_id"], False, "lease IS NOT NULL"),
        (
            "uq_webhook_delivery_ping",
            ["endpoint_id"],
            True,
            "event = 'endpoint.ping.v1' AND state = 'waiting'",
        ),
        ("ix_webhook_delivery_listed", ["endpoint_id", "id"], False, None),
        ("ix_webhook_delivery_recorded", ["recorded_at"], False, None),
    ):
        op.create_index(
            name,
            "webhook_delivery",
            columns,
            unique=unique,
            postgresql_where=None if where is None else sa.text(where),
        )


def _checks(table: str, **conditions: str) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(each, name=op.f(f"ck_{table}_{name}")) for name, each in conditions.items()]


def downgrade() -> None:
    for table in ("webhook_attempt", "webhook_delivery", "webhook_secret", "webhook_endpoint"):
        op.drop_table(table)
