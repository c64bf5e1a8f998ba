"""A home's months are judged, credited and written down; judged again they come to the same and add nothing.

A home is locked while it is judged. Each month is judged once it is over and settled, and again whenever
something was said of the home since: a late reading, a correction, somebody who moved out. What it came to
is written as a new revision only where it differs, and the difference is posted as a correction. A saving
whose meters somebody was credited for before comes to nothing, and says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from carbon.activities.errors import MeterIntervalTaken
from carbon.households.claims import Claimant, claim, end_claims
from carbon.households.crediting import Part, Period, Settled, settle, standing_amounts
from carbon.households.evidence import Evidence, earliest_month, evidence, months_until
from carbon.households.judgement import LINES, SAVING, Earlier, Found, judge
from carbon.households.kinds import KINDS
from carbon.households.occupancy import Divided, divide
from carbon.households.registration import HOUSEHOLD, whole
from carbon.households.rules import Ruling, ruling
from carbon.households.tables import Household, HouseholdSaving, HouseholdSavingLine
from kernel.call import Call
from kernel.canonical import canonical_json, digest
from kernel.clock import business_day
from kernel.errors import NotFound
from kernel.identifiers import new_id, public_id


def assess_due(call: Call, *, secret: bytes) -> int:
    """Judge the home that waits longest, if one does; returns 1, or 0 when none is left.

    A home waits when something was said of it since it was judged, or a month of it has ended; once a day.
    """
    values = {"today": call.today, "month": call.today.replace(day=1)}
    due = call.db.execute(_DUE, values).scalar_one_or_none()
    if due is None:
        return 0
    household = call.db.get_one(Household, due)
    call.db.refresh(household)
    _assess(call, household, secret=secret)
    return 1


def assess_household(call: Call, household_id: UUID, *, secret: bytes) -> int:
    """Judge one home now; returns how many revisions were written. Refuses `NotFound`."""
    household = call.db.scalar(
        select(Household)
        .where(Household.id == household_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if household is None:
        raise NotFound("no such household")
    return _assess(call, household, secret=secret)


def _assess(call: Call, household: Household, *, secret: bytes) -> int:
    known = evidence(call, whole(call, household))
    written, open_from = 0, [call.today.replace(day=1)]
    for kind in known.kinds:
        latest = _latest(call, household, kind)
        for first_day, end_day, rules in _months(call, household, kind):
            if rules is None:
                continue
            if call.today < end_day + timedelta(days=rules.settle_days):
                open_from.append(first_day)
                break
            judgement = _Judgement(call, known, kind, rules, first_day, end_day, latest)
            written += judgement.write(secret=secret)
    values = {"id": household.id, "to": min(open_from), "today": call.today, "no": household.evidence_no}
    call.db.execute(_JUDGED, values)
    return written


def _months(call: Call, household: Household, kind: str) -> Iterator[tuple[date, date, Ruling | None]]:
    first = earliest_month(call.today, registered=business_day(household.created_at))
    for first_day, end_day in months_until(first, call.today):
        yield first_day, end_day, ruling(call, household.region_id, kind=kind, day=first_day)


def _latest(call: Call, household: Household, kind: str) -> dict[date, HouseholdSaving]:
    """The last revision of each period."""
    query = (
        select(HouseholdSaving)
        .where(HouseholdSaving.household_id == household.id, HouseholdSaving.kind == kind)
        .order_by(HouseholdSaving.first_day, HouseholdSaving.revision)
    )
    return {row.first_day: row for row in call.db.scalars(query)}


@dataclass
class _Judgement:
    """One month of one kind of meter of one home, on its way from evidence to rows."""

    call: Call
    known: Evidence
    kind: str
    rules: Ruling
    first_day: date
    end_day: date
    latest: dict[date, HouseholdSaving]

    def write(self, *, secret: bytes) -> int:
        """Judge, claim, credit and keep; 1 where a revision was written."""
        home = self.known.home(self.kind, self.rules.rule)
        days = {"first_day": self.first_day, "end_day": self.end_day}
        found = judge(home, self.rules.rule, self.known.standings(), self._earlier(), **days)
        detail = self._claimed(found)
        if detail is not None:
            found = replace(found, reasons=(MeterIntervalTaken.code,), lines=())
        divided = {line: divide(amount, home.stays, **days) for line, amount in found.lines}
        points = home.metering.points(self.first_day, self.end_day)
        figures = self._figures(found, divided, detail, points)
        parts = self._parts(found, divided)
        settled = settle(self.call, self.period, parts, secret=secret)
        if not standing_amounts(self.call, self.period, parts):
            end_claims(self.call, self._claimant())
        mark = digest(canonical_json({"rule": str(self.rules.publication_id), **figures}))
        former = self.latest.get(self.first_day)
        if former is not None and bytes(former.digest) == mark and not any(each.is_new for each in settled):
            return 0
        self._keep(found, figures, mark, settled)
        return 1

    @property
    def period(self) -> Period:
        """Its name and days."""
        return Period(
            household=self.known.whole.household,
            kind_name=self.kind,
            kind=KINDS[self.kind],
            first_day=self.first_day,
            end_day=self.end_day,
        )

    def _earlier(self) -> list[Earlier]:
        """The periods right before, as far as they had a baseline, the last one first."""
        row: list[Earlier] = []
        end_day = self.first_day
        while len(row) < self.rules.rule.maintenance_periods:
            first_day = (end_day - timedelta(days=1)).replace(day=1)
            saving = self.latest.get(first_day)
            if saving is None or saving.figures["baseline"] is None:
                break
            row.append(
                Earlier(
                    saved=saving.figures["lines"].get(SAVING, {}).get("amount", 0),
                    baseline=saving.figures["baseline"]["amount"],
                    days=(end_day - first_day).days,
                )
            )
            end_day = first_day
        return row

    def _claimant(self) -> Claimant:
        former = self.latest.get(self.first_day)
        return Claimant(
            region_id=self.known.whole.household.region_id,
            partner_id=self.known.whole.household.partner_id,
            source_event_id=self.period.name,
            revision=1 if former is None else former.revision + 1,
        )

    def _claimed(self, found: Found) -> str | None:
        """Claim the meters' days where there is something to credit; what was taken first, if it was."""
        if not found.lines:
            return None
        wanted = self.known.claims(self.kind, self.first_day, self.end_day)
        return claim(self.call, self._claimant(), wanted)

    def _figures(
        self, found: Found, divided: Mapping[str, Divided], detail: str | None, points: Sequence[str]
    ) -> dict[str, Any]:
        """What is told of the period, and what makes two judgements the same."""
        return {
            "reasons": list(found.reasons),
            "detail": detail,
            "shortfalls": [
                {
                    "point": each.point,
                    "first_day": each.first_day.isoformat(),
                    "end_day": each.end_day.isoformat(),
                    "reason": each.reason,
                }
                for each in found.shortfalls
            ],
            "points": list(points),
            "actual": found.actual,
            "baseline": None if found.baseline is None else vars(found.baseline),
            "lines": {
                line: {
                    "amount": amount,
                    "nobodys": divided[line].nobodys,
                    "parts": {str(member): part for member, part in divided[line].by_member.items()},
                }
                for line, amount in found.lines
            },
        }

    def _parts(self, found: Found, divided: Mapping[str, Divided]) -> list[Part]:
        """A part for every member and line, those that are nothing too: they may have been something."""
        amounts = dict(found.lines)
        return [
            Part(
                line=line,
                member=member,
                amount=divided[line].by_member.get(member.id, 0) if line in divided else 0,
                facts=self._facts(found, line, amounts.get(line, 0)),
            )
            for line in LINES
            for member in self.known.whole.members
        ]

    def _facts(self, found: Found, line: str, amount: int) -> dict[str, Any]:
        """What the explanation of a part shows: the home's figures behind it."""
        baseline = found.baseline
        return {
            "household": public_id(HOUSEHOLD, self.known.whole.household.id),
            "kind": self.kind,
            "period_start": self.first_day.isoformat(),
            "period_end": self.end_day.isoformat(),
            "line": line,
            "household_amount": amount,
            "household_use": found.actual,
            "baseline": None if baseline is None else baseline.name,
            "baseline_amount": None if baseline is None else baseline.amount,
        }

    def _keep(self, found: Found, figures: dict[str, Any], mark: bytes, settled: Sequence[Settled]) -> None:
        household, claimant = self.known.whole.household, self._claimant()
        saving = HouseholdSaving(
            id=new_id(),
            household_id=household.id,
            region_id=household.region_id,
            kind=self.kind,
            first_day=self.first_day,
            end_day=self.end_day,
            revision=claimant.revision,
            rule_id=self.rules.publication_id,
            total=found.total,
            figures=figures,
            digest=mark,
            recorded_at=self.call.now,
        )
        self.call.db.add(saving)
        self.call.db.flush()  # its lines' foreign key needs the row
        self.call.db.add_all(_line(saving, each) for each in settled)
        self.call.db.flush()
        self.latest[self.first_day] = saving


def _line(saving: HouseholdSaving, settled: Settled) -> HouseholdSavingLine:
    return HouseholdSavingLine(
        saving_id=saving.id,
        line=settled.part.line,
        member_id=settled.part.member.id,
        household_id=saving.household_id,
        region_id=saving.region_id,
        amount=settled.part.amount,
        result=settled.outcome,
        code=settled.code,
        activity_id=settled.activity_id,
    )


_DUE = text(
    "SELECT h.id FROM household h JOIN partner p ON p.id = h.partner_id AND p.state = 'active'"
    " WHERE h.assessed_on < :today AND (h.assessed_no < h.evidence_no OR h.assessed_to < :month)"
    " ORDER BY h.assessed_on, h.id LIMIT 1 FOR NO KEY UPDATE OF h SKIP LOCKED"
)
_JUDGED = text(
    "UPDATE household SET assessed_no = :no, assessed_to = :to, assessed_on = :today WHERE id = :id"
)
