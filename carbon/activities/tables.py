"""What people did and what it came to. Rows are only added; a correction is a new row and a take-back.

`activity_reference` makes a source's fact happen once, to one person, whatever else races. All other
tables of a citizen lead with `citizen_id`, which names a citizen without a foreign key.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from carbon.activities.batch_states import State, one_of
from kernel.database import Base

APPEND_ONLY = (
    "activity_reference",
    "activity_basis",
    "activity",
    "activity_reversal",
    "activity_batch_line",
    "activity_batch_step",
)
HOLD_STATES = ("held", "released", "refused")
WAITING = (State.UPLOADED, State.RUNNING)
"""A worker may have to take these."""


class ActivityReference(Base):
    """One revision of one fact of a partner, claimed by the transaction that credits it."""

    __tablename__ = "activity_reference"

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    source_event_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    """By bytes: a file's own are read in one range."""
    revision: Mapped[int] = mapped_column(Integer, primary_key=True)
    citizen_id: Mapped[UUID]
    activity_id: Mapped[UUID]
    payload_hash: Mapped[bytes]


class MeterClaim(Base):
    """The days of a meter that one fact, or an enterprise's project, rests on; a correction ends it."""

    __tablename__ = "meter_claim"
    __table_args__ = (
        CheckConstraint("octet_length(meter_hash) = 32", name="meter_is_hashed"),
        CheckConstraint("NOT isempty(days)", name="has_a_day"),
        CheckConstraint("num_nonnulls(partner_id, project_id) = 1", name="has_one_claimant"),
        ExcludeConstraint(
            ("region_id", "="),
            ("meter_hash", "="),
            ("days", "&&"),
            where=text("ended_at IS NULL"),
            using="gist",
            name="ex_meter_claim_days",
        ),
        Index("ix_meter_claim_event", "partner_id", "source_event_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    meter_hash: Mapped[bytes]
    """HMAC of the meter's number and what it counts; of the account where no meter is named."""
    days: Mapped[Range[date]] = mapped_column(DATERANGE)
    partner_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner.id"))
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("donation_project.id"), index=True)
    """The enterprise's project that offers what this meter counted; no partner then."""
    source_event_id: Mapped[str]
    revision: Mapped[int] = mapped_column(Integer)
    batch_id: Mapped[UUID | None]
    file_no: Mapped[int | None] = mapped_column(SmallInteger)
    line_no: Mapped[int | None]
    claimed_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class TripClaim(Base):
    """A slot of time of a citizen and mode class that one activity was credited for, whoever sent it.

    It stands as long as the activity: a correction frees it. `slot` is its beginning, in whole five minutes
    since 1970; of a day or a month that of the period, in Shanghai.
    """

    __tablename__ = "trip_claim"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    mode_class: Mapped[str] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID]


