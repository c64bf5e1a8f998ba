"""rewards have a life.

A reward is drafted, published and withdrawn; its prices are versions; its stock is counted in all, by day and
by store, its limits in all and by period; some have units, a picture, a group they are for, a queue.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_FUNCTIONS = Path(__file__).parents[1] / "functions"
_FORMER = ("voucher_exchange", "reward_draw")
_LATER = (
    "voucher_exchange",
    "reward_take_unit",
    "reward_draw_all",
    "reward_count_use",
    "reward_draw",
)
_KINDS = "'goods', 'discount', 'transit_ticket', 'parking_ticket', 'service', 'charity', 'unique_item'"
_PART = r"part ~ '^(whole|day/\d{4}-\d\d-\d\d|store/[1-9]\d*)$'"
_PERIOD = r"period ~ '^(whole|(day|week|month)/\d{4}-\d\d-\d\d)$'"
_REWARD_CHECKS = {
    "kind_is_known": f"kind IN ({_KINDS})",
    "a_limit_has_its_period": "num_nonnulls(limit_period, limit_in_period) <> 1 AND limit_in_period > 0"
    " AND limit_period IN ('day', 'week', 'month')",
    "stock_per_day_is_positive": "stock_per_day > 0",
    "stores_share_a_merchant": "jsonb_array_length(stores) = 0"
    " OR (merchant_id IS NOT NULL AND scope_no IS NULL)",
    "it_is_open_to_some_region": "cardinality(regions) > 0",
    "who_waits_waits_for_one_stock": "NOT waits"
    " OR (stock_per_day IS NULL AND jsonb_array_length(stores) = 0)",
    "a_label_can_be_verified": "num_nonnulls(label_scheme, label_certificate, label_url) IN (0, 3)"
    " AND starts_with(label_url, 'https://')",
}
_REWARD_TEXTS = ("description_zh", "description_en", "terms_zh", "terms_en")
_REWARD_LISTS = ("stores", "exchange_hours", "redeem_hours")
_REWARD_PLAIN = {
    "group_id": sa.Uuid(),
    "limit_period": sa.Text(),
    "limit_in_period": sa.Integer(),
    "stock_per_day": sa.BigInteger(),
    "label_scheme": sa.Text(),
    "label_certificate": sa.Text(),
    "label_url": sa.Text(),
    "picture_digest": sa.LargeBinary(),
}
_COUNTED = "'whole' = ANY (stock_parts) AND 'whole' = ANY (use_periods)"
_CHANGED = {
    "reward": "picture_digest, state",
    "reward_unit": "voucher_id",
    "reward_place": "ended_at, held_until, state",
}
_NEW_TABLES = (
    "reward_place",
    "reward_group_member",
    "reward_unit",
    "reward_price",
    "reward_step",
    "reward_picture",
    "reward_group",
)


def upgrade() -> None:
    _add_what_rewards_name()
    _widen_rewards()
    _add_what_rewards_have()
    _number_prices_and_steps()
    _count_by_part_and_period()
    _widen_vouchers()
    for function in _FORMER:
        op.execute(f"DROP FUNCTION {function}")
    _create(_text("0036_exchange.sql"))
    for table in _NEW_TABLES:
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM tanpuhui_app")
    op.execute("GRANT DELETE ON reward_group_member TO tanpuhui_app")
    for table, columns in _CHANGED.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO tanpuhui_app")


def _add_what_rewards_name() -> None:
    """Groups and pictures."""
    op.create_table(
        "reward_group",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("terms_zh", sa.Text(), nullable=False),
        sa.Column("terms_en", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_reward_group_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reward_group")),
    )
    op.create_table(
        "reward_group_member",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["reward_group.id"], name=op.f("fk_reward_group_member_group_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_reward_group_member_region_id")),
        sa.PrimaryKeyConstraint("holder_id", "group_id", name=op.f("pk_reward_group_member")),
    )
    op.create_index("ix_reward_group_member_group_id", "reward_group_member", ["group_id"])
    op.create_table(
        "reward_picture",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(digest) = 32", name=op.f("ck_reward_picture_digest_is_sha_256")),
        sa.CheckConstraint(
            "octet_length(content) BETWEEN 1 AND 2097152", name=op.f("ck_reward_picture_content_is_bounded")
        ),
        sa.CheckConstraint(
            "width_px BETWEEN 1 AND 1200 AND height_px BETWEEN 1 AND 1200",
            name=op.f("ck_reward_picture_sides_are_bounded"),
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_reward_picture_region_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_reward_picture")),
    )


def _widen_rewards() -> None:
    def add(name: str, kind: sa.types.TypeEngine[object], default: str) -> None:
        op.add_column("reward", sa.Column(name, kind, nullable=False, server_default=sa.text(default)))
        op.alter_column("reward", name, server_default=None)

    add("kind", sa.Text(), "'goods'")
    for name in _REWARD_TEXTS:
        add(name, sa.Text(), "''")
    for name in _REWARD_LISTS:
        add(name, postgresql.JSONB(astext_type=sa.Text()), "'[]'")
    add("waits", sa.Boolean(), "false")
    add("drafted_by", sa.Text(), "'system:-'")
    op.add_column("reward", sa.Column("regions", sa.ARRAY(sa.Text())))
    op.execute("UPDATE reward SET regions = ARRAY[region_id]")
    op.alter_column("reward", "regions", nullable=False)
    for name, kind in _REWARD_PLAIN.items():
        op.add_column("reward", sa.Column(name, kind))
    op.create_foreign_key(op.f("fk_reward_group_id"), "reward", "reward_group", ["group_id"], ["id"])
    op.create_foreign_key(
        op.f("fk_reward_picture_digest"), "reward", "reward_picture", ["picture_digest"], ["digest"]
    )
    op.drop_constraint(op.f("ck_reward_state_is_known"), "reward")
    op.execute("UPDATE reward SET state = 'published' WHERE state = 'on_sale'")
    op.create_check_constraint(
        op.f("ck_reward_state_is_known"), "reward", "state IN ('draft', 'published', 'withdrawn')"
    )
    for name, condition in _REWARD_CHECKS.items():
        op.create_check_constraint(op.f(f"ck_reward_{name}"), "reward", condition)
    op.create_index("ix_reward_regions", "reward", ["regions"], postgresql_using="gin")


def _add_what_rewards_have() -> None:
    op.create_table(
        "reward_step",
        sa.Column("reward_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text()),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "to_state IN ('draft', 'published', 'withdrawn')", name=op.f("ck_reward_step_state_is_known")
        ),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name=op.f("fk_reward_step_reward_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_reward_step_region_id")),
        sa.PrimaryKeyConstraint("reward_id", "id", name=op.f("pk_reward_step")),
    )
    op.create_table(
        "reward_price",
        sa.Column("reward_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("price_coin_milli", sa.BigInteger(), nullable=False),
        sa.Column("applies_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("price_coin_milli > 0", name=op.f("ck_reward_price_price_is_positive")),
        sa.CheckConstraint("no >= 1", name=op.f("ck_reward_price_versions_begin_at_one")),
        sa.CheckConstraint("applies_from >= recorded_at", name=op.f("ck_reward_price_no_price_is_backdated")),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name=op.f("fk_reward_price_reward_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_reward_price_region_id")),
        sa.PrimaryKeyConstraint("reward_id", "no", name=op.f("pk_reward_price")),
    )
    op.create_table(
        "reward_unit",
        sa.Column("reward_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("voucher_id", sa.Uuid()),
        sa.CheckConstraint("no >= 1", name=op.f("ck_reward_unit_units_begin_at_one")),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name=op.f("fk_reward_unit_reward_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_reward_unit_region_id")),
        sa.PrimaryKeyConstraint("reward_id", "no", name=op.f("pk_reward_unit")),
        sa.UniqueConstraint("voucher_id", name=op.f("uq_reward_unit_voucher_id")),
    )
    op.create_index(
        "ix_reward_unit_free",
        "reward_unit",
        ["reward_id", "no"],
        postgresql_where=sa.text("voucher_id IS NULL"),
    )
    _add_places()


def _add_places() -> None:
    op.create_table(
        "reward_place",
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=False),
        sa.Column("reward_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "state IN ('waiting', 'offered', 'taken', 'lapsed', 'left')",
            name=op.f("ck_reward_place_state_is_known"),
        ),
        sa.CheckConstraint(
            "(state IN ('waiting', 'left') AND held_until IS NULL)"
            " OR (state <> 'waiting' AND held_until IS NOT NULL)",
            name=op.f("ck_reward_place_an_offer_has_its_end"),
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_reward_place_region_id")),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name=op.f("fk_reward_place_reward_id")),
        sa.PrimaryKeyConstraint("holder_id", "id", name=op.f("pk_reward_place")),
    )
    op.create_index(
        "uq_reward_place_queued",
        "reward_place",
        ["holder_id", "reward_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('waiting', 'offered')"),
    )
    op.create_index(
        "ix_reward_place_waiting",
        "reward_place",
        ["reward_id", "id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_reward_place_held_until",
        "reward_place",
        ["held_until"],
        postgresql_where=sa.text("state = 'offered'"),
    )


def _number_prices_and_steps() -> None:
    """What stood with the reward is its first price, and its sale the first step."""
    op.execute(
        "INSERT INTO reward_price (reward_id, no, region_id, price_coin_milli, applies_from, principal,"
        " reason, recorded_at) SELECT id, 1, region_id, price_coin_milli, created_at, drafted_by,"
        " 'the first price', created_at FROM reward"
    )
    op.execute(
        "INSERT INTO reward_step (reward_id, id, region_id, to_state, principal, reason, recorded_at)"
        " SELECT id, uuidv7(), region_id, state, drafted_by, 'offered', created_at FROM reward"
    )
    op.drop_constraint(op.f("ck_reward_price_is_positive"), "reward")
    op.drop_column("reward", "price_coin_milli")


def _count_by_part_and_period() -> None:
    for table, column, key, condition in (
        ("reward_stock", "part", ["reward_id", "part", "slot"], _PART),
        ("reward_use", "period", ["holder_id", "reward_id", "period"], _PERIOD),
    ):
        op.add_column(table, sa.Column(column, sa.Text(), nullable=False, server_default="whole"))
        op.alter_column(table, column, server_default=None)
        op.drop_constraint(op.f(f"pk_{table}"), table)
        op.create_primary_key(op.f(f"pk_{table}"), table, key)
        op.create_check_constraint(op.f(f"ck_{table}_{column}_is_known"), table, condition)


def _widen_vouchers() -> None:
    for name, kind, default in (
        ("price_no", sa.Integer(), "1"),
        ("stock_parts", sa.ARRAY(sa.Text()), "'{whole}'"),
        ("use_periods", sa.ARRAY(sa.Text()), "'{whole}'"),
    ):
        op.add_column("voucher", sa.Column(name, kind, nullable=False, server_default=sa.text(default)))
        op.alter_column("voucher", name, server_default=None)
    op.add_column("voucher", sa.Column("unit_no", sa.Integer()))
    op.create_check_constraint(op.f("ck_voucher_it_counts_in_the_whole"), "voucher", _COUNTED)


def _text(name: str) -> str:
    return (_FUNCTIONS / name).read_text(encoding="utf-8")


def _create(functions: str) -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(functions)


def downgrade() -> None:
    for function in _LATER:
        op.execute(f"DROP FUNCTION {function}")
    _, create, former = _text("0011_vouchers.sql").partition("CREATE FUNCTION reward_draw")
    _create((create + former).partition("CREATE FUNCTION voucher_advance")[0])
    op.drop_constraint(op.f("ck_voucher_it_counts_in_the_whole"), "voucher")
    for name in ("unit_no", "use_periods", "stock_parts", "price_no"):
        op.drop_column("voucher", name)
    for table, column, key in (
        ("reward_stock", "part", ["reward_id", "slot"]),
        ("reward_use", "period", ["holder_id", "reward_id"]),
    ):
        op.execute(f"DELETE FROM {table} WHERE {column} <> 'whole'")  # noqa: S608 - our own names
        op.drop_constraint(op.f(f"ck_{table}_{column}_is_known"), table)
        op.drop_constraint(op.f(f"pk_{table}"), table)
        op.drop_column(table, column)
        op.create_primary_key(op.f(f"pk_{table}"), table, key)
    op.add_column("reward", sa.Column("price_coin_milli", sa.BigInteger()))
    op.execute(
        "UPDATE reward r SET price_coin_milli = p.price_coin_milli FROM reward_price p"
        " WHERE p.reward_id = r.id AND p.no = (SELECT max(no) FROM reward_price l WHERE l.reward_id = r.id)"
    )
    op.alter_column("reward", "price_coin_milli", nullable=False)
    op.create_check_constraint(op.f("ck_reward_price_is_positive"), "reward", "price_coin_milli > 0")
    op.drop_index("ix_reward_regions", "reward")
    for name in (*_REWARD_CHECKS, "state_is_known"):
        op.drop_constraint(op.f(f"ck_reward_{name}"), "reward")
    op.execute("UPDATE reward SET state = CASE state WHEN 'published' THEN 'on_sale' ELSE 'withdrawn' END")
    op.create_check_constraint(
        op.f("ck_reward_state_is_known"), "reward", "state IN ('on_sale', 'withdrawn')"
    )
    op.execute("REVOKE UPDATE (picture_digest, state) ON reward FROM tanpuhui_app")
    for name in ("kind", *_REWARD_TEXTS, *_REWARD_LISTS, "waits", "drafted_by", "regions", *_REWARD_PLAIN):
        op.drop_column("reward", name)
    for table in _NEW_TABLES:
        op.drop_table(table)
