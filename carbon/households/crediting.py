"""The parts of a saving become ordinary activities, through the one way in.

Each part is a fact of its own, named by home, kind, month, line and member. A part that changes is a
correction of its fact, one that goes is a correction to nothing; a part that stands is left alone. Who has
withdrawn the consent, or given the number back, gets no more, and is named with the code; what the number
brought before is lowered with the saving all the same, so that parts never exceed it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import TextClause, text

from carbon.activities.adapters.frames import SCHEMA
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.errors import UnboundCard
from carbon.activities.intake import Intake, take_chunk
from carbon.activities.subjects import SubjectHashes
from carbon.households.kinds import Kind
from carbon.households.registration import HOUSEHOLD, MEMBER
from carbon.households.tables import Household, HouseholdMember
from carbon.partners.registry import find_partner
from carbon.partners.tables import DEVICE_VERIFIED
from kernel.call import Call
from kernel.canonical import canonical_json
from kernel.clock import day_bounds
from kernel.identifiers import public_id

CREDITED, STANDS, REJECTED = "credited", "stands", "rejected"


@dataclass(frozen=True, kw_only=True)
class Period:
    """A home's days for one kind of meter; `name` is that of its claims, and begins those of its parts.

    No partner can send such a name: there is a space in it.
    """

    household: Household
    kind_name: str
    kind: Kind
    first_day: date
    end_day: date

    @property
    def name(self) -> str:
        """What the saving of the period is called among events."""
        return f"household {public_id(HOUSEHOLD, self.household.id)}/{self.kind_name}/{self.first_day}"

    def event(self, line: str, member_id: UUID) -> str:
        """The name of one part."""
        return f"{self.name}/{line}/{public_id(MEMBER, member_id)}"


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one member has of one line, and what an explanation shows of it."""

    line: str
    member: HouseholdMember
    amount: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A part and what became of it."""

    part: Part
    outcome: str
    code: str | None
    activity_id: UUID | None

    @property
    def is_new(self) -> bool:
        """Whether something was written for it."""
        return self.outcome not in {STANDS, REJECTED}


class HashedSubjects(SubjectHashes):
    """Subjects that are hashes already, as bindings keep them."""

    def of(self, subjects: pl.Series) -> pl.Series:
        """The bytes behind the hex."""
        return subjects.str.decode("hex")


@dataclass(frozen=True, kw_only=True)
class HouseholdIntake(Intake):
    """The partner's own way in, for people known by their binding."""

    @cached_property
    def subjects(self) -> SubjectHashes:
        """See `HashedSubjects`."""
        return HashedSubjects(self.card_secret, partner_id=self.partner_id)


@dataclass
class _Wanted:
    """A period's parts: what is settled already, and what is to be sent, with its revision so far."""

    period: Period
    settled: list[Settled]
    sent: dict[str, tuple[Part, int]]
    numbers: Mapping[UUID, str]
    """The hash of each member's number."""


def settle_all(
    call: Call, wanted: Sequence[tuple[Period, Sequence[Part]]], *, secret: bytes
) -> list[list[Settled]]:
    """Bring what stands for each period to its parts; parts that are nothing and never were are left out.

    The periods of one partner go through the way in as one chunk, in their order: its balances are locked
    in one order and no longer than that.
    """
    prepared = [_prepared(call, period, parts) for period, parts in wanted]
    by_partner: dict[UUID, list[_Wanted]] = {}
    for each in prepared:
        by_partner.setdefault(each.period.household.partner_id, []).append(each)
    for partner_id in sorted(by_partner):
        _send(call, partner_id, by_partner[partner_id], secret=secret)
    return [each.settled for each in prepared]


def _prepared(call: Call, period: Period, parts: Sequence[Part]) -> _Wanted:
    events = {period.event(part.line, part.member.id): part for part in parts}
    standing = _standing(call, period, list(events))
    bound = _numbers(call, _BOUND, period.household, [part.member for part in parts])
    lowered = [
        part.member
        for event, part in events.items()
        if part.member.id not in bound and part.amount < standing.get(event, _NOTHING)[1]
    ]
    given_back = _numbers(call, _HAD, period.household, lowered)
    settled, sent = [], {}
    for event, part in events.items():
        revision, amount, activity_id = standing.get(event, _NOTHING)
        if amount == part.amount:
            if part.amount:
                settled.append(Settled(part=part, outcome=STANDS, code=None, activity_id=activity_id))
        elif part.member.id in bound or (part.amount < amount and part.member.id in given_back):
            sent[event] = (part, revision)
        else:
            code = UnboundCard.code
            settled.append(Settled(part=part, outcome=REJECTED, code=code, activity_id=activity_id))
    return _Wanted(period, settled, sent, given_back | bound)


