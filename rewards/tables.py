"""What coins buy, who has bought it, and each step since.

A voucher carries its price, cost, funding, scope and rules frozen from the exchange, so a change to the
reward never reaches it. The citizen leads the keys of what belongs to the citizen. Steps and code ids
are never changed or deleted.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base
from rewards.catalogue.reward_states import LimitPeriod, RewardKind, RewardState, words_of
from rewards.voucher_states import LAST_CYCLE, LIVE, State, one_of

SLOTS = 16
"""A stock that many draw from at once stands in this many rows, so it does not serialise the city."""
ENDS = ", ".join(repr(end.value) for end in (State.EXPIRED, State.CANCELLED, State.DEACTIVATED))
APPEND_ONLY = ("voucher_step", "voucher_code")
WHOLE = "whole"
PART = r"^(whole|day/\d{4}-\d\d-\d\d|store/[1-9]\d*)$"
PERIOD = r"^(whole|(day|week|month)/\d{4}-\d\d-\d\d)$"


class Funder(Base):
    """Who pays merchants for vouchers: a public fund or a sponsor; its ledger holder is this id."""

    __tablename__ = "funder"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    name_zh: Mapped[str]
    name_en: Mapped[str]
    created_at: Mapped[datetime]


class Reward(Base):
    """One thing coins buy. `funding` is a list of `{funder_id, parts}`; parts are whole shares.

    Its prices are rows of `reward_price`. Once drafted nothing of it changes but its state and picture.
    """

    __tablename__ = "reward"
    __table_args__ = (
        CheckConstraint(words_of("kind", RewardKind), name="kind_is_known"),
        CheckConstraint("cost_fen >= 0", name="cost_is_not_negative"),
        CheckConstraint("valid_days BETWEEN 1 AND 3660", name="valid_days_are_bounded"),
        CheckConstraint("limit_per_person > 0", name="limit_is_positive"),
        CheckConstraint(
            f"num_nonnulls(limit_period, limit_in_period) <> 1 AND limit_in_period > 0"
            f" AND {words_of('limit_period', LimitPeriod)}",
            name="a_limit_has_its_period",
        ),
        CheckConstraint("stock_total >= 0", name="stock_is_not_negative"),
        CheckConstraint("stock_per_day > 0", name="stock_per_day_is_positive"),
        CheckConstraint("scope_no IS NULL OR merchant_id IS NOT NULL", name="a_store_has_its_merchant"),
        CheckConstraint(
            "jsonb_array_length(stores) = 0 OR (merchant_id IS NOT NULL AND scope_no IS NULL)",
            name="stores_share_a_merchant",
        ),
        CheckConstraint("cardinality(regions) > 0", name="it_is_open_to_some_region"),
        CheckConstraint(
            "NOT waits OR (stock_per_day IS NULL AND jsonb_array_length(stores) = 0)",
            name="who_waits_waits_for_one_stock",
        ),
        CheckConstraint(
            "num_nonnulls(label_scheme, label_certificate, label_url) IN (0, 3)"
            " AND starts_with(label_url, 'https://')",
            name="a_label_can_be_verified",
        ),
        CheckConstraint(words_of("state", RewardState), name="state_is_known"),
        Index("ix_reward_region_id_id", "region_id", "id"),
        Index("ix_reward_regions", "regions", postgresql_using="gin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    kind: Mapped[str]
    title_zh: Mapped[str]
    title_en: Mapped[str]
    description_zh: Mapped[str]
    description_en: Mapped[str]
    terms_zh: Mapped[str]
    terms_en: Mapped[str]
    cost_fen: Mapped[int]
    funding: Mapped[list[Any]]
    merchant_id: Mapped[UUID | None] = mapped_column(ForeignKey("merchant.id"))
    """Honoured by this merchant only; by every merchant of the region when absent."""
    scope_no: Mapped[int | None] = mapped_column(ForeignKey("store.scope_no"))
    """Honoured by this store only."""
    stores: Mapped[list[Any]]
    """`{scope_no, stock}` of each store that has a share of its own; the buyer names one of them."""
    regions: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Whose citizens may buy it: the reward's own region, or regions below it."""
    group_id: Mapped[UUID | None] = mapped_column(ForeignKey("reward_group.id"))
    """Only members of the group may buy it."""
    valid_days: Mapped[int] = mapped_column(Integer)
    limit_per_person: Mapped[int] = mapped_column(Integer)
    limit_period: Mapped[str | None]
    limit_in_period: Mapped[int | None] = mapped_column(Integer)
    stock_total: Mapped[int]
    stock_per_day: Mapped[int | None]
    waits: Mapped[bool]
    """Whether people may queue for it when it is sold out."""
    exchange_hours: Mapped[list[Any]]
    """`{weekday, from_minute, until_minute}` in Shanghai; none is always."""
    redeem_hours: Mapped[list[Any]]
    """When the shop is open, as it says; shown to the citizen, asked by no till."""
    label_scheme: Mapped[str | None]
    label_certificate: Mapped[str | None]
    label_url: Mapped[str | None]
    picture_digest: Mapped[bytes | None] = mapped_column(ForeignKey("reward_picture.digest"))
    state: Mapped[str]
    sells_from: Mapped[datetime]
    sells_until: Mapped[datetime]
    drafted_by: Mapped[str]
    created_at: Mapped[datetime]


