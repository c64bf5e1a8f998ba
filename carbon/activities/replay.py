"""An activity gone through once more: the same numbers, by rows that had to be these and no others.

The arithmetic is done again from the stored inputs, and what it was done by is held against what stands
elsewhere: the factor row against the signed table it was laid out from, the rules against what ruled when it
was recorded, the amounts against the ledger. So a row that was changed by hand fails even where the changed
numbers agree with each other. What was published later changes nothing: history is judged by its own time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import defer

from carbon.activities.automatic_holds import speed_of
from carbon.activities.crediting import SOURCE, named_activity
from carbon.activities.evidence import WHOLE, share_step
from carbon.activities.tables import Activity, ActivityBasis, ActivityHold, ActivityReference
from carbon.factors.lookup import OWN_REGION, in_use
from carbon.factors.publication import laid_out
from carbon.factors.stored_rows import read_row
from carbon.factors.tables import Factor
from carbon.methodologies.assessment import Assessment, Step
from carbon.partners.tables import DEVICE_VERIFIED
from kernel.call import Call
from kernel.clock import business_day
from kernel.errors import BrokenInvariant, Refusal
from kernel.publications.publishing import signature_holds
from kernel.publications.rules import AUTOMATIC_HOLD, STANDARD, HoldRule, hold_rule
from kernel.publications.shapes import FACTOR_TABLE, RECORDS_A_DAY
from kernel.publications.tables import Publication, PublicationStep
from kernel.units import floor_to_milli_coins, floor_to_share
from ledger.chart import Code, Unit
from ledger.tables import LedgerTransfer

AT_ONCE = timedelta(minutes=1)
"""What is published while a chunk is taken may have been seen by it or not: both are right."""


@dataclass(frozen=True)
class Replay:
    """What came out again; `differs` names what does not fit, and is empty where everything does."""

    assessment: Assessment | None
    share_permille: int | None
    coins_before_cap: int | None
    differs: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether the same rows give the same numbers."""
        return not self.differs

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the assessment, and that of the evidence where it counts for a part only."""
        if self.assessment is None:
            return ()
        if self.share_permille in (None, WHOLE):
            return self.assessment.steps
        step = share_step(self.assessment.carbon_mg, share_permille=self.share_permille)
        return (*self.assessment.steps, step)

    @property
    def digest(self) -> bytes | None:
        """SHA-256 over every number that came out; None where nothing did."""
        return None if self.assessment is None else self.assessment.digest()


def posted_under(citizen_id: UUID, transfer_id: int, reference: str) -> Select[Activity]:
    """The activities of a posting; their ids were made at once (`new_ids`), so they lie beside the first."""
    posted = select(Activity).where(
        Activity.citizen_id == citizen_id,
        or_(Activity.coin_transfer_id == transfer_id, Activity.carbon_transfer_id == transfer_id),
    )
    first = named_activity(reference)
    if first is None:
        return posted
    moment = first.hex[:12]
    return posted.where(Activity.id.between(UUID(f"{moment:0<32}"), UUID(f"{moment:f<32}")))


class Replayer:
    """Replays activities; what many of them share (tables, rules, postings) is looked at once.

    One serves one unit of work.
    """

    def __init__(self, call: Call) -> None:
        """`call` must read one consistent picture, or at least nothing that changes meanwhile."""
        self._call = call
        self._signed = cache(self._is_signed)
        self._as_published = cache(self._is_as_published)
        self._rules_of = cache(self._load_rules)
        self._factors_of = cache(self._load_factors)
        self._reached = cache(self._first_reached)
        self._posting = cache(self._load_posting)

    def replay(self, activity: Activity) -> Replay:
        """Go through it again. A row that cannot be gone through is a row that differs."""
        try:
            assessment = self._assess(activity)
        except (Refusal, BrokenInvariant):
            assessment = None
        coins, share = self._coins(activity), self._share(activity)
        differs = [name for name, holds in _CHECKS.items() if not holds(self, activity)]
        if (
            assessment is None
            or share is None
            or activity.carbon_mg != floor_to_share(assessment.carbon_mg, share_permille=share)
        ):
            differs.append("kilograms")
        if assessment is None or assessment.digest() != bytes(activity.digest):
            differs.append("digest")
        if coins is None or coins != activity.coin_milli + activity.coin_cut_milli:
            differs.append("coins")
        return Replay(assessment, share, coins, tuple(differs))

    def rules(self, publication_id: UUID, kind: str) -> bool:
        """Whether it is a publication of the kind, and says what was signed."""
        return self._publication(publication_id).kind == kind and self._signed(publication_id)

    def _assess(self, activity: Activity) -> Assessment | None:
        inputs: Any = activity.inputs  # the column holds whatever JSON somebody wrote into it
        if not isinstance(inputs, dict):
            return None
        used = in_use(self._factor(activity))
        return used.method.assess(inputs, used.factor)

    def _coins(self, activity: Activity) -> int | None:
        rate = self._publication(activity.basis.coin_rule_id)
        if not self.rules(rate.id, "coin_rate"):
            return None
        return floor_to_milli_coins(
            activity.carbon_mg, coins_milli=rate.content["coins_milli"], per_mg=rate.content["per_mg"]
        )

    def _share(self, activity: Activity) -> int | None:
        if activity.basis.evidence_rule_id is None:
            return WHOLE
        rule = self._publication(activity.basis.evidence_rule_id)
        if rule.kind != "evidence_tier" or not self._signed(rule.id):
            return None
        return int(rule.content["share_permille"])

    # What stands elsewhere.

    def is_the_claimed(self, activity: Activity) -> bool:
        """The source's fact was claimed for this citizen and activity, and for no other."""
        key = (activity.basis.partner_id, activity.source_event_id, activity.revision)
        claimed = self._call.db.get(ActivityReference, key)
        return claimed is not None and (claimed.citizen_id, claimed.activity_id) == (
            activity.citizen_id,
            activity.id,
        )

    def is_of_its_day(self, activity: Activity) -> bool:
        """The business day is that of the instant, and nothing is recorded before it was done."""
        at = activity.occurred_at
        return activity.business_day == business_day(at) and at <= activity.recorded_at

    def says_why_where_nothing_came(self, activity: Activity) -> bool:
        """A reason stands exactly where no milligram came out."""
        return (activity.reason is None) == (activity.carbon_mg > 0)

    def has_its_factor(self, activity: Activity) -> bool:
        """The row is as its signed table has it, and is what the lookup found on that day."""
        row, basis = self._factor(activity), activity.basis
        at, day = activity.recorded_at, activity.business_day
        if row.scenario != basis.scenario or not self._as_published(row.id):
            return False
        if not self._may_have_held(row, day, at=at):
            return False
        if basis.found_by == OWN_REGION:
            return row.region_id == basis.region_id
        own = self._factors_of(basis.scenario, basis.region_id)
        if any(self._surely_held(each, day, at=at) for each in own):
            return False
        return basis.found_by == f"fallback:{row.region_id}" and any(
            rule.subject == basis.scenario
            and self._signed(rule.id)
            and rule.content["region_id"] == row.region_id
            and self._may_have_ruled(rule, day, at=at)
            for rule in self._rules_of(basis.region_id, "factor_fallback")
        )

    def has_its_rate(self, activity: Activity) -> bool:
        """The coin rate is the region's, and ruled on the day on which the activity was recorded."""
        rate = self._publication(activity.basis.coin_rule_id)
        return (
            (rate.kind, rate.subject, rate.region_id) == ("coin_rate", STANDARD, activity.basis.region_id)
            and self._signed(rate.id)
            and self._may_have_ruled(rate, business_day(activity.recorded_at), at=activity.recorded_at)
        )

    def has_its_cap(self, activity: Activity) -> bool:
        """The cap is the one of its scenario and day; without one, none ruled and nothing was cut."""
        basis, at, day = activity.basis, activity.recorded_at, activity.business_day
        if basis.cap_rule_id is None:
            return activity.coin_cut_milli == 0 and not any(
                self._surely_ruled(cap, day, at=at)
                and self._signed(cap.id)
                and basis.scenario in cap.content["scenarios"]
                for cap in self._rules_of(basis.region_id, "cap")
            )
        cap = self._publication(basis.cap_rule_id)
        return (
            (cap.kind, cap.region_id) == ("cap", basis.region_id)
            and self._signed(cap.id)
            and basis.scenario in cap.content["scenarios"]
            and activity.coin_milli <= cap.content["coins_milli"]
            and self._may_have_ruled(cap, day, at=at)
        )

    def has_its_evidence(self, activity: Activity) -> bool:
        """The tier's share is the one published for its day; in full only what a device verified."""
        basis, at, day = activity.basis, activity.recorded_at, activity.business_day
        if basis.evidence_rule_id is None:
            return basis.evidence == DEVICE_VERIFIED and not any(
                rule.subject == basis.evidence
                and self._surely_ruled(rule, day, at=at)
                and self._signed(rule.id)
                for rule in self._rules_of(basis.region_id, "evidence_tier")
            )
        rule = self._publication(basis.evidence_rule_id)
        return (
            (rule.kind, rule.subject, rule.region_id) == ("evidence_tier", basis.evidence, basis.region_id)
            and self._signed(rule.id)
            and self._may_have_ruled(rule, day, at=at)
        )

    def is_held_as_ruled(self, activity: Activity) -> bool:
        """A rule holds it that ruled its day and measured so; none that had to hold it was passed by."""
        basis, at, day = activity.basis, activity.recorded_at, activity.business_day
        rules = self._rules_of(basis.region_id, AUTOMATIC_HOLD)
        if not rules:
            return True
        held = self._call.db.get(ActivityHold, (activity.citizen_id, activity.id))
        if held is None or held.rule_id is None:
            return not any(
                self._surely_ruled(rule, day, at=at)
                and self._signed(rule.id)
                and _is_too_fast(activity, hold_rule(rule))
                for rule in rules
            )
        rule = self._publication(held.rule_id)
        return (
            (rule.kind, rule.region_id) == (AUTOMATIC_HOLD, basis.region_id)
            and self._signed(rule.id)
            and self._may_have_ruled(rule, day, at=at)
            and held.held_at == at
            and activity.carbon_mg > 0
            and self._measured(activity, held, hold_rule(rule))
        )

    def _measured(self, activity: Activity, held: ActivityHold, rule: HoldRule) -> bool:
        """Whether the rule may have measured what the hold says: of the activity, or of its citizen's day."""
        found = held.measured
        if found is None or found <= rule.most or activity.basis.scenario not in rule.scenarios:
            return False
        if rule.measure != RECORDS_A_DAY:
            return found == speed_of(activity)
        records = select(func.count()).where(
            Activity.citizen_id == activity.citizen_id,
            Activity.business_day == activity.business_day,
            Activity.revision == 1,
            Activity.basis_id == ActivityBasis.id,
            ActivityBasis.region_id == activity.basis.region_id,
            ActivityBasis.scenario.in_(rule.scenarios),
        )
        return activity.revision == 1 and found <= (self._call.db.scalar(records) or 0)

    def is_posted(self, activity: Activity) -> bool:
        """The ledger holds its kilograms and coins, and nothing but it and what was posted with it."""
        return all(
            amount == 0
            if transfer_id is None
            else self._posting(activity.citizen_id, transfer_id, unit) == activity.recorded_at
            for unit, transfer_id, amount in (
                (Unit.COIN, activity.coin_transfer_id, activity.coin_milli),
                (Unit.CARBON, activity.carbon_transfer_id, activity.carbon_mg),
            )
        )

    def _load_posting(self, citizen_id: UUID, transfer_id: int, unit: Unit) -> datetime | None:
        """When it was posted, if it is a credit of just its activities; None where it is not."""
        found = self._call.db.scalars(
            select(LedgerTransfer).where(
                LedgerTransfer.holder_id == citizen_id, LedgerTransfer.id == transfer_id
            )
        ).one_or_none()
        code = Code.CREDIT if unit is Unit.COIN else Code.CREDIT_CARBON
        if found is None or (found.unit, found.code) != (unit, code):
            return None
        if not found.reference.startswith(f"{SOURCE}/"):
            return None
        of_this = posted_under(citizen_id, transfer_id, found.reference).subquery()
        amount = of_this.c.coin_milli if unit is Unit.COIN else of_this.c.carbon_mg
        posted_as = of_this.c.coin_transfer_id if unit is Unit.COIN else of_this.c.carbon_transfer_id
        total, last = self._call.db.execute(
            select(func.sum(amount), func.max(of_this.c.occurred_at)).where(posted_as == transfer_id)
        ).one()
        # Both are of the last instant among what weighs something; some of that may have brought no coin.
        whole = total == found.amount and (unit is Unit.COIN or last == found.occurred_at)
        return found.recorded_at if whole else None

    # Rows that many activities share.

    def _factor(self, activity: Activity) -> Factor:
        return self._call.db.get_one(Factor, activity.basis.factor_id)

    def _publication(self, publication_id: UUID) -> Publication:
        return self._call.db.get_one(Publication, publication_id)

    def _is_signed(self, publication_id: UUID) -> bool:
        """Whether the document is as it was signed, and was published when its steps say so."""
        found = self._publication(publication_id)
        published_at = self._reached(publication_id, "published")
        return found.published_at == published_at and signature_holds(self._call, found)

    def _is_as_published(self, factor_id: UUID) -> bool:
        """Whether the row is one that its signed table lays out, column by column."""
        row = self._call.db.get_one(Factor, factor_id)
        table = self._publication(row.publication_id)
        if table.kind != FACTOR_TABLE or not self._signed(table.id):
            return False
        return any(
            _column_by_column(laid_out(read_row(stored), table)) == _column_by_column(row)
            for stored in table.content["rows"]
            if stored["code"] == row.code
        )

    def _load_rules(self, region_id: str, kind: str) -> list[Publication]:
        rules = select(Publication).where(
            Publication.region_id == region_id,
            Publication.kind == kind,
            Publication.published_at.is_not(None),
        )
        # A table's rows are many, and only its days are asked for here.
        return list(self._call.db.scalars(rules.options(defer(Publication.content))))

    def _load_factors(self, scenario: str, region_id: str) -> list[Factor]:
        rows = select(Factor).where(Factor.scenario == scenario, Factor.region_id == region_id)
        return list(self._call.db.scalars(rows))

    def _first_reached(self, publication_id: UUID, state: str) -> datetime | None:
        return self._call.db.scalar(
            select(func.min(PublicationStep.recorded_at)).where(
                PublicationStep.publication_id == publication_id, PublicationStep.state == state
            )
        )

    # Who ruled a day, as it stood at an instant.

    def _may_have_held(self, row: Factor, day: date, *, at: datetime) -> bool:
        table = self._publication(row.publication_id)
        return _holds(row, day) and self._may_have_ruled(table, day, at=at)

    def _surely_held(self, row: Factor, day: date, *, at: datetime) -> bool:
        table = self._publication(row.publication_id)
        return _holds(row, day) and self._surely_ruled(table, day, at=at)

    def _may_have_ruled(self, rule: Publication, day: date, *, at: datetime) -> bool:
        """Whether whoever recorded at `at` may have found it in force on `day`."""
        return _begun(rule, day, before=at + AT_ONCE) and not self._replaced(rule, day, before=at - AT_ONCE)

    def _surely_ruled(self, rule: Publication, day: date, *, at: datetime) -> bool:
        """Whether whoever recorded at `at` must have found it in force on `day`."""
        return _begun(rule, day, before=at - AT_ONCE) and not self._replaced(rule, day, before=at + AT_ONCE)

    def _replaced(self, rule: Publication, day: date, *, before: datetime) -> bool:
        corrected, withdrawn = (self._reached(rule.id, state) for state in ("corrected", "withdrawn"))
        if corrected is not None and corrected < before:
            return True
        from_day = rule.withdrawn_from
        if withdrawn is not None and withdrawn < before and (from_day is None or day >= from_day):
            return True
        return any(
            other.subject == rule.subject
            and other.effective_from > rule.effective_from
            and _begun(other, day, before=before)
            for other in self._rules_of(rule.region_id, rule.kind)
        )


