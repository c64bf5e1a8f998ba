"""What coins buy, who has bought it, and each step since.

A voucher carries its price, cost, funding, scope and rules frozen from the exchange, so a change to the
reward never reaches it. The citizen leads the keys of what belongs to the citizen. Steps and code ids
are never changed or deleted.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base
from rewards.voucher_states import LAST_CYCLE, LIVE, State, one_of

SLOTS = 16
"""A stock that many draw from at once stands in this many rows, so it does not serialise the city."""
ENDS = ", ".join(repr(end.value) for end in (State.EXPIRED, State.CANCELLED, State.DEACTIVATED))
APPEND_ONLY = ("voucher_step", "voucher_code")


class Funder(Base):
    """Who pays merchants for vouchers: a public fund or a sponsor; its ledger holder is this id."""

    __tablename__ = "funder"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    name_zh: Mapped[str]
    name_en: Mapped[str]
    created_at: Mapped[datetime]


class Reward(Base):
    """One thing coins buy. `funding` is a list of `{funder_id, parts}`; parts are whole shares."""

    __tablename__ = "reward"
    __table_args__ = (
        CheckConstraint("price_coin_milli > 0", name="price_is_positive"),
        CheckConstraint("cost_fen >= 0", name="cost_is_not_negative"),
        CheckConstraint("valid_days BETWEEN 1 AND 3660", name="valid_days_are_bounded"),
        CheckConstraint("limit_per_person > 0", name="limit_is_positive"),
        CheckConstraint("stock_total >= 0", name="stock_is_not_negative"),
        CheckConstraint("scope_no IS NULL OR merchant_id IS NOT NULL", name="a_store_has_its_merchant"),
        CheckConstraint("state IN ('on_sale', 'withdrawn')", name="state_is_known"),
        Index("ix_reward_region_id_id", "region_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    title_zh: Mapped[str]
    title_en: Mapped[str]
    price_coin_milli: Mapped[int]
    cost_fen: Mapped[int]
    funding: Mapped[list[Any]]
    merchant_id: Mapped[UUID | None] = mapped_column(ForeignKey("merchant.id"))
    """Honoured by this merchant only; by every merchant of the region when absent."""
    scope_no: Mapped[int | None] = mapped_column(ForeignKey("store.scope_no"))
    """Honoured by this store only."""
    valid_days: Mapped[int] = mapped_column(Integer)
    limit_per_person: Mapped[int] = mapped_column(Integer)
    stock_total: Mapped[int]
    state: Mapped[str]
    sells_from: Mapped[datetime]
    sells_until: Mapped[datetime]
    created_at: Mapped[datetime]


class RewardStock(Base):
    """A part of a reward's stock. Never below zero."""

    __tablename__ = "reward_stock"
    __table_args__ = (
        CheckConstraint("remaining >= 0", name="remaining_is_not_negative"),
        CheckConstraint(f"slot BETWEEN 0 AND {SLOTS - 1}", name="slot_is_known"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"), primary_key=True)
    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    remaining: Mapped[int]


class RewardUse(Base):
    """How many of a reward one person holds or has used."""

    __tablename__ = "reward_use"
    __table_args__ = (CheckConstraint("used >= 0", name="used_is_not_negative"),)

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"), primary_key=True)
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
    cost_fen: Mapped[int]
    funding: Mapped[list[Any]]
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
