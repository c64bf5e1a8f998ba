"""Projects that enterprises declare, what they give of them, and who it went to."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, SmallInteger, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base

STATES = ("declared", "approved", "rejected")


class DonationProject(Base):
    """A verified reduction of an enterprise: the dossier, the kilograms, and who checked them."""

    __tablename__ = "donation_project"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="state_is_known"),
        CheckConstraint("carbon_mg > 0", name="carbon_is_positive"),
        CheckConstraint("period_end > period_start", name="period_ends_after_it_starts"),
        CheckConstraint("decided_by IS NULL OR decided_by <> declared_by", name="two_persons_approve"),
        CheckConstraint("(state = 'declared') = (decided_by IS NULL)", name="decided_has_a_decider"),
        # One project's days can be offered once, whoever offers them.
        ExcludeConstraint(
            ("project_key", "="),
            (text("daterange(period_start, period_end)"), "&&"),
            name="ex_donation_project_period",
            where=text("state <> 'rejected'"),
            using="gist",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    enterprise_id: Mapped[UUID]
    enterprise_name: Mapped[str]
    project_key: Mapped[str]
    """What names the project anywhere: its registry number, meter or address code."""
    title: Mapped[str]
    dossier: Mapped[str]
    period_start: Mapped[date]
    period_end: Mapped[date]
    """The first day after the period."""
    carbon_mg: Mapped[int]
    verifier: Mapped[str]
    verification_document: Mapped[str]
    exclusivity_statement: Mapped[str]
    state: Mapped[str]
    declared_by: Mapped[UUID]
    declared_at: Mapped[datetime]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]


class Donation(Base):
    """Kilograms given to a region's pool, with the signed certificate of it. Never changed."""

    __tablename__ = "donation"
    __table_args__ = (CheckConstraint("carbon_mg > 0", name="carbon_is_positive"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("donation_project.id"), index=True)
    carbon_mg: Mapped[int]
    transfer_id: Mapped[int]
    given_at: Mapped[datetime]
    digest: Mapped[bytes]
    kid: Mapped[int] = mapped_column(SmallInteger)
    signature: Mapped[bytes]


class PoolAllocation(Base):
    """One giving out of the pool: equal shares, for a reason anybody may read. Never changed."""

    __tablename__ = "pool_allocation"
    __table_args__ = (CheckConstraint("carbon_mg_each > 0", name="share_is_positive"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    reason: Mapped[str]
    carbon_mg_each: Mapped[int]
    coin_rule_id: Mapped[UUID] = mapped_column(ForeignKey("publication.id"))
    allocated_by: Mapped[UUID]
    allocated_at: Mapped[datetime]


class PoolShare(Base):
    """What one citizen got of an allocation: kilograms, the coins for them, and both transfers."""

    __tablename__ = "pool_share"
    __table_args__ = (CheckConstraint("carbon_mg > 0 AND coin_milli > 0", name="share_is_positive"),)

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    allocation_id: Mapped[UUID] = mapped_column(ForeignKey("pool_allocation.id"), primary_key=True)
    carbon_mg: Mapped[int]
    coin_milli: Mapped[int]
    carbon_transfer_id: Mapped[int]
    coin_transfer_id: Mapped[int]
    digest: Mapped[bytes]
