"""Who delivers activities, and which citizen stands behind a card or account.

A card or account number is never stored: only its keyed hash. `citizen_id` names a citizen without a
foreign key, because it is the distribution column of everything a citizen owns (`docs`, Citus).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from carbon.partners.consent_texts import CONSENT_TEXTS
from kernel.database import Base

STATES = ("active", "suspended")
DEVICE_VERIFIED = "device_verified"
"""The evidence of gates, meters and other devices: the tier of a partner whose contract names no other."""


class Partner(Base):
    """A data partner. Its API key is known to it alone; here is the SHA-256."""

    __tablename__ = "partner"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="state_is_known"),
        CheckConstraint("cardinality(evidence_tiers) BETWEEN 1 AND 8", name="has_evidence_tiers"),
        CheckConstraint(f"data_source IN {tuple(CONSENT_TEXTS)}", name="data_source_is_known"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    name: Mapped[str]
    data_source: Mapped[str]
    """What its records are, and so which consent text citizens read; fixed for good."""
    evidence_tiers: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text(f"'{{{DEVICE_VERIFIED}}}'")
    )
    """What it may claim by its contract; the only one is that of a record that states none."""
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    state: Mapped[str]
    served_at: Mapped[datetime | None]
    """When a worker last took up one of its batches, or put one down: who waited longest comes first."""
    created_at: Mapped[datetime]


class Consent(Base):
    """A citizen's consent that a partner's records become activities; at most one is open."""

    __tablename__ = "consent"
    __table_args__ = (
        Index(
            "uq_consent_open",
            "citizen_id",
            "partner_id",
            unique=True,
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
        CheckConstraint("withdrawn_at IS NULL OR withdrawn_at >= given_at", name="ends_after_it_starts"),
    )

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"))
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    text_version: Mapped[str]
    given_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class Binding(Base):
    """A card or account of a partner, by its keyed hash, and the citizen it belongs to; one at a time."""

    __tablename__ = "binding"
    __table_args__ = (
        Index(
            "uq_binding_active",
            "partner_id",
            "subject_hash",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_binding_citizen", "citizen_id"),
        Index(
            "ix_binding_former",
            "partner_id",
            "subject_hash",
            postgresql_where=text("ended_at IS NOT NULL"),
        ),
        CheckConstraint("octet_length(subject_hash) = 32", name="subject_is_hashed"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"))
    subject_hash: Mapped[bytes]
    citizen_id: Mapped[UUID]
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    bound_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class BindingRefusal(Base):
    """A try to bind what is another citizen's: whose try and when, never which number."""

    __tablename__ = "binding_refusal"
    __table_args__ = (Index("ix_binding_refusal_recent", "citizen_id", "partner_id", "recorded_at"),)

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"))
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    recorded_at: Mapped[datetime]
