"""Publications: factor tables and rules alike are dated, cited, and frozen once published.

A rule is a publication whose content is one small document (a coin rate, a cap, a validity, a
fallback); a factor table is a publication whose rows are laid out in `factor` when it is published.
A successor closes its predecessor by `ends_on`, one that corrects it takes its place and days, and a
withdrawal ends a publication; nothing else of a published row changes, and a trigger (`publication_stays`)
says so to whoever asks the database.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base

UNPUBLISHED = ("draft", "in_review", "public_notice")
"""Proposals: not in force, not signed, not in the catalogue."""
PUBLIC_STATES = ("published", "withdrawn", "corrected")
"""What is or was published. What has ended is still published; withdrawn is what never came into force,
corrected what another took the place of."""
STATES = (*UNPUBLISHED, *PUBLIC_STATES)
RULINGS = ("dismissed", "upheld")


class Publication(Base):
    """One publication of a region: what kind, since when, from which source, by whom."""

    __tablename__ = "publication"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="state_is_known"),
        CheckConstraint("publisher_id IS NULL OR publisher_id <> author_id", name="two_persons_publish"),
        CheckConstraint("reviewer_id IS NULL OR reviewer_id <> author_id", name="another_reviews"),
        CheckConstraint(
            "publisher_id IS NULL OR reviewer_id IS NULL OR publisher_id <> reviewer_id",
            name="a_third_publishes",
        ),
        CheckConstraint(
            f"(state IN {PUBLIC_STATES}) = (digest IS NOT NULL)"
            " AND num_nulls(digest, kid, signature, publisher_id, published_at) IN (0, 5)",
            name="published_means_signed",
        ),
        CheckConstraint(
            "(notice_from IS NULL) = (notice_until IS NULL)"
            " AND (notice_until IS NULL OR notice_until > notice_from)"
            " AND (state <> 'public_notice' OR notice_until IS NOT NULL)",
            name="notice_has_its_days",
        ),
        CheckConstraint(
            "(withdrawn_from IS NULL) = (withdrawn_by IS NULL)"
            " AND (withdrawn_from IS NULL OR digest IS NOT NULL)"
            # What ruled a day keeps its days: it ends, and is looked up as before.
            " AND (state = 'withdrawn') = (coalesce(withdrawn_from <= effective_from, false))",
            name="withdrawal_has_its_day",
        ),
        CheckConstraint("ends_on IS NULL OR ends_on > effective_from", name="ends_after_it_starts"),
        # At most one is in force on a day: the database says so, not a look before the write.
        ExcludeConstraint(
            ("region_id", "="),
            ("kind", "="),
            ("subject", "="),
            (text("daterange(effective_from, ends_on)"), "&&"),
            name="ex_publication_one_in_force",
            where=text("state = 'published'"),
            using="gist",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    kind: Mapped[str]
    subject: Mapped[str]
    """What it rules inside its kind, such as a scenario group or a purpose; at most one is in force a day."""
    title: Mapped[str]
    content: Mapped[dict[str, Any]]
    source: Mapped[str]
    assumption: Mapped[str | None]
    """Said wherever its figures are shown when they rest on an operator's assumption."""
    effective_from: Mapped[date]
    ends_on: Mapped[date | None]
    state: Mapped[str]
    author_id: Mapped[UUID]
    publisher_id: Mapped[UUID | None]
    corrects_id: Mapped[UUID | None] = mapped_column(ForeignKey("publication.id"))
    procedure_id: Mapped[UUID | None] = mapped_column(ForeignKey("publication.id"))
    """The procedure rule it was submitted under; a later one does not change the way it goes."""
    review_round: Mapped[int] = mapped_column(SmallInteger)
    """How often it was submitted; comments and objections are of a round."""
    reviewer_id: Mapped[UUID | None]
    """Who approved it."""
    notice_from: Mapped[date | None]
    notice_until: Mapped[date | None]
    """The last day on which anybody may object."""
    withdrawn_from: Mapped[date | None]
    withdrawn_by: Mapped[UUID | None]
    digest: Mapped[bytes | None]
    kid: Mapped[int | None] = mapped_column(SmallInteger)
    signature: Mapped[bytes | None]
    drafted_at: Mapped[datetime]
    published_at: Mapped[datetime | None]


class PublicationStep(Base):
    """What happened to a publication: who, when, why. Only ever added to."""

    __tablename__ = "publication_step"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    publication_id: Mapped[UUID] = mapped_column(ForeignKey("publication.id"), index=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    state: Mapped[str]
    principal: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime]


class PublicationComment(Base):
    """What somebody of the operation centre said of a proposal under review. Only ever added to."""

    __tablename__ = "publication_comment"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    publication_id: Mapped[UUID] = mapped_column(ForeignKey("publication.id"), index=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    review_round: Mapped[int] = mapped_column(SmallInteger)
    principal: Mapped[str]
    about: Mapped[str | None]
    """The code of a row, or the name of a field."""
    body: Mapped[str]
    recorded_at: Mapped[datetime]


class PublicationObjection(Base):
    """What a citizen or an enterprise has against a proposal on notice, once a notice. Never changed."""

    __tablename__ = "publication_objection"
    __table_args__ = (
        UniqueConstraint(
            "publication_id",
            "review_round",
            "objector_id",
            name="uq_publication_objection_once_a_notice",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    publication_id: Mapped[UUID] = mapped_column(ForeignKey("publication.id"))
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    review_round: Mapped[int] = mapped_column(SmallInteger)
    objector_kind: Mapped[str]
    objector_id: Mapped[UUID]
    """A person, or the enterprise a person speaks for."""
    body: Mapped[str]
    recorded_at: Mapped[datetime]


class ObjectionAnswer(Base):
    """What an objection came to; there is one at most. Never changed."""

    __tablename__ = "objection_answer"
    __table_args__ = (CheckConstraint(f"ruling IN {RULINGS}", name="ruling_is_known"),)

    objection_id: Mapped[UUID] = mapped_column(ForeignKey("publication_objection.id"), primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    ruling: Mapped[str]
    principal: Mapped[str]
    body: Mapped[str]
    recorded_at: Mapped[datetime]
