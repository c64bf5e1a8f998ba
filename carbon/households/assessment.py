"""A home's months are judged, credited and written down; judged again they come to the same and add nothing.

A home is locked while it is judged. Each month is judged once it is over and settled, and again whenever
something was said of the home since: a late reading, a correction, somebody who moved out. What it came to
is written as a new revision only where it differs, and the difference is posted as a correction. A saving
whose meters somebody was credited for before comes to nothing, and says so.

At night many homes are judged in one transaction: first all their months, then what is new of them goes
through the way in as one chunk, so that balances are locked at the end and in one order. A home that fails
takes no other with it: the homes are then gone through one by one, and it waits for the next night.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from carbon.activities.errors import MeterIntervalTaken
from carbon.households.claims import Claimant, claim, end_claims
from carbon.households.crediting import Part, Period, Settled, settle_all, standing_amounts
from carbon.households.evidence import Evidence, earliest_month, evidence, months_until
from carbon.households.judgement import LINES, SAVING, Earlier, Found, judge
from carbon.households.kinds import KINDS
from carbon.households.occupancy import Divided, divide
from carbon.households.registration import HOUSEHOLD, whole
from carbon.households.rules import Ruling, ruling
from carbon.households.tables import Household, HouseholdSaving, HouseholdSavingLine
from kernel.bulk_text import savepoint
from kernel.call import Call
from kernel.canonical import canonical_json, digest
from kernel.clock import business_day
from kernel.errors import BrokenInvariant, NotFound, Refusal
from kernel.identifiers import new_id, public_id

HOMES_AT_ONCE = 50
"""Of one transaction: about a second, in which who sends readings of one of them waits."""
_log = structlog.get_logger()


def assess_due(call: Call, *, secret: bytes, most: int = HOMES_AT_ONCE) -> int:
    """Judge the homes that wait longest, at most so many; returns how many were gone through, 0 at the end.

    A home waits when something was said of it since it was judged, or a month of it has ended; once a day.
    """
    values = {"today": call.today, "month": call.today.replace(day=1), "most": most}
    due = sorted(call.db.execute(_DUE, values).scalars())
    if not due:
        return 0
    if len(due) == 1 or not _done(call, due, secret=secret):
        for each in due:
            if not _done(call, [each], secret=secret):
                call.db.execute(_PUT_OFF, {"id": each, "today": call.today})
    return len(due)


def _done(call: Call, due: Sequence[UUID], *, secret: bytes) -> bool:
    """Judge locked homes; False, and nothing done, when one of them cannot be judged."""
    try:
        with savepoint(call):
            homes = [call.db.get_one(Household, each) for each in due]
            for home in homes:
                call.db.refresh(home)
            _assess(call, homes, secret=secret)
    except DBAPIError as error:
        if not isinstance(error, IntegrityError | DataError):
            raise  # others in the way, or the connection: the transaction as a whole is tried again
        failure: Exception = error
    except (Refusal, BrokenInvariant, ArithmeticError, LookupError, TypeError, ValueError) as error:
        failure = error
    else:
        return True
    call.db.expire_all()  # what the savepoint undid
    if len(due) == 1:
        home_id = public_id(HOUSEHOLD, due[0])
        _log.error("home_not_judged", household=home_id, failure=type(failure).__name__)
    return False


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
    return _assess(call, [household], secret=secret)


def _assess(call: Call, households: Sequence[Household], *, secret: bytes) -> int:
    """Judge every month of these homes, credit what is new at once, keep what differs; how many revisions."""
    judged: list[_Judged] = []
    for household in households:
        judged += _months_judged(call, household)
    settled = settle_all(call, [(each.judgement.period, each.parts) for each in judged], secret=secret)
    written = sum(each.judgement.keep(each, lines) for each, lines in zip(judged, settled, strict=True))
    call.db.flush()
    return written


def _months_judged(call: Call, household: Household) -> Iterator["_Judged"]:
    """The months of a home, judged and claimed; the home is marked as judged behind them."""
    known = evidence(call, whole(call, household))
    open_from = [call.today.replace(day=1)]
    for kind in known.kinds:
        latest = _latest(call, household, kind)
        figures: dict[date, dict[str, Any]] = {}
        for first_day, end_day, rules in _months(call, household, kind):
            if rules is None:
                continue
            if call.today < end_day + timedelta(days=rules.settle_days):
                open_from.append(first_day)
                break
            yield _Judgement(call, known, kind, rules, first_day, end_day, latest, figures).judged()
    values = {"id": household.id, "to": min(open_from), "today": call.today, "no": household.evidence_no}
    call.db.execute(_JUDGED, values)


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
    found: dict[date, dict[str, Any]]
    """What the months before it came to just now."""

    def judged(self) -> "_Judged":
        """Judge and claim."""
        home = self.known.home(self.kind, self.rules.rule)
        days = {"first_day": self.first_day, "end_day": self.end_day}
        found = judge(home, self.rules.rule, self.known.standings(), self._earlier(), **days)
        detail = self._claimed(found)
        if detail is not None:
            found = replace(found, reasons=(MeterIntervalTaken.code,), lines=())
        divided = {line: divide(amount, home.stays, **days) for line, amount in found.lines}
        points = home.metering.points(self.first_day, self.end_day)
        figures = self._figures(found, divided, detail, points)
        self.found[self.first_day] = figures
        return _Judged(self, found, figures, self._parts(found, divided))

    def keep(self, judged: "_Judged", settled: Sequence[Settled]) -> int:
        """Keep what it came to where that differs; 1 where a revision was written."""
        if not standing_amounts(self.call, self.period, judged.parts):
            end_claims(self.call, self._claimant())
        mark = digest(canonical_json({"rule": str(self.rules.publication_id), **judged.figures}))
        former = self.latest.get(self.first_day)
        if former is not None and bytes(former.digest) == mark and not any(each.is_new for each in settled):
            return 0
        self._keep(judged.found, judged.figures, mark, settled)
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
            figures = self._figures_of(first_day)
            if figures is None or figures["baseline"] is None:
                break
            row.append(
                Earlier(
                    saved=figures["lines"].get(SAVING, {}).get("amount", 0),
                    baseline=figures["baseline"]["amount"],
                    days=(end_day - first_day).days,
                )
            )
            end_day = first_day
        return row

    def _figures_of(self, first_day: date) -> dict[str, Any] | None:
        """What a period came to: just now, or when it was judged last; None where it never was."""
        if first_day in self.found:
            return self.found[first_day]
        former = self.latest.get(first_day)
        return None if former is None else former.figures

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


@dataclass(frozen=True)
class _Judged:
    """A month that was judged and claimed, and is not credited yet."""

    judgement: _Judgement
    found: Found
    figures: dict[str, Any]
    parts: list[Part]


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
    " ORDER BY h.assessed_on, h.id LIMIT :most FOR NO KEY UPDATE OF h SKIP LOCKED"
)
_PUT_OFF = text("UPDATE household SET assessed_on = :today WHERE id = :id")
_JUDGED = text(
    "UPDATE household SET assessed_no = :no, assessed_to = :to, assessed_on = :today WHERE id = :id"
)