class ActivityBasis(Base):
    """What activities were judged by: who sent them, what was done, the factor, the coin rule and the cap."""

    __tablename__ = "activity_basis"
    __table_args__ = (Index("ix_activity_basis_rules", "partner_id", "coin_rule_id"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"))
    scenario: Mapped[str]
    factor_id: Mapped[UUID] = mapped_column(ForeignKey("factor.id"))
    found_by: Mapped[str]
    coin_rule_id: Mapped[UUID] = mapped_column(ForeignKey("publication.id"))
    cap_rule_id: Mapped[UUID | None] = mapped_column(ForeignKey("publication.id"))
    evidence: Mapped[str] = mapped_column(server_default="device_verified")
    """Its tier."""
    evidence_rule_id: Mapped[UUID | None] = mapped_column(ForeignKey("publication.id"))
    """Which share of the kilograms that counts for; null counts in full."""


class Activity(Base):
    """An assessed fact: inputs, what it was judged by, the kilograms, the coins, and where they were posted.

    What it names was read in its own transaction and is never deleted: no foreign keys (decision 0010).
    """

    __tablename__ = "activity"
    __table_args__ = (
        CheckConstraint("carbon_mg >= 0", name="carbon_is_not_negative"),
        CheckConstraint("coin_milli >= 0 AND coin_cut_milli >= 0", name="coins_are_not_negative"),
        CheckConstraint(
            "(coin_milli = 0) = (coin_transfer_id IS NULL)"
            " AND (carbon_mg = 0) = (carbon_transfer_id IS NULL)",
            name="credited_means_posted",
        ),
        Index("ix_activity_batch", "batch_id", "file_no", "line_no"),
        # Of the lines that came to nothing, which are few and are asked for alone.
        Index(
            "ix_activity_batch_assessed",
            "batch_id",
            "file_no",
            "line_no",
            postgresql_where=text("carbon_mg = 0"),
        ),
    )

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    basis_id: Mapped[int]
    source_event_id: Mapped[str]
    revision: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime | None]
    occurred_at: Mapped[datetime]
    business_day: Mapped[date]
    inputs: Mapped[dict[str, Any]]
    facts: Mapped[dict[str, Any] | None]
    carbon_mg: Mapped[int]
    coin_milli: Mapped[int]
    coin_cut_milli: Mapped[int]
    digest: Mapped[bytes]
    coin_transfer_id: Mapped[int | None]
    carbon_transfer_id: Mapped[int | None]
    reason: Mapped[str | None]
    """Why nothing was credited, where nothing was."""
    batch_id: Mapped[UUID | None]
    file_no: Mapped[int | None] = mapped_column(SmallInteger)
    line_no: Mapped[int | None]
    recorded_at: Mapped[datetime]

    basis: Mapped[ActivityBasis] = relationship(
        primaryjoin="foreign(Activity.basis_id) == ActivityBasis.id",
        lazy="joined",
        innerjoin=True,
        viewonly=True,
    )


class ActivityReversal(Base):
    """An activity that a correction superseded or a decision refused, and what was posted to take it back."""

    __tablename__ = "activity_reversal"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    superseded_by: Mapped[UUID]
    """The activity that stands in its place; of a refused one an id of its own, which says when."""
    coin_milli: Mapped[int]
    coin_absorbed_milli: Mapped[int]
    """What the citizen no longer had; a fund bears it."""
    carbon_mg: Mapped[int]
    coin_transfer_id: Mapped[int | None]
    carbon_transfer_id: Mapped[int | None]
    recorded_at: Mapped[datetime]


class ActivityLink(Base):
    """The link of an activity, by the digest of its secret; it opens until `ends_at`."""

    __tablename__ = "activity_link"
    __table_args__ = (
        CheckConstraint("octet_length(secret_digest) = 32", name="secret_is_hashed"),
        CheckConstraint("ends_at >= made_at", name="ends_after_it_was_made"),
    )

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    secret_digest: Mapped[bytes] = mapped_column(unique=True)
    made_at: Mapped[datetime]
    ends_at: Mapped[datetime]


class ActivityHold(Base):
    """An activity whose coins are set aside, why, what its citizen says, and what was decided."""

    __tablename__ = "activity_hold"
    __table_args__ = (
        UniqueConstraint("id"),
        CheckConstraint(f"state IN {HOLD_STATES}", name="state_is_known"),
        CheckConstraint("(state = 'held') = (decided_at IS NULL)", name="decided_once"),
        CheckConstraint(
            "(decided_at IS NULL) = (decided_by IS NULL)"
            " AND (decided_at IS NULL) = (decision_reason IS NULL)",
            name="a_decision_is_whole",
        ),
        CheckConstraint("decided_by <> held_by", name="two_persons_decide"),
        CheckConstraint("(appeal IS NULL) = (appealed_at IS NULL)", name="an_appeal_is_dated"),
        CheckConstraint("length(appeal) <= 1000", name="an_appeal_ends"),
        CheckConstraint("coin_milli >= 0", name="coins_are_not_negative"),
        CheckConstraint(
            "(rule_id IS NULL) = (measured IS NULL) AND (rule_id IS NULL) = (held_by <> 'rule')",
            name="a_rule_or_a_person_holds",
        ),
        Index("ix_activity_hold_region", "region_id", "id"),
    )

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID]
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    state: Mapped[str]
    reason_zh: Mapped[str]
    reason_en: Mapped[str]
    coin_milli: Mapped[int]
    """What was there to be set aside."""
    held_by: Mapped[str]
    held_at: Mapped[datetime]
    rule_id: Mapped[UUID | None] = mapped_column(ForeignKey("publication.id"))
    """The published rule that holds, where no operator does."""
    measured: Mapped[int | None]
    """What it measured: the record's number in its day, or its metres an hour rounded up."""
    appeal: Mapped[str | None]
    appealed_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]


class ActivityCount(Base):
    """How many records of a day a citizen has under a rule of holds; whoever takes more goes on from it."""

    __tablename__ = "activity_count"
    __table_args__ = (CheckConstraint("records > 0", name="records_came"),)

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"), primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    business_day: Mapped[date] = mapped_column(primary_key=True)
    records: Mapped[int] = mapped_column(Integer)


