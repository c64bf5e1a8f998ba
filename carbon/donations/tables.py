"""Projects that enterprises declare, what else they lay claim to, and what they give of them."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base

STATES = ("declared", "approved", "rejected")
SCHEMES = ("ets", "ccer", "green_certificate", "vcs", "gold_standard", "other_platform")
"""Where else a reduction may be registered: allowance market, CCER, green power certificates, and so on."""
DOCUMENT_KINDS = ("verification_report", "baseline", "meter_readings", "photo", "exclusivity", "other")
MEDIA_TYPES = (
    "application/pdf",
    "image/png",
    "image/jpeg",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)
CAUSES = ("claimed_elsewhere", "verification_withdrawn", "donor_asked")
"""Why a donation is withdrawn."""
RULES = ("equal", "need")
"""How an allocation is split: the same for each, or by weight of need; either on a campaign or on none."""
MOST_DOCUMENTS, DOCUMENT_BYTES_MAX = 20, 8 << 20
SAME_KEY = "lower(regexp_replace(normalize(project_key, NFKC), '\\s+', '', 'g'))"
"""Another spelling of a key is the same key: full-width, in capitals, with spaces."""


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
            (text(SAME_KEY), "="),
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


class DonationRegistration(Base):
    """A number that another scheme gave to a project, and the days for which it stands; rejection ends it."""

    __tablename__ = "donation_registration"
    __table_args__ = (
        CheckConstraint(f"scheme IN {SCHEMES}", name="scheme_is_known"),
        CheckConstraint("NOT isempty(days)", name="has_a_day"),
        # One number stands behind one project at a time, whoever names it; a certificate of power for ever.
        ExcludeConstraint(
            ("scheme", "="),
            ("number", "="),
            ("days", "&&"),
            where=text("ended_at IS NULL"),
            using="gist",
            name="ex_donation_registration_number",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("donation_project.id"), index=True)
    scheme: Mapped[str]
    number: Mapped[str]
    days: Mapped[Range[date]] = mapped_column(DATERANGE)
    claimed_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class DonationEvent(Base):
    """A record of a data partner that a project rests on; approval takes it, as crediting a citizen would."""

    __tablename__ = "donation_event"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("donation_project.id"), primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"), primary_key=True)
    source_event_id: Mapped[str] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))


class DonationDocument(Base):
    """A document of a dossier with its bytes. Added until the project is decided, never changed."""

    __tablename__ = "donation_document"
    __table_args__ = (
        CheckConstraint(f"kind IN {DOCUMENT_KINDS}", name="kind_is_known"),
        CheckConstraint(f"media_type IN {MEDIA_TYPES}", name="media_type_is_known"),
        CheckConstraint(f"place BETWEEN 1 AND {MOST_DOCUMENTS}", name="has_a_place"),
        CheckConstraint("digest = sha256(content)", name="digest_is_of_the_content"),
        CheckConstraint(f"octet_length(content) BETWEEN 1 AND {DOCUMENT_BYTES_MAX}", name="is_not_too_long"),
        UniqueConstraint("project_id", "place", name="uq_donation_document_place"),
        UniqueConstraint("project_id", "digest", name="uq_donation_document_digest"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("donation_project.id"))
    place: Mapped[int] = mapped_column(SmallInteger)
    kind: Mapped[str]
    media_type: Mapped[str]
    digest: Mapped[bytes]
    content_bytes: Mapped[int] = mapped_column(Integer)
    content: Mapped[bytes] = mapped_column(deferred=True, nullable=False)  # a list reads none of them
    added_by: Mapped[UUID]
    added_at: Mapped[datetime]


class Donation(Base):
    """Kilograms given to a region's pool, with the signed certificate of it. Never changed."""

    __tablename__ = "donation"
    __table_args__ = (CheckConstraint("carbon_mg > 0", name="carbon_is_positive"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("donation_project.id"), index=True)
    carbon_mg: Mapped[int]
    transfer_id: Mapped[int]
    statement_version: Mapped[str | None]
    """Which exclusivity statement its deed makes; None in the first form of the certificate."""
    given_at: Mapped[datetime]
    digest: Mapped[bytes]
    kid: Mapped[int] = mapped_column(SmallInteger)
    signature: Mapped[bytes]


class DonationWithdrawal(Base):
    """What was not shared out of a donation when it was withdrawn, with a signed notice. Never changed."""

    __tablename__ = "donation_withdrawal"
    __table_args__ = (
        CheckConstraint("carbon_mg > 0", name="carbon_is_positive"),
        CheckConstraint(f"cause IN {CAUSES}", name="cause_is_known"),
    )

    donation_id: Mapped[UUID] = mapped_column(ForeignKey("donation.id"), primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    carbon_mg: Mapped[int]
    cause: Mapped[str]
    reason: Mapped[str]
    transfer_id: Mapped[int]
    withdrawn_by: Mapped[UUID]
    withdrawn_at: Mapped[datetime]
    digest: Mapped[bytes]
    kid: Mapped[int] = mapped_column(SmallInteger)
    signature: Mapped[bytes]


class PoolBook(Base):
    """How many serials a region gave to donations so far. Its row lock puts gifts and shares in a row."""

    __tablename__ = "pool_book"
    __table_args__ = (CheckConstraint("numbered >= 0", name="numbered_is_not_negative"),)

    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"), primary_key=True)
    numbered: Mapped[int]


class PoolLot(Base):
    """The serials of a donation, one a milligram: given out from the first on, until used up or withdrawn."""

    __tablename__ = "pool_lot"
    __table_args__ = (
        CheckConstraint("first_serial >= 1 AND last_serial >= first_serial", name="has_a_serial"),
        CheckConstraint("next_serial BETWEEN first_serial AND last_serial + 1", name="next_lies_within"),
        ExcludeConstraint(
            ("region_id", "="),
            (text("int8range(first_serial, last_serial, '[]')"), "&&"),
            using="gist",
            name="ex_pool_lot_serials",
        ),
    )

    donation_id: Mapped[UUID] = mapped_column(ForeignKey("donation.id"), primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    first_serial: Mapped[int]
    last_serial: Mapped[int]
    next_serial: Mapped[int]
    """The first that is not given out; one behind the last when none is left."""
    withdrawn_at: Mapped[datetime | None]


class PoolSerialUse(Base):
    """Serials of one lot that went to one citizen's share, or were withdrawn (no citizen). Never changed."""

    __tablename__ = "pool_serial_use"
    __table_args__ = (
        CheckConstraint("first_serial >= 1 AND last_serial >= first_serial", name="has_a_serial"),
        CheckConstraint("(citizen_id IS NULL) = (allocation_id IS NULL)", name="is_shared_or_withdrawn"),
        ForeignKeyConstraint(
            ["citizen_id", "allocation_id"],
            ["pool_share.citizen_id", "pool_share.allocation_id"],
            name="fk_pool_serial_use_share",
        ),
        ExcludeConstraint(
            ("region_id", "="),
            (text("int8range(first_serial, last_serial, '[]')"), "&&"),
            using="gist",
            name="ex_pool_serial_use_serials",
        ),
        Index("ix_pool_serial_use_share", "citizen_id", "allocation_id"),
    )

    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"), primary_key=True)
    first_serial: Mapped[int] = mapped_column(primary_key=True)
    last_serial: Mapped[int]
    donation_id: Mapped[UUID] = mapped_column(ForeignKey("pool_lot.donation_id"), index=True)
    citizen_id: Mapped[UUID | None]
    allocation_id: Mapped[UUID | None]


class PoolCampaign(Base):
    """A line of the spending plan: for what, how much of the pool, in which days, and how much went there."""

    __tablename__ = "pool_campaign"
    __table_args__ = (
        CheckConstraint("budget_mg > 0", name="budget_is_positive"),
        CheckConstraint("allocated_mg BETWEEN 0 AND budget_mg", name="stays_within_its_budget"),
        CheckConstraint("ends_on > starts_on", name="has_a_day"),
        UniqueConstraint("region_id", "key", name="uq_pool_campaign_key"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    key: Mapped[str]
    """The region's own short name for it."""
    title_zh: Mapped[str]
    title_en: Mapped[str]
    purpose_zh: Mapped[str]
    purpose_en: Mapped[str]
    budget_mg: Mapped[int]
    allocated_mg: Mapped[int]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    """The first day after it."""
    planned_by: Mapped[UUID]
    planned_at: Mapped[datetime]


class PoolAllocation(Base):
    """One giving out of the pool, by a rule and for a reason anybody may read. Never changed."""

    __tablename__ = "pool_allocation"
    __table_args__ = (
        CheckConstraint(f"rule IN {RULES}", name="rule_is_known"),
        CheckConstraint("carbon_mg_each > 0", name="share_is_positive"),
        CheckConstraint("(rule = 'need') = (carbon_mg_each IS NULL)", name="equal_shares_say_how_much"),
        CheckConstraint("carbon_mg > 0", name="carbon_is_positive"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    rule: Mapped[str]
    campaign_id: Mapped[UUID | None] = mapped_column(ForeignKey("pool_campaign.id"), index=True)
    reason: Mapped[str]
    carbon_mg: Mapped[int]
    """All shares together."""
    carbon_mg_each: Mapped[int | None]
    coin_rule_id: Mapped[UUID] = mapped_column(ForeignKey("publication.id"))
    allocated_by: Mapped[UUID]
    allocated_at: Mapped[datetime]


class PoolShare(Base):
    """What one citizen got of an allocation: kilograms, the coins for them, and both transfers."""

    __tablename__ = "pool_share"
    __table_args__ = (
        CheckConstraint("carbon_mg > 0 AND coin_milli > 0", name="share_is_positive"),
        CheckConstraint("weight > 0", name="weight_is_positive"),
    )

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    allocation_id: Mapped[UUID] = mapped_column(
        ForeignKey("pool_allocation.id"), primary_key=True, index=True
    )
    weight: Mapped[int] = mapped_column(SmallInteger)
    """Of all weights of the allocation; the same for everybody where shares are equal."""
    carbon_mg: Mapped[int]
    coin_milli: Mapped[int]
    carbon_transfer_id: Mapped[int]
    coin_transfer_id: Mapped[int]
    digest: Mapped[bytes]