class RewardStock(Base):
    """What is left of a reward: in all (`whole`), of a day (`day/2026-11-20`), of a store (`store/7`).

    Each stands in slots, so that buyers do not wait for each other. Never below zero.
    """

    __tablename__ = "reward_stock"
    __table_args__ = (
        CheckConstraint("remaining >= 0", name="remaining_is_not_negative"),
        CheckConstraint(f"part ~ '{PART}'", name="part_is_known"),
        CheckConstraint(f"slot BETWEEN 0 AND {SLOTS - 1}", name="slot_is_known"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"), primary_key=True)
    part: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    remaining: Mapped[int]


class RewardUse(Base):
    """How many of a reward one person holds or has used: in all (`whole`), and by period."""

    __tablename__ = "reward_use"
    __table_args__ = (
        CheckConstraint("used >= 0", name="used_is_not_negative"),
        CheckConstraint(f"period ~ '{PERIOD}'", name="period_is_known"),
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"), primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    used: Mapped[int] = mapped_column(Integer)


class Voucher(Base):
    """A bought reward. `funding` is a list of `{funder_id, cost_fen}` that sums to `cost_fen`."""

    __tablename__ = "voucher"
    __table_args__ = (
        CheckConstraint(one_of("state"), name="state_is_known"),
        CheckConstraint(f"cycle BETWEEN 0 AND {LAST_CYCLE}", name="cycle_is_bounded"),
        CheckConstraint("price_coin_milli > 0", name="price_is_positive"),
        CheckConstraint(
            f"'{WHOLE}' = ANY (stock_parts) AND '{WHOLE}' = ANY (use_periods)", name="it_counts_in_the_whole"
        ),
        CheckConstraint(
            f"(state = '{State.LOCKED}') = (num_nonnulls(lock_session, locked_until, lock_by) = 3)",
            name="a_lock_has_its_session",
        ),
        CheckConstraint(
            f"(state = '{State.CLOSING}') = (num_nonnulls(closes_at, closing_to) = 2)"
            " AND num_nonnulls(closes_at, closing_to) <> 1",
            name="closing_says_when_and_what",
        ),
        CheckConstraint(f"closing_to IN ({ENDS})", name="it_closes_to_an_end"),
        Index("ix_voucher_closing", "closes_at", postgresql_where=sql("closes_at IS NOT NULL")),
        Index(
            "ix_voucher_offline",
            "scope_no",
            "offline_until",
            postgresql_where=sql("offline_until IS NOT NULL"),
        ),
        Index("ix_voucher_id", "id"),  # operators know a voucher by its id alone
        Index("ix_voucher_lock_session", "lock_session", postgresql_where=sql("lock_session IS NOT NULL")),
        Index("ix_voucher_ending", "ends_at", "holder_id", "id", postgresql_where=sql(one_of("state", LIVE))),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"))
    state: Mapped[str]
    cycle: Mapped[int] = mapped_column(Integer)
    price_coin_milli: Mapped[int]
    price_no: Mapped[int] = mapped_column(Integer)
    """Which version of the reward's price was paid."""
    cost_fen: Mapped[int]
    funding: Mapped[list[Any]]
    stock_parts: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """The counters it was drawn from: where the item goes back to if it is not used."""
    use_periods: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """The periods in which it counts against its owner's limits."""
    unit_no: Mapped[int | None] = mapped_column(Integer)
    """The one seat or plot it is for."""
    merchant_id: Mapped[UUID | None]
    scope_no: Mapped[int | None]
    lock_s: Mapped[int] = mapped_column(Integer)
    reversal_window_s: Mapped[int] = mapped_column(Integer)
    grace_days: Mapped[int] = mapped_column(Integer)
    issued_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    lock_session: Mapped[UUID | None]
    locked_until: Mapped[datetime | None]
    lock_by: Mapped[UUID | None]
    offline_until: Mapped[datetime | None]
    """Until when a scan may be handed in that a terminal accepted without asking; absent where none can."""
    closes_at: Mapped[datetime | None]
    closing_to: Mapped[str | None]


class VoucherStep(Base):
    """What happened to a voucher: from, to, who, why."""

    __tablename__ = "voucher_step"
    __table_args__ = (
        ForeignKeyConstraint(["holder_id", "voucher_id"], ["voucher.holder_id", "voucher.id"]),
        CheckConstraint(one_of("to_state"), name="state_is_known"),
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    voucher_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    cycle: Mapped[int] = mapped_column(Integer)
    principal: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime]


class VoucherCode(Base):
    """Which use of which voucher a code id names; kept for good, so an old code is known as old."""

    __tablename__ = "voucher_code"
    __table_args__ = (
        UniqueConstraint("holder_id", "voucher_id", "cycle"),
        ForeignKeyConstraint(["holder_id", "voucher_id"], ["voucher.holder_id", "voucher.id"]),
    )

    code_id: Mapped[bytes] = mapped_column(primary_key=True)
    holder_id: Mapped[UUID]
    voucher_id: Mapped[UUID]
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    cycle: Mapped[int] = mapped_column(Integer)
    issued_at: Mapped[datetime]


class VoucherAlias(Base):
    """The one number to type that a voucher has now, as a digest; single use, 60 s."""

    __tablename__ = "voucher_alias"
    __table_args__ = (ForeignKeyConstraint(["holder_id", "voucher_id"], ["voucher.holder_id", "voucher.id"]),)

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    voucher_id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    digits_digest: Mapped[bytes] = mapped_column(unique=True)
    cycle: Mapped[int] = mapped_column(Integer)
    ends_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
