"""Who stands at a till: clerks with a number and a PIN, and their shifts; neither names a person.

A merchant knows who its number 07 is; here stand the number, what it may do, and the hash of its PIN.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base

MOST_ATTEMPTS = 5
"""Tries of a clerk's PIN in a quarter of an hour."""
MOST_WRONG = 20
"""Tries in a row without a right one; then a manager sets a new PIN."""


class Clerk(Base):
    """A clerk of a merchant. A number is never given to somebody else."""

    __tablename__ = "clerk"
    __table_args__ = (
        UniqueConstraint("merchant_id", "number"),
        CheckConstraint("role IN ('cashier', 'manager')", name="role_is_known"),
        CheckConstraint("number ~ '^[0-9A-Z]{1,12}$'", name="number_is_plain"),
        CheckConstraint(f"attempts BETWEEN 0 AND {MOST_ATTEMPTS}", name="attempts_are_bounded"),
        CheckConstraint(f"wrong_in_a_row BETWEEN 0 AND {MOST_WRONG}", name="wrong_ones_are_bounded"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    number: Mapped[str]
    role: Mapped[str]
    pin_hash: Mapped[str]
    citizen_id: Mapped[UUID | None]
    """Which citizen this is, as the citizen said; never changed."""
    attempts: Mapped[int] = mapped_column(Integer)
    window_started_at: Mapped[datetime]
    wrong_in_a_row: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    dismissed_at: Mapped[datetime | None]


class ClerkShift(Base):
    """A clerk at a till from the sign-in to the end; one at a time for either."""

    __tablename__ = "clerk_shift"
    __table_args__ = (
        CheckConstraint(
            "(ended_at IS NULL) = (end_cause IS NULL) AND (end_cause IS NULL OR end_cause IN"
            " ('signed_out', 'replaced', 'pin_set', 'dismissed', 'terminal_revoked'))",
            name="end_has_its_cause",
        ),
        Index(
            "uq_clerk_shift_terminal", "terminal_id", unique=True, postgresql_where=sql("ended_at IS NULL")
        ),
        Index("uq_clerk_shift_clerk", "clerk_id", unique=True, postgresql_where=sql("ended_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    clerk_id: Mapped[UUID] = mapped_column(ForeignKey("clerk.id"))
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminal.id"))
    token_digest: Mapped[bytes] = mapped_column(unique=True)
    started_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_cause: Mapped[str | None]