def _is_too_fast(activity: Activity, rule: HoldRule) -> bool:
    """Whether a rule of speed has to hold it."""
    if rule.measure == RECORDS_A_DAY or activity.basis.scenario not in rule.scenarios:
        return False
    fast = speed_of(activity)
    return activity.carbon_mg > 0 and fast is not None and fast > rule.most


def _holds(row: Factor, day: date) -> bool:
    return row.valid_from <= day and (row.valid_to is None or day < row.valid_to)


def _begun(rule: Publication, day: date, *, before: datetime) -> bool:
    return rule.published_at is not None and rule.published_at < before and rule.effective_from <= day


def _column_by_column(row: Factor) -> dict[str, Any]:
    """What of a row comes from its table. Of notes, what is said: later ones may say more."""
    columns = {column.key: getattr(row, column.key) for column in Factor.__table__.columns}
    notes = columns.pop("notes")
    del columns["id"]  # made when it was laid out
    return {**columns, "notes": _said(notes)}


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _said(inner) for name, inner in value.items() if inner is not None}
    return value


_CHECKS: dict[str, Callable[[Replayer, Activity], bool]] = {
    "reference": Replayer.is_the_claimed,
    "day": Replayer.is_of_its_day,
    "reason": Replayer.says_why_where_nothing_came,
    "factor": Replayer.has_its_factor,
    "coin_rate": Replayer.has_its_rate,
    "cap": Replayer.has_its_cap,
    "evidence": Replayer.has_its_evidence,
    "hold": Replayer.is_held_as_ruled,
    "entry": Replayer.is_posted,
}
"""What is held against rows elsewhere, by the name that a reader is told where it does not fit."""