def standing_amounts(call: Call, period: Period, parts: Sequence[Part]) -> int:
    """What of these parts stands now, together; what was refused on a hold brings nobody anything."""
    events = [period.event(part.line, part.member.id) for part in parts]
    values = {"partner": period.household.partner_id, "events": events, "input": period.kind.saved.name}
    return sum(row.amount for row in call.db.execute(_STANDING, values) if not row.is_refused)


def _send(call: Call, partner_id: UUID, wanted: Sequence[_Wanted], *, secret: bytes) -> None:
    """Send what periods of one partner want as one chunk, and settle it."""
    lines = [
        (each, event, part, revision) for each in wanted for event, (part, revision) in each.sent.items()
    ]
    if not lines:
        return
    tiers = find_partner(call, partner_id).evidence_tiers
    # What a meter showed is seen by a device; a contract without that tier says itself what it has.
    evidence = DEVICE_VERIFIED if DEVICE_VERIFIED in tiers else None
    rows = [
        {
            **_line(each.period, event, part, revision, each.numbers[part.member.id], place),
            "evidence": evidence,
        }
        for place, (each, event, part, revision) in enumerate(lines, start=1)
    ]
    intake = HouseholdIntake(partner_id=partner_id, card_secret=secret)
    outcomes = take_chunk(call, intake, pl.DataFrame(rows, schema=SCHEMA))
    for (each, _, part, _), row in zip(lines, outcomes.iter_rows(named=True), strict=True):
        each.settled.append(
            Settled(
                part=part,
                outcome=row["outcome"] if row["outcome"] in {CREDITED, "assessed"} else REJECTED,
                code=row["code"],
                activity_id=None if row["activity_id"] is None else UUID(row["activity_id"]),
            )
        )


def _line(period: Period, event: str, part: Part, revision: int, subject: str, place: int) -> dict[str, Any]:
    """A line as adapters hand it on; the fact happens when the period ends, as that of a bill."""
    inputs = {period.kind.saved.name: part.amount}
    facts = canonical_json(dict(part.facts)).decode()
    return {
        "file_no": 1,
        "line_no": place,
        "outcome": ACTIVITY,
        "source_event_id": event,
        "corrects_revision": revision or None,
        "payload": canonical_json({"inputs": inputs, "facts": facts}).decode(),
        "subject": subject,
        "scenario": period.kind.scenario,
        "started_at": day_bounds(period.first_day)[0],
        "occurred_at": day_bounds(period.end_day)[0],
        **inputs,
        "facts": facts,
    }


def _standing(call: Call, period: Period, events: Sequence[str]) -> dict[str, tuple[int, int, UUID]]:
    """The last revision of each fact, its amount and its activity."""
    found = call.db.execute(
        _STANDING,
        {"partner": period.household.partner_id, "events": list(events), "input": period.kind.saved.name},
    )
    return {row.source_event_id: (row.revision, row.amount, row.activity_id) for row in found}


def _numbers(
    call: Call, query: TextClause, household: Household, members: Sequence[HouseholdMember]
) -> dict[UUID, str]:
    """The hash of each member's number: by `_BOUND` where it still is theirs, by `_HAD` whoever has it now.

    By `_BOUND` it stays theirs until the commit.
    """
    if not members:
        return {}
    ids = sorted({member.id for member in members})
    found = call.db.execute(query, {"household": household.id, "members": ids})
    return {row.member_id: row.subject_hash.hex() for row in found}


_NOTHING: tuple[int, int, UUID | None] = (0, 0, None)
_HAD = text(
    "SELECT m.id AS member_id, f.subject_hash FROM household_member m JOIN binding f ON f.id = m.binding_id"
    " WHERE m.household_id = :household AND m.id = ANY (:members)"
)
_STANDING = text(
    "SELECT DISTINCT ON (r.source_event_id) r.source_event_id, r.revision, r.activity_id,"
    " CAST(a.inputs ->> :input AS bigint) AS amount, EXISTS (SELECT 1 FROM activity_reversal v"
    " WHERE v.citizen_id = a.citizen_id AND v.activity_id = a.id) AS is_refused FROM activity_reference r"
    " JOIN activity a ON a.citizen_id = r.citizen_id AND a.id = r.activity_id"
    " WHERE r.partner_id = :partner AND r.source_event_id = ANY (:events)"
    " ORDER BY r.source_event_id, r.revision DESC"
)
_BOUND = text(
    "SELECT m.id AS member_id, b.subject_hash FROM household_member m JOIN binding f ON f.id = m.binding_id"
    " JOIN binding b ON b.partner_id = f.partner_id AND b.subject_hash = f.subject_hash"
    " AND b.citizen_id = m.citizen_id AND b.ended_at IS NULL"
    " WHERE m.household_id = :household AND m.id = ANY (:members) ORDER BY b.id FOR SHARE OF b"
)
