"""Homes, their meters and people, what meters showed, and what each period came to.

Readings, standings and savings are only added; of a home, a meter and a stay nothing changes but their end
and how far they were judged. A meter's number is kept as the keyed hash that claims use, a person as the
binding that the person made.
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
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from carbon.households.judgement import LINES
from carbon.households.kinds import KINDS
from kernel.database import Base

KIND_IS_KNOWN = f"kind IN {tuple(KINDS)}"
LINE_IS_KNOWN = f"line IN {LINES}"
RESULTS = ("credited", "assessed", "stands", "rejected")
RESULT_IS_KNOWN = f"result IN {RESULTS}"


class Household(Base):
    """A home as a partner knows it, by the partner's own reference."""

    __tablename__ = "household"
    __table_args__ = (
        UniqueConstraint("partner_id", "reference"),
        CheckConstraint("assessed_no BETWEEN 0 AND evidence_no", name="judged_what_was_there"),
        Index("ix_household_assessed_on", "assessed_on"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"))
    reference: Mapped[str]
    evidence_no: Mapped[int]
    """Counts what was said about it: readings, people, meters, standings."""
    assessed_no: Mapped[int]
    """How much of it was judged."""
    assessed_to: Mapped[date]
    """The first month that was never judged."""
    assessed_on: Mapped[date]
    created_at: Mapped[datetime]


class HouseholdStanding(Base):
    """From which day on a home is in a tier of the price or has solar panels; a day's last word counts."""

    __tablename__ = "household_standing"
    __table_args__ = (CheckConstraint("price_tier BETWEEN 1 AND 9", name="tier_is_known"),)

    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    since: Mapped[date]
    price_tier: Mapped[int] = mapped_column(SmallInteger)
    has_solar: Mapped[bool]
    recorded_at: Mapped[datetime]


class HouseholdMeter(Base):
    """A meter at a point of a home, for some days: of one home at a time, and one at a point at a time."""

    __tablename__ = "household_meter"
    __table_args__ = (
        CheckConstraint(KIND_IS_KNOWN, name="kind_is_known"),
        CheckConstraint("octet_length(meter_hash) = 32", name="meter_is_hashed"),
        CheckConstraint("modulus > 1 AND resolution > 0 AND multiplier > 0", name="register_counts"),
        CheckConstraint("NOT isempty(days) AND NOT lower_inf(days)", name="has_a_day"),
        ExcludeConstraint(
            ("region_id", "="),
            ("meter_hash", "="),
            ("days", "&&"),
            using="gist",
            name="ex_household_meter_one_home",
        ),
        ExcludeConstraint(
            ("household_id", "="),
            ("kind", "="),
            ("point", "="),
            ("days", "&&"),
            using="gist",
            name="ex_household_meter_one_at_a_point",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    kind: Mapped[str]
    point: Mapped[str]
    meter_hash: Mapped[bytes]
    modulus: Mapped[int]
    resolution: Mapped[int]
    multiplier: Mapped[int]
    days: Mapped[Range[date]] = mapped_column(DATERANGE)
    recorded_at: Mapped[datetime]


class HouseholdMember(Base):
    """A person's stay in a home, by the binding that the person made; once at a time."""

    __tablename__ = "household_member"
    __table_args__ = (
        CheckConstraint("share BETWEEN 1 AND 1000", name="share_weighs"),
        CheckConstraint("NOT isempty(days) AND NOT lower_inf(days)", name="has_a_day"),
        ExcludeConstraint(
            ("household_id", "="),
            ("citizen_id", "="),
            ("days", "&&"),
            using="gist",
            name="ex_household_member_once",
        ),
        Index("ix_household_member_citizen", "citizen_id"),
    )

    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    citizen_id: Mapped[UUID]
    binding_id: Mapped[UUID] = mapped_column(ForeignKey("binding.id"))
    share: Mapped[int] = mapped_column(Integer)
    days: Mapped[Range[date]] = mapped_column(DATERANGE)
    recorded_at: Mapped[datetime]


class MeterReading(Base):
    """What a register showed when a day began; another number for it is a row that corrects this one."""

    __tablename__ = "meter_reading"
    __table_args__ = (
        ForeignKeyConstraint(
            ["partner_id", "corrects"], ["meter_reading.partner_id", "meter_reading.source_event_id"]
        ),
        UniqueConstraint("partner_id", "corrects"),
        CheckConstraint("register >= 0", name="register_is_not_negative"),
        CheckConstraint("octet_length(payload_hash) = 32", name="payload_is_hashed"),
        Index(
            "uq_meter_reading_of_a_day",
            "meter_id",
            "day",
            "estimated",
            unique=True,
            postgresql_where=text("corrects IS NULL"),
        ),
        Index("ix_meter_reading_household", "household_id"),
    )

    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"), primary_key=True)
    source_event_id: Mapped[str] = mapped_column(primary_key=True)
    meter_id: Mapped[UUID] = mapped_column(ForeignKey("household_meter.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    day: Mapped[date]
    register: Mapped[int]
    estimated: Mapped[bool]
    corrects: Mapped[str | None]
    payload_hash: Mapped[bytes]
    recorded_at: Mapped[datetime]


class HouseholdSaving(Base):
    """What a home's period came to, saving or not; seen otherwise later, it has another revision."""

    __tablename__ = "household_saving"
    __table_args__ = (
        UniqueConstraint("household_id", "kind", "first_day", "revision"),
        CheckConstraint(KIND_IS_KNOWN, name="kind_is_known"),
        CheckConstraint("first_day < end_day", name="has_a_day"),
        CheckConstraint("revision > 0 AND total >= 0", name="counts_upwards"),
        CheckConstraint("octet_length(digest) = 32", name="digest_is_sha256"),
        # Two periods of one home never share a day.
        ExcludeConstraint(
            ("household_id", "="),
            ("kind", "="),
            (text("daterange(first_day, end_day)"), "&&"),
            where=text("revision = 1"),
            using="gist",
            name="ex_household_saving_days",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    kind: Mapped[str]
    first_day: Mapped[date]
    end_day: Mapped[date]
    revision: Mapped[int] = mapped_column(Integer)
    rule_id: Mapped[UUID] = mapped_column(ForeignKey("publication.id"))
    total: Mapped[int]
    """Base units of all its lines, those that are nobody's too."""
    figures: Mapped[dict[str, Any]]
    """Reasons, shortfalls, use, baseline and lines, as they are told."""
    digest: Mapped[bytes]
    recorded_at: Mapped[datetime]


class HouseholdSavingLine(Base):
    """One person's part of one line of a saving, and what became of it."""

    __tablename__ = "household_saving_line"
    __table_args__ = (
        CheckConstraint(LINE_IS_KNOWN, name="line_is_known"),
        CheckConstraint(RESULT_IS_KNOWN, name="result_is_known"),
        CheckConstraint("amount >= 0", name="amount_is_not_negative"),
        ForeignKeyConstraint(
            ["household_id", "member_id"], ["household_member.household_id", "household_member.id"]
        ),
    )

    saving_id: Mapped[UUID] = mapped_column(ForeignKey("household_saving.id"), primary_key=True)
    line: Mapped[str] = mapped_column(primary_key=True)
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    household_id: Mapped[UUID]
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    amount: Mapped[int]
    result: Mapped[str]
    code: Mapped[str | None]
    activity_id: Mapped[UUID | None]
    """Whose activity the part is; null where it was refused."""
