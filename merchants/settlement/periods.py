"""Which days are settled together: what the region's published rule says, never guessed.

A period never spans two rules: it begins no sooner than its rule and ends with it.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import select

from kernel.call import Call
from kernel.clock import end_of_month_after
from kernel.publications.errors import NoRuleInForce
from kernel.publications.rules import STANDARD
from kernel.publications.tables import Publication

KIND = "settlement"
_DAY = timedelta(days=1)
_WEEK = 7


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The rule as it is published, with the days it rules; `until` is the first it does not."""

    rule_id: UUID
    since: date
    until: date | None
    period: str
    last_day: int
    close_days: int
    dispute_days: int
    silence: str
    fee_basis_points: int
    fee_fen_each: int
    fee_bearer: str
    subsidy_basis_points: int
    subsidy_fen_each: int
    subsidy_bearer: str


@dataclass(frozen=True, kw_only=True)
class Period:
    """Days that are settled together, both ends among them, and the rule they are settled by."""

    first: date
    last: date
    terms: Terms

    def due_on(self) -> date:
        """The first day on which it may be closed."""
        return self.last + timedelta(days=self.terms.close_days)


def period_of(terms: Terms, day: date) -> Period:
    """The period that a day under these terms belongs to."""
    first, last = _calendar(terms, day)
    if terms.until is not None:
        last = min(last, terms.until - _DAY)
    return Period(first=max(first, terms.since), last=last, terms=terms)


def _calendar(terms: Terms, day: date) -> tuple[date, date]:
    if terms.period == "daily":
        return day, day
    if terms.period == "weekly":
        last = day + timedelta(days=(terms.last_day - day.isoweekday()) % _WEEK)
        return last - timedelta(days=_WEEK - 1), last
    last = _end_in_month(terms, day, 0)
    if last < day:
        return last + _DAY, _end_in_month(terms, day, 1)
    return _end_in_month(terms, day, -1) + _DAY, last


def _end_in_month(terms: Terms, day: date, months: int) -> date:
    month_end = end_of_month_after(day, months)
    return month_end.replace(day=min(terms.last_day, month_end.day))


def period_from(call: Call, region_id: str, day: date) -> Period:
    """The period that a day belongs to; where no rule ruled it yet, the first that one did.

    Refuses `NoRuleInForce`.
    """
    rules = select(Publication).where(
        Publication.region_id == region_id,
        Publication.kind == KIND,
        Publication.subject == STANDARD,
        Publication.state == "published",
        Publication.effective_from <= call.today,
        Publication.ends_on.is_(None) | (Publication.ends_on > day),
    )
    rule = call.db.scalars(rules.order_by(Publication.effective_from).limit(1)).one_or_none()
    if rule is None:
        raise NoRuleInForce(f"{KIND}/{STANDARD} on {day}", kind=KIND, subject=STANDARD, day=day.isoformat())
    return period_of(terms_of(rule), max(day, rule.effective_from))


def terms_by_id(call: Call, rule_id: UUID) -> Terms:
    """The terms that a settlement stored."""
    return terms_of(call.db.get_one(Publication, rule_id))


def terms_of(rule: Publication) -> Terms:
    """A published rule as terms."""
    return Terms(rule_id=rule.id, since=rule.effective_from, until=rule.ends_on, **rule.content)


def rule_regions(call: Call) -> list[str]:
    """The regions that have published, for any day up to today, when they settle."""
    published = select(Publication.region_id).where(
        Publication.kind == KIND,
        Publication.subject == STANDARD,
        Publication.state == "published",
        Publication.effective_from <= call.today,
    )
    return list(call.db.scalars(published.distinct().order_by(Publication.region_id)))
