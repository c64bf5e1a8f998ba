"""Who honours vouchers, with which tills, and what they honoured.

A redemption is written once for a voucher and cycle; a reversal is a row of its own, never a change.
Secrets of terminals stand here only as digests.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base

APPEND_ONLY = ("redemption", "redemption_reversal", "scan_refusal", "offline_record", "offline_conflict")


class Merchant(Base):
    """Who is paid. Its ledger accounts are held by this id."""

    __tablename__ = "merchant"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    name_zh: Mapped[str]
    name_en: Mapped[str]
    created_at: Mapped[datetime]


class Store(Base):
    """A place of a merchant; `scope_no` is what a store-scoped code carries."""

    __tablename__ = "store"
    __table_args__ = (CheckConstraint("scope_no BETWEEN 1 AND 4294967295", name="scope_fits_four_bytes"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"), index=True)
    scope_no: Mapped[int] = mapped_column(unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    created_at: Mapped[datetime]
    clerk_required: Mapped[bool] = mapped_column(server_default=false())
    """Nothing is honoured at its tills without a clerk who signed in."""
    linked_clerks_only: Mapped[bool] = mapped_column(server_default=false())
    """Only clerks who said which citizen they are sign in here."""
    manager_reverses: Mapped[bool] = mapped_column(server_default=false())
    """Only a manager undoes a redemption of this store."""


class Terminal(Base):
    """A till: waits for its pairing code, then is paired, then perhaps revoked; never goes back."""

    __tablename__ = "terminal"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'paired', 'revoked')", name="state_is_known"),
        CheckConstraint("state <> 'paired' OR token_digest IS NOT NULL", name="paired_means_with_a_secret"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    store_id: Mapped[UUID] = mapped_column(ForeignKey("store.id"), index=True)
    label: Mapped[str]
    state: Mapped[str]
    pairing_digest: Mapped[bytes] = mapped_column(unique=True)
    pairing_ends_at: Mapped[datetime]
    token_digest: Mapped[bytes | None] = mapped_column(unique=True)
    public_key: Mapped[bytes | None]
    """The Ed25519 key made on the terminal, for records of offline scans."""
    created_at: Mapped[datetime]
    paired_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Redemption(Base):
    """One voucher honoured once. `payables` is a list of `{funder_id, cost_fen, transfer_id}`."""

    __tablename__ = "redemption"
    __table_args__ = (
        UniqueConstraint("voucher_id", "cycle"),
        Index("ix_redemption_statement", "merchant_id", "business_day", "id"),
        CheckConstraint("coin_milli > 0", name="coins_are_positive"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    holder_id: Mapped[UUID]
    voucher_id: Mapped[UUID]
    cycle: Mapped[int] = mapped_column(Integer)
    reward_id: Mapped[UUID]
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    store_id: Mapped[UUID] = mapped_column(ForeignKey("store.id"))
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminal.id"))
    clerk_id: Mapped[UUID | None] = mapped_column(ForeignKey("clerk.id"))
    coin_milli: Mapped[int]
    cost_fen: Mapped[int]
    payables: Mapped[list[Any]]
    business_day: Mapped[date]
    redeemed_at: Mapped[datetime]
    reversible_until: Mapped[datetime]


class RedemptionReversal(Base):
    """A redemption undone, once; `outcome` says whether the voucher lives again or the coins went back."""

    __tablename__ = "redemption_reversal"
    __table_args__ = (
        Index("ix_redemption_reversal_statement", "merchant_id", "business_day"),
        CheckConstraint("outcome IN ('issued', 'expired')", name="outcome_is_known"),
    )

    redemption_id: Mapped[UUID] = mapped_column(ForeignKey("redemption.id"), primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    merchant_id: Mapped[UUID]
    outcome: Mapped[str]
    reason: Mapped[str]
    principal: Mapped[str]
    clerk_id: Mapped[UUID | None] = mapped_column(ForeignKey("clerk.id"))
    business_day: Mapped[date]
    reversed_at: Mapped[datetime]


class ScanRefusal(Base):
    """A scan that was said no to: where, when and why; never the code itself."""

    __tablename__ = "scan_refusal"
    __table_args__ = (
        Index("ix_scan_refusal_recent", "terminal_id", "recorded_at"),
        Index("ix_scan_refusal_merchant", "merchant_id", "id"),
        Index("ix_scan_refusal_region", "region_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    merchant_id: Mapped[UUID]
    store_id: Mapped[UUID]
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminal.id"))
    clerk_id: Mapped[UUID | None] = mapped_column(ForeignKey("clerk.id"))
    refusal: Mapped[str]
    voucher_id: Mapped[UUID | None]
    recorded_at: Mapped[datetime]


class OfflineRecord(Base):
    """A scan that a till accepted without asking, as it wrote and signed it, and what became of it."""

    __tablename__ = "offline_record"
    __table_args__ = (
        CheckConstraint("counter >= 1", name="counters_begin_at_one"),
        CheckConstraint("outcome IN ('redeemed', 'conflict', 'refused')", name="outcome_is_known"),
        CheckConstraint("(outcome = 'redeemed') = (redemption_id IS NOT NULL)", name="what_it_redeemed"),
        CheckConstraint("(outcome = 'refused') = (refusal IS NOT NULL)", name="why_it_was_refused"),
        CheckConstraint("outcome = 'refused' OR voucher_id IS NOT NULL", name="which_voucher"),
    )

    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminal.id"), primary_key=True)
    counter: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    store_id: Mapped[UUID]
    code: Mapped[str]
    scanned_at: Mapped[datetime]
    received_at: Mapped[datetime]
    previous_hash: Mapped[bytes]
    signature: Mapped[bytes]
    record_hash: Mapped[bytes]
    outcome: Mapped[str]
    refusal: Mapped[str | None]
    voucher_id: Mapped[UUID | None]
    cycle: Mapped[int | None] = mapped_column(Integer)
    redemption_id: Mapped[UUID | None] = mapped_column(ForeignKey("redemption.id"))


class OfflineConflict(Base):
    """A till honoured without asking what was not there to be honoured: both parties, and who bears it.

    `payables` is as of a redemption; empty where the merchant bears it.
    """

    __tablename__ = "offline_conflict"
    __table_args__ = (
        UniqueConstraint("terminal_id", "counter"),
        ForeignKeyConstraint(
            ["terminal_id", "counter"], ["offline_record.terminal_id", "offline_record.counter"]
        ),
        CheckConstraint(
            "cause IN ('redeemed', 'reversed', 'cancelled', 'expired', 'deactivated', 'late', 'frozen')",
            name="cause_is_known",
        ),
        CheckConstraint("liable IN ('merchant', 'funders')", name="somebody_bears_it"),
        CheckConstraint("cost_fen >= 0", name="cost_is_not_negative"),
        Index("ix_offline_conflict_statement", "merchant_id", "business_day"),
        Index("ix_offline_conflict_region", "region_id", "id"),
        Index("ix_offline_conflict_recent", "terminal_id", "recorded_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    terminal_id: Mapped[UUID]
    counter: Mapped[int]
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    store_id: Mapped[UUID] = mapped_column(ForeignKey("store.id"))
    holder_id: Mapped[UUID]
    voucher_id: Mapped[UUID]
    cycle: Mapped[int] = mapped_column(Integer)
    cause: Mapped[str]
    other_redemption_id: Mapped[UUID | None] = mapped_column(ForeignKey("redemption.id"))
    other_terminal_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminal.id"))
    other_principal: Mapped[str | None]
    """Who ended the voucher, where no till is the other party."""
    liable: Mapped[str]
    cost_fen: Mapped[int]
    payables: Mapped[list[Any]]
    business_day: Mapped[date]
    scanned_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
