"""Settlements of merchants: what each claimed, who agreed or did not, what was paid, what was adjusted.

A line names what it claims (`what`, `subject_id`), and that is its key: nothing is settled twice. Lines,
steps, disputes, answers and payments are never changed; of a settlement only its state and, once, the
figures it was closed with.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base
from merchants.settlement.states import Standing, State, What, one_of

RULINGS = ("upheld", "rejected")


class Settlement(Base):
    """A merchant's period. The figures are those it was closed with; `payable_fen` is what it gets."""

    __tablename__ = "settlement"
    __table_args__ = (
        UniqueConstraint("merchant_id", "last_day"),
        CheckConstraint(one_of("state", State), name="state_is_known"),
        CheckConstraint("first_day <= last_day", name="it_has_its_days"),
        CheckConstraint(
            "(state = 'open') = (digest IS NULL)"
            " AND num_nonnulls(digest, closed_at, closed_by, dispute_until, line_count, coin_milli,"
            " payable_fen, by_funder) IN (0, 8)",
            name="closed_means_with_figures",
        ),
        CheckConstraint("payable_fen >= 0 AND coin_milli >= 0", name="a_merchant_never_owes"),
        Index(
            "uq_settlement_one_open",
            "merchant_id",
            unique=True,
            postgresql_where=sql("state = 'open'"),
        ),
        Index("ix_settlement_region", "region_id", "id"),
        Index("ix_settlement_silent", "dispute_until", postgresql_where=sql("state = 'closed'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    rule_id: Mapped[UUID] = mapped_column(ForeignKey("publication.id"))
    first_day: Mapped[date]
    last_day: Mapped[date]
    state: Mapped[str]
    opened_at: Mapped[datetime]
    claimed_day: Mapped[date | None]
    """Up to where its merchant's redemptions were gone through, with the id on that day."""
    claimed_id: Mapped[UUID | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None]
    dispute_until: Mapped[datetime | None]
    line_count: Mapped[int | None]
    coin_milli: Mapped[int | None]
    payable_fen: Mapped[int | None]
    by_funder: Mapped[list[Any] | None]
    """What each funder owes, a list of `{funder_id, fen}`."""
    digest: Mapped[bytes | None]


class SettlementLine(Base):
    """One thing settled. `shares` is what each funder owes for it, a list of `{funder_id, fen}`.

    What the merchant gets is what funders owe less what goes to the operation centre.
    """

    __tablename__ = "settlement_line"
    __table_args__ = (
        CheckConstraint(one_of("what", What), name="what_is_known"),
        CheckConstraint(
            "(what IN ('redemption', 'reversal', 'conflict'))"
            " = (store_id IS NOT NULL AND terminal_id IS NOT NULL)",
            name="a_use_has_its_till",
        ),
        Index("ix_settlement_line_order", "settlement_id", "happened_at", "subject_id", "what"),
    )

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    """Of a reversal its redemption; of a fee or subsidy the settlement."""
    what: Mapped[str] = mapped_column(primary_key=True)
    settlement_id: Mapped[UUID] = mapped_column(ForeignKey("settlement.id"))
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    store_id: Mapped[UUID | None] = mapped_column(ForeignKey("store.id"))
    terminal_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminal.id"))
    business_day: Mapped[date]
    happened_at: Mapped[datetime]
    coin_milli: Mapped[int]
    payable_fen: Mapped[int]
    centre_fen: Mapped[int]
    shares: Mapped[list[Any]]


class SettlementStep(Base):
    """What happened to a settlement: from, to, who, why."""

    __tablename__ = "settlement_step"
    __table_args__ = (CheckConstraint(one_of("to_state", State), name="state_is_known"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    settlement_id: Mapped[UUID] = mapped_column(ForeignKey("settlement.id"), index=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    principal: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime]


class SettlementDispute(Base):
    """A merchant does not agree, once a settlement: with all of it, or with `lines` (`{what, id}`)."""

    __tablename__ = "settlement_dispute"

    settlement_id: Mapped[UUID] = mapped_column(ForeignKey("settlement.id"), primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    lines: Mapped[list[Any]]
    reason: Mapped[str]
    principal: Mapped[str]
    recorded_at: Mapped[datetime]


class SettlementAnswer(Base):
    """What a dispute came to; what is upheld follows as adjustments."""

    __tablename__ = "settlement_answer"
    __table_args__ = (CheckConstraint(f"ruling IN {RULINGS}", name="ruling_is_known"),)

    settlement_id: Mapped[UUID] = mapped_column(
        ForeignKey("settlement_dispute.settlement_id"), primary_key=True
    )
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    ruling: Mapped[str]
    reason: Mapped[str]
    principal: Mapped[str]
    recorded_at: Mapped[datetime]


class SettlementPayment(Base):
    """Which line of the bank's statement paid a settlement."""

    __tablename__ = "settlement_payment"
    __table_args__ = (UniqueConstraint("region_id", "bank_statement_id"),)

    settlement_id: Mapped[UUID] = mapped_column(ForeignKey("settlement.id"), primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    bank_statement_id: Mapped[str]
    paid_fen: Mapped[int]
    principal: Mapped[str]
    recorded_at: Mapped[datetime]


class SettlementAdjustment(Base):
    """What corrects a settlement that is closed: proposed by one person, decided by another.

    With `redemption_id` it takes a settled use back, coins too; else it is an amount of one funder.
    """

    __tablename__ = "settlement_adjustment"
    __table_args__ = (
        CheckConstraint(one_of("state", Standing), name="state_is_known"),
        CheckConstraint("decided_by <> proposed_by", name="two_persons_adjust"),
        CheckConstraint(
            "(state = 'proposed') = (decided_by IS NULL)"
            " AND num_nonnulls(decided_by, decided_at, decided_on, decision_reason) IN (0, 4)",
            name="a_decision_is_whole",
        ),
        CheckConstraint(
            "coin_milli <= 0 AND (redemption_id IS NOT NULL OR coin_milli = 0)",
            name="coins_go_back_with_their_use",
        ),
        Index(
            "uq_settlement_adjustment_taken_back",
            "redemption_id",
            unique=True,
            postgresql_where=sql("state <> 'rejected'"),
        ),
        Index("ix_settlement_adjustment_region", "region_id", "id"),
        Index("ix_settlement_adjustment_merchant", "merchant_id", "decided_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    settlement_id: Mapped[UUID] = mapped_column(ForeignKey("settlement.id"))
    """Which it corrects; its line stands in a later one."""
    redemption_id: Mapped[UUID | None] = mapped_column(ForeignKey("redemption.id"))
    coin_milli: Mapped[int]
    payable_fen: Mapped[int]
    shares: Mapped[list[Any]]
    reason: Mapped[str]
    state: Mapped[str]
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decided_on: Mapped[date | None]
    decision_reason: Mapped[str | None]
