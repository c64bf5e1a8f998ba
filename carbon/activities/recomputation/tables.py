"""Recomputations, the parts they are posted in, and what became of each activity, which is only added to."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from carbon.activities.recomputation.states import OPEN, Policy, State, one_of
from kernel.database import Base

APPEND_ONLY = ("activity_correction", "recomputation_step")


class Recomputation(Base):
    """What a correcting table changes of earlier credits: by which policy, and who approved which figures."""

    __tablename__ = "recomputation"
    __table_args__ = (
        CheckConstraint(one_of("state", State), name="state_is_known"),
        CheckConstraint(one_of("policy", Policy), name="policy_is_known"),
        CheckConstraint("approver_id IS NULL OR approver_id <> author_id", name="two_persons_correct"),
        CheckConstraint(
            "state = 'cancelled' OR (state IN ('draft', 'dry_run_done')) = (approver_id IS NULL)",
            name="approved_has_an_approver",
        ),
        CheckConstraint(
            "state = 'cancelled' OR (state = 'draft') = (digest IS NULL)", name="dry_run_has_a_digest"
        ),
        CheckConstraint("(digest IS NULL) = (told IS NULL)", name="figures_are_told"),
        CheckConstraint("(state = 'cancelled') = (cancelled_because IS NOT NULL)", name="cancelled_says_why"),
        CheckConstraint(
            "(state IN ('done', 'cancelled')) = (finished_at IS NOT NULL)", name="an_end_is_dated"
        ),
        # One at a time, whoever asks: the database says so.
        Index(
            "uq_recomputation_open",
            "table_id",
            "region_id",
            unique=True,
            postgresql_where=text(one_of("state", OPEN)),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    """Whose activities, with those of the regions below it."""
    table_id: Mapped[UUID] = mapped_column(ForeignKey("publication.id"))
    """The table that corrects."""
    policy: Mapped[str]
    state: Mapped[str]
    author_id: Mapped[UUID]
    approver_id: Mapped[UUID | None]
    digest: Mapped[bytes | None]
    """SHA-256 over what the dry run found for every activity: what is approved, and what is posted."""
    told: Mapped[dict[str, Any] | None]
    """The sums of the dry run."""
    cancelled_because: Mapped[str | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class RecomputationStep(Base):
    """What happened to a recomputation: from, to, who, why."""

    __tablename__ = "recomputation_step"
    __table_args__ = (CheckConstraint(one_of("to_state", State), name="state_is_known"),)

    recomputation_id: Mapped[UUID] = mapped_column(ForeignKey("recomputation.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    principal: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime]


class RecomputationPart(Base):
    """Some citizens whose corrections are posted together: behind the first id, up to the last."""

    __tablename__ = "recomputation_part"
    __table_args__ = (CheckConstraint("until_citizen > after_citizen", name="has_citizens"),)

    recomputation_id: Mapped[UUID] = mapped_column(ForeignKey("recomputation.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    after_citizen: Mapped[UUID]
    until_citizen: Mapped[UUID]
    activities: Mapped[int]
    """How many are corrected."""
    carbon_mg_difference: Mapped[int]
    coin_milli_difference: Mapped[int]
    digest: Mapped[bytes]
    posted_at: Mapped[datetime | None]


class ActivityCorrection(Base):
    """What an activity came to before and after a table corrected it, and what was posted.

    Its original credits stand as they were; the transfers named here are linked to them.
    """

    __tablename__ = "activity_correction"
    __table_args__ = (
        UniqueConstraint("citizen_id", "activity_id", "recomputation_id"),
        CheckConstraint("number > 0", name="is_numbered"),
        CheckConstraint("carbon_mg_before >= 0 AND carbon_mg_after >= 0", name="carbon_is_not_negative"),
        CheckConstraint(
            "coin_milli_before >= 0 AND coin_milli_after >= 0 AND coin_cut_milli_after >= 0"
            " AND borne_milli_before >= 0 AND borne_milli_after >= 0",
            name="coins_are_not_negative",
        ),
        CheckConstraint(
            "coin_milli_after + borne_milli_after"
            " = coin_milli_before + borne_milli_before + coin_posted_milli",
            name="coins_are_posted_or_borne",
        ),
        CheckConstraint(
            "(coin_posted_milli = 0) = (coin_transfer_id IS NULL)"
            " AND (carbon_mg_before = carbon_mg_after) = (carbon_transfer_id IS NULL)",
            name="moved_means_posted",
        ),
        CheckConstraint(
            "carbon_mg_before <> carbon_mg_after OR coin_milli_before <> coin_milli_after",
            name="something_changed",
        ),
    )

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    """Its first correction is 1: two who correct it at once cannot both be the next."""
    recomputation_id: Mapped[UUID]
    factor_id: Mapped[UUID | None]
    """The row that judges it now; null where its own still does, and only the room under its cap changed."""
    carbon_mg_before: Mapped[int]
    carbon_mg_after: Mapped[int]
    coin_milli_before: Mapped[int]
    coin_milli_after: Mapped[int]
    coin_cut_milli_after: Mapped[int]
    coin_posted_milli: Mapped[int]
    borne_milli_before: Mapped[int]
    borne_milli_after: Mapped[int]
    """Coins beyond `coin_milli_after` that the citizen keeps or has spent: a fund bears them."""
    carbon_transfer_id: Mapped[int | None]
    coin_transfer_id: Mapped[int | None]
    recorded_at: Mapped[datetime]
