"""The published rules as services read them: typed, dated, each with the id that an effect stores.

A reader refuses a day without a rule and never takes a nearest one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import select

from kernel.call import Call
from kernel.clock import end_of_month_after
from kernel.errors import BrokenInvariant
from kernel.publications.errors import NoRuleInForce
from kernel.publications.rates import lowest_terms
from kernel.publications.tables import Publication
from kernel.units import MilliCoin, floor_to_milli_coins

STANDARD = "standard"
"""The subject of rules of which a region has only one."""
AUTOMATIC_HOLD = "automatic_hold"


@dataclass(frozen=True, kw_only=True)
class CoinRate:
    """`coins_milli` for each `per_mg` credited; the result is floored."""

    rule_id: UUID
    coins_milli: int
    per_mg: int

    def coins_for(self, carbon_mg: int) -> MilliCoin:
        """Milli-coins for milligrams, floored."""
        return floor_to_milli_coins(carbon_mg, coins_milli=self.coins_milli, per_mg=self.per_mg)

    def in_lowest_terms(self) -> "CoinRate":
        """The same rate in the smallest numbers: what bulk arithmetic must use."""
        coins_milli, per_mg = lowest_terms({"coins_milli": self.coins_milli, "per_mg": self.per_mg})
        return CoinRate(rule_id=self.rule_id, coins_milli=coins_milli, per_mg=per_mg)


@dataclass(frozen=True, kw_only=True)
class Cap:
    """At most `coins_milli` for the scenarios together, in each calendar day or month of the fact."""

    rule_id: UUID
    subject: str
    scenarios: frozenset[str]
    period: str
    coins_milli: int
    since: date
    until: date | None
    """The first day it no longer rules, where there is one."""

    def period_start(self, day: date) -> date:
        """The first day of the period that `day` belongs to."""
        return day.replace(day=1) if self.period == "month" else day


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """Where a scenario without a factor of its own looks next."""

    rule_id: UUID
    region_id: str


@dataclass(frozen=True, kw_only=True)
class EvidenceTier:
    """The share of assessed kilograms that evidence of a tier brings, in thousandths."""

    rule_id: UUID
    tier: str
    share_permille: int
    since: date
    until: date | None
    """The first day it no longer rules, where there is one."""


@dataclass(frozen=True, kw_only=True)
class TripClass:
    """Scenarios of which a citizen has one at a time; `slot` is `five_minutes`, `day` or `month`."""

    mode_class: str
    scenarios: frozenset[str]
    slot: str
    since: date
    until: date | None
    """The first day it no longer rules, where there is one."""


@dataclass(frozen=True, kw_only=True)
class HoldRule:
    """Records of these scenarios are held beyond `most` of `measure`: records a day, or metres an hour."""

    rule_id: UUID
    subject: str
    scenarios: frozenset[str]
    measure: str
    most: int
    since: date
    until: date | None
    """The first day it no longer rules, where there is one."""


@dataclass(frozen=True)
class IntakeRules:
    """What rules the records of some days, read at once."""

    caps: list[Cap]
    evidence_tiers: list[EvidenceTier]
    trip_classes: list[TripClass]
    hold_rules: list[HoldRule]


@dataclass(frozen=True, kw_only=True)
class OfflineRule:
    """Offline redemption: the dearest voucher, the most a till honours until it hands them in, who bears."""

    rule_id: UUID
    face_fen: int
    redemptions: int
    total_fen: int
    sync_hours: int
    liable: str

    @property
    def most(self) -> int:
        """Redemptions until the next sync: a terminal knows no prices, so each counts as the dearest."""
        return min(self.redemptions, self.total_fen // self.face_fen)


def rule_in_force(call: Call, region_id: str, *, kind: str, subject: str, day: date) -> Publication:
    """The one publication of this kind and subject that rules `day`, or NoRuleInForce."""
    for rule in rules_in_force(call, region_id, kind=kind, day=day):
        if rule.subject == subject:
            return rule
    raise NoRuleInForce(f"{kind}/{subject} on {day}", kind=kind, subject=subject, day=day.isoformat())


def rules_in_force(call: Call, region_id: str, *, kind: str, day: date) -> list[Publication]:
    """All publications of a kind that rule `day`, one for each subject, by subject."""
    return _rules_between(call, region_id, kinds=(kind,), first=day, last=day)


def _rules_between(
    call: Call, region_id: str, *, kinds: Sequence[str], first: date, last: date
) -> list[Publication]:
    rules = select(Publication).where(
        Publication.region_id == region_id,
        Publication.kind.in_(kinds),
        Publication.state == "published",
        Publication.effective_from <= last,
        Publication.ends_on.is_(None) | (Publication.ends_on > first),
    )
    return list(call.db.scalars(rules.order_by(Publication.subject, Publication.effective_from)))


def coin_rate(call: Call, region_id: str, *, day: date) -> CoinRate:
    """The coin rate of a day; refuses NoRuleInForce."""
    rule = _only(call, region_id, "coin_rate", day)
    return CoinRate(rule_id=rule.id, coins_milli=rule.content["coins_milli"], per_mg=rule.content["per_mg"])


def caps(call: Call, region_id: str, *, day: date) -> list[Cap]:
    """All caps of a day, by subject."""
    return caps_between(call, region_id, first=day, last=day)


def caps_between(call: Call, region_id: str, *, first: date, last: date) -> list[Cap]:
    """All caps that rule any of these days, by subject and day."""
    return [_cap(rule) for rule in _rules_between(call, region_id, kinds=("cap",), first=first, last=last)]


def intake_rules(call: Call, region_id: str, *, first: date, last: date) -> IntakeRules:
    """All caps, evidence tiers, trip claims and holds that rule any of these days."""
    kinds = ("cap", "evidence_tier", "trip_claims", AUTOMATIC_HOLD)
    found = _rules_between(call, region_id, kinds=kinds, first=first, last=last)
    return IntakeRules(
        caps=[_cap(rule) for rule in found if rule.kind == "cap"],
        evidence_tiers=[_evidence_tier(rule) for rule in found if rule.kind == "evidence_tier"],
        trip_classes=[_trip_class(rule) for rule in found if rule.kind == "trip_claims"],
        hold_rules=[hold_rule(rule) for rule in found if rule.kind == AUTOMATIC_HOLD],
    )


def trips_are_claimed(call: Call, region_id: str) -> bool:
    """Whether a region has published, for any day, that trips claim their time."""
    published = select(Publication.id).where(
        Publication.region_id == region_id,
        Publication.kind == "trip_claims",
        Publication.state == "published",
    )
    return call.db.scalar(published.limit(1)) is not None


def cap_by_id(call: Call, rule_id: UUID) -> Cap:
    """The cap that an effect stored."""
    return _cap(call.db.get_one(Publication, rule_id))


def _cap(rule: Publication) -> Cap:
    return Cap(
        rule_id=rule.id,
        subject=rule.subject,
        scenarios=frozenset(rule.content["scenarios"]),
        period=rule.content["period"],
        coins_milli=rule.content["coins_milli"],
        since=rule.effective_from,
        until=rule.ends_on,
    )


def _evidence_tier(rule: Publication) -> EvidenceTier:
    return EvidenceTier(
        rule_id=rule.id,
        tier=rule.subject,
        share_permille=rule.content["share_permille"],
        since=rule.effective_from,
        until=rule.ends_on,
    )


def _trip_class(rule: Publication) -> TripClass:
    return TripClass(
        mode_class=rule.subject,
        scenarios=frozenset(rule.content["scenarios"]),
        slot=rule.content["slot"],
        since=rule.effective_from,
        until=rule.ends_on,
    )


def hold_rule(rule: Publication) -> HoldRule:
    """A publication of the kind AUTOMATIC_HOLD as it is applied."""
    return HoldRule(
        rule_id=rule.id,
        subject=rule.subject,
        scenarios=frozenset(rule.content["scenarios"]),
        measure=rule.content["measure"],
        most=rule.content["most"],
        since=rule.effective_from,
        until=rule.ends_on,
    )


def cap_of(found: list[Cap], scenario: str) -> Cap | None:
    """The cap that limits a scenario, or None where no rule does."""
    fitting = [cap for cap in found if scenario in cap.scenarios]
    if len(fitting) > 1:
        raise BrokenInvariant(f"{len(fitting)} caps limit {scenario} on one day")
    return fitting[0] if fitting else None


def first_invalid_day(call: Call, region_id: str, *, validity_class: str, credited_on: date) -> date:
    """The day on which coins credited on `credited_on` are no longer valid; refuses NoRuleInForce.

    Coins live to the end of the n-th month after crediting, so this is the first of the month after.
    """
    rule = rule_in_force(call, region_id, kind="validity", subject=validity_class, day=credited_on)
    return end_of_month_after(credited_on, rule.content["months"]) + timedelta(days=1)


def prepare_lock(call: Call, region_id: str, *, day: date) -> timedelta:
    """How long a prepared redemption reserves a voucher; refuses NoRuleInForce."""
    return timedelta(seconds=_only(call, region_id, "prepare_lock", day).content["seconds"])


def reversal_window(call: Call, region_id: str, *, day: date) -> timedelta:
    """How long a merchant may reverse a redemption; refuses NoRuleInForce."""
    return timedelta(hours=_only(call, region_id, "reversal_window", day).content["hours"])


def grace(call: Call, region_id: str, *, day: date) -> timedelta:
    """How long coins live that came back too late by no fault of the citizen; refuses NoRuleInForce."""
    return timedelta(days=_only(call, region_id, "grace", day).content["days"])


def spending_order(call: Call, region_id: str, *, day: date) -> tuple[str, ...]:
    """The validity classes in the order they are spent; refuses NoRuleInForce."""
    return tuple(_only(call, region_id, "spending_order", day).content["classes"])


def waiting_hold(call: Call, region_id: str, *, day: date) -> timedelta:
    """How long what came back is held for who waits for it; refuses NoRuleInForce."""
    return timedelta(minutes=_only(call, region_id, "waiting_list", day).content["hold_minutes"])


def offline_rule(call: Call, region_id: str, *, day: date) -> OfflineRule | None:
    """What terminals may honour without asking on a day; None where no rule lets them."""
    for rule in rules_in_force(call, region_id, kind="offline", day=day):
        if rule.subject == STANDARD:
            return OfflineRule(rule_id=rule.id, **rule.content)
    return None


def reminder_days(call: Call, region_id: str, *, day: date) -> tuple[int, ...]:
    """How many days ahead owners are reminded of an end, fewest first; none where no rule says so."""
    for rule in rules_in_force(call, region_id, kind="reminders", day=day):
        if rule.subject == STANDARD:
            return tuple(sorted(rule.content["days"]))
    return ()


def asks_owner(call: Call, region_id: str, *, cost_fen: int, days: Sequence[date]) -> bool:
    """Whether a voucher of this cost is used only after its owner said yes, on any of these days."""
    rules = _rules_between(call, region_id, kinds=("owner_confirmation",), first=min(days), last=max(days))
    asks = (rule.content["from_cost_fen"] for rule in rules if rule.subject == STANDARD)
    return any(cost_fen >= least for least in asks)


def fallback(call: Call, region_id: str, *, scenario: str, day: date) -> Fallback | None:
    """Where a published rule sends a scenario that has no factor here; None where none does."""
    for rule in rules_in_force(call, region_id, kind="factor_fallback", day=day):
        if rule.subject == scenario:
            return Fallback(rule_id=rule.id, region_id=rule.content["region_id"])
    return None


def _only(call: Call, region_id: str, kind: str, day: date) -> Publication:
    return rule_in_force(call, region_id, kind=kind, subject=STANDARD, day=day)
