"""What owners of dear vouchers are asked before a till uses them, and what they said; an answer is final."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base


class RedemptionAsk(Base):
    """A reservation whose owner is asked; `answer_by` without an answer is a no."""

    __tablename__ = "redemption_ask"
    __table_args__ = (
        CheckConstraint("state IN ('asked', 'confirmed', 'declined', 'overridden')", name="state_is_known"),
        CheckConstraint("(state = 'asked') = (answered_at IS NULL)", name="an_answer_has_its_time"),
        CheckConstraint(
            "(state = 'overridden') = (num_nonnulls(manager_id, reason) = 2)"
            " AND num_nonnulls(manager_id, reason) <> 1",
            name="who_overrides_says_why",
        ),
        CheckConstraint(
            "redemption_id IS NULL OR state IN ('confirmed', 'overridden')", name="nothing_without_a_yes"
        ),
        Index("ix_redemption_ask_holder", "holder_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    session: Mapped[UUID] = mapped_column(unique=True)
    holder_id: Mapped[UUID]
    voucher_id: Mapped[UUID]
    cycle: Mapped[int] = mapped_column(Integer)
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminal.id"))
    store_id: Mapped[UUID] = mapped_column(ForeignKey("store.id"))
    state: Mapped[str]
    asked_at: Mapped[datetime]
    answer_by: Mapped[datetime]
    ends_at: Mapped[datetime]
    """When the reservation ends; a till may confirm until then."""
    answered_at: Mapped[datetime | None]
    manager_id: Mapped[UUID | None] = mapped_column(ForeignKey("clerk.id"))
    reason: Mapped[str | None]
    redemption_id: Mapped[UUID | None] = mapped_column(ForeignKey("redemption.id"))
