"""Publications: factor tables and rules alike are dated, cited, and frozen once published.

A rule is a publication whose content is one small document (a coin rate, a cap, a validity, a
fallback); a factor table is a publication whose rows are laid out in `factor` when it is published.
A successor closes its predecessor by `ends_on`; the application's role may change nothing else of a row.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, SmallInteger, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base

STATES = ("draft", "published", "withdrawn")


class Publication(Base):
    """One publication of a region: what kind, since when, from which source, by whom."""

    __tablename__ = "publication"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="state_is_known"),
        CheckConstraint("publisher_id IS NULL OR publisher_id <> author_id", name="two_persons_publish"),
        CheckConstraint(
            "(state = 'draft') = (digest IS NULL AND publisher_id IS NULL AND published_at IS NULL)",
            name="published_means_signed",
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
