"""A citizen's homes: who shares them, what each period came to, and in a sentence why it came to nothing.

Nobody sees more than the days of the own stay, and of the others only that there is somebody, since when and
by which share: who moved in before, or out after it, did so on its first or last day for whoever asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import aliased

from carbon.households.kinds import KINDS
from carbon.households.registration import MEMBER, Whole, whole
from carbon.households.tables import Household, HouseholdMember, HouseholdSaving, HouseholdSavingLine
from carbon.households.words import Said, why
from carbon.listing import newest_first
from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import public_id
from kernel.paging import Page, PageRequest


@dataclass(frozen=True, kw_only=True)
class OwnLine:
    """One line of a saving and the caller's part of it, with what became of that."""

    line: str
    amount: int
    own_amount: int
    outcome: str | None
    code: str | None
    activity_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class OwnPeriod:
    """What a period of a home came to; amounts are in `unit`."""

    kind: str
    unit: str
    first_day: date
    end_day: date
    revision: int
    recorded_at: Any
    reasons: Sequence[str]
    says: Said | None
    shortfalls: Sequence[dict[str, Any]]
    actual: int | None
    baseline: dict[str, Any] | None
    total: int
    lines: Sequence[OwnLine]


def own_households(call: Call, page: PageRequest) -> Page[Whole]:
    """The caller's homes, former ones too, newest first."""
    citizen = call.actor.known_id
    mine = exists().where(HouseholdMember.household_id == Household.id, HouseholdMember.citizen_id == citizen)
    query = select(Household).where(mine)
    found = newest_first(call, query, Household.id, page, binding=f"households/{citizen}")
    return Page([whole(call, each) for each in found.items], found.next)


def own_periods(call: Call, household_id: UUID, page: PageRequest) -> Page[OwnPeriod]:
    """The periods of a home of the caller, as they stand now, newest first. Refuses `NotFound`."""
    citizen = call.actor.known_id
    stays = call.db.scalars(
        select(HouseholdMember).where(
            HouseholdMember.household_id == household_id, HouseholdMember.citizen_id == citizen
        )
    ).all()
    if not stays:
        raise NotFound("no such household")
    newer = aliased(HouseholdSaving)
    superseded = exists().where(
        newer.household_id == HouseholdSaving.household_id,
        newer.kind == HouseholdSaving.kind,
        newer.first_day == HouseholdSaving.first_day,
        newer.revision > HouseholdSaving.revision,
    )
    span = func.daterange(HouseholdSaving.first_day, HouseholdSaving.end_day)
    query = select(HouseholdSaving).where(
        HouseholdSaving.household_id == household_id,
        ~superseded,
        or_(*(span.op("&&")(stay.days) for stay in stays)),
    )
    found = newest_first(call, query, HouseholdSaving.id, page, binding=f"periods/{household_id}/{citizen}")
    lines = _own_lines(call, [saving.id for saving in found.items], [stay.id for stay in stays])
    return Page([_period(saving, lines.get(saving.id, []), stays) for saving in found.items], found.next)


def _own_lines(
    call: Call, savings: Sequence[UUID], members: Sequence[UUID]
) -> dict[UUID, list[HouseholdSavingLine]]:
    found = call.db.scalars(
        select(HouseholdSavingLine).where(
            and_(HouseholdSavingLine.saving_id.in_(savings), HouseholdSavingLine.member_id.in_(members))
        )
    )
    by_saving: dict[UUID, list[HouseholdSavingLine]] = {}
    for line in found:
        by_saving.setdefault(line.saving_id, []).append(line)
    return by_saving


def _period(
    saving: HouseholdSaving, lines: Sequence[HouseholdSavingLine], stays: Sequence[HouseholdMember]
) -> OwnPeriod:
    figures, mine = saving.figures, {str(stay.id) for stay in stays}
    told = {line.line: line for line in lines}
    return OwnPeriod(
        kind=saving.kind,
        unit=KINDS[saving.kind].saved.unit,
        first_day=saving.first_day,
        end_day=saving.end_day,
        revision=saving.revision,
        recorded_at=saving.recorded_at,
        reasons=figures["reasons"],
        says=why(saving.kind, figures),
        shortfalls=figures["shortfalls"],
        actual=figures["actual"],
        baseline=figures["baseline"],
        total=saving.total,
        lines=[
            OwnLine(
                line=name,
                amount=line["amount"],
                own_amount=sum(part for member, part in line["parts"].items() if member in mine),
                outcome=told[name].result if name in told else None,
                code=told[name].code if name in told else None,
                activity_id=told[name].activity_id if name in told else None,
            )
            for name, line in sorted(figures["lines"].items())
        ],
    )


def shown_to(of: Whole, citizen: UUID) -> dict[str, Any]:
    """A home as one of its people sees it: of the others and of meters only what lies in the own days."""
    mine = [each.days for each in of.members if each.citizen_id == citizen]
    return {
        "id": of.household.id,
        "partner_id": of.household.partner_id,
        "members": [
            {
                "is_me": each.citizen_id == citizen,
                "id": public_id(MEMBER, each.id) if each.citizen_id == citizen else None,
                "share": each.share,
                "since": days.lower,
                "until": days.upper,
            }
            for each in of.members
            for days in _within(each.days, mine)
        ],
        "meters": [
            {"kind": each.kind, "point": each.point, "since": days.lower, "until": days.upper}
            for each in of.meters
            for days in _within(each.days, mine)
        ],
    }


def _within(days: Range[date], stays: Sequence[Range[date]]) -> list[Range[date]]:
    """The part of these days in each of the own stays, first to last."""
    parts = [days * stay for stay in stays if days.overlaps(stay)]
    return sorted(parts, key=lambda part: part.lower or date.min)