class ActivityBatch(Base):
    """A file or upload of a partner under its own reference; resumable, a chunk a transaction."""

    __tablename__ = "activity_batch"
    __table_args__ = (
        UniqueConstraint("partner_id", "reference"),
        CheckConstraint(one_of("state"), name="state_is_known"),
        CheckConstraint(
            "state = 'cancelled' OR (state = 'created') = (content_digest IS NULL)", name="content_comes_once"
        ),
        CheckConstraint(
            "state <> 'cancelled' OR (lines_done = 0 AND lease IS NULL AND spool IS NULL"
            " AND stations_spool IS NULL)",
            name="nothing_of_a_cancelled_batch_was_taken",
        ),
        CheckConstraint("(state = 'failed') = (failure IS NOT NULL)", name="a_failure_is_named"),
        CheckConstraint("(lease IS NULL) = (leased_until IS NULL)", name="a_lease_ends"),
        CheckConstraint("content_lines > 0", name="content_has_lines"),
        CheckConstraint(
            "started_at IS NOT NULL OR (lines_done = 0 AND worked_ms IS NULL)",
            name="what_was_taken_was_begun",
        ),
        CheckConstraint("working_since IS NULL OR lease IS NOT NULL", name="who_works_has_a_lease"),
        CheckConstraint(
            "worked_ms >= 0 AND recent_ms >= 0 AND recent_lines >= 0", name="work_is_not_negative"
        ),
        Index("ix_activity_batch_of_partner", "partner_id", "id"),
        Index("ix_activity_batch_waiting", "id", postgresql_where=text(one_of("state", WAITING))),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"))
    reference: Mapped[str]
    adapter: Mapped[str]
    state: Mapped[str]
    content_digest: Mapped[bytes | None]
    """SHA-256 of the content as it is read, after a gzip coding was undone."""
    content_bytes: Mapped[int | None]
    content_lines: Mapped[int | None]
    """Its line ends, and a last line without one: the number of its last line. Null for a workbook."""
    spool: Mapped[str | None]
    """The file below the uploads folder, until the batch has ended; null for the command line's batches."""
    stations_digest: Mapped[bytes | None]
    stations_spool: Mapped[str | None]
    lines_done: Mapped[int]
    settled_line: Mapped[int | None]
    """Every line up to this one was taken: what a reader sees while lanes still fill what follows."""
    chunks_done: Mapped[int]
    outcomes: Mapped[dict[str, Any]]
    """Lines by outcome and code so far, such as {"credited": 3, "rejected/unbound_card": 1}."""
    superseded: Mapped[int]
    """Lines so far that took the place of an earlier record."""
    lease: Mapped[UUID | None]
    """Which worker's turn it is; a chunk of another turn is not committed."""
    leased_until: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    """When somebody took it up for the first time."""
    worked_ms: Mapped[int | None]
    """How long it was in somebody's hands; null before that, and where it was not counted from the start."""
    working_since: Mapped[datetime | None]
    """From when on time is not counted yet; null while nobody has it in hand."""
    recent_lines: Mapped[int]
    """Lines of late, with `recent_ms` the time that they took: see `progress`."""
    recent_ms: Mapped[int]
    tries: Mapped[int] = mapped_column(SmallInteger)
    """Turns since a chunk was last finished."""
    failure: Mapped[str | None]
    """The code of the refusal that ended it."""
    failure_pointer: Mapped[str | None]
    failure_detail: Mapped[str | None]
    cancelled_because: Mapped[str | None]
    """The reason that came with the cancellation, where one did."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class ActivityBatchStep(Base):
    """What happened to a batch: from, to, who, why."""

    __tablename__ = "activity_batch_step"
    __table_args__ = (CheckConstraint(one_of("to_state"), name="state_is_known"),)

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("activity_batch.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    principal: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime]


class ActivityBatchLine(Base):
    """A line that became no activity, and why; of neighbours that say the same, one row."""

    __tablename__ = "activity_batch_line"
    __table_args__ = (CheckConstraint("lines BETWEEN 1 AND line_no", name="stands_for_lines"),)

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("activity_batch.id"), primary_key=True)
    file_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True)
    """The last of `lines` lines that follow each other."""
    lines: Mapped[int] = mapped_column(Integer, server_default="1")
    outcome: Mapped[str]
    code: Mapped[str]
    pointer: Mapped[str | None]
    detail: Mapped[str | None]
