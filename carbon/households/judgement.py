"""What a home saved in a period: its lines, or why there are none.

First who may save at all (price tier, own solar, nobody living there), then whether every meter is known,
then the baseline. A base unit is in one line at most: the saving below the own baseline; the part below the
standard that was no saving, because the home was frugal before; and, once after a row of successes, a part
of what was saved then, for whoever holds the level. Nothing is ever negative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from carbon.households.baselines import EXCLUDED, NEXT, Baseline, Home, SavingRule, baselines, city_use
from carbon.households.metering import Shortfall
from carbon.households.occupancy import person_days

SAVING, STANDARD_USE, MAINTENANCE = "saving", "standard_use", "maintenance"
LINES = (SAVING, STANDARD_USE, MAINTENANCE)
PRICE_TIER, SOLAR, NOBODY, EMPTY_HOME = (
    "price_tier_excluded",
    "solar_excluded",
    "nobody_lived_there",
    "home_not_lived_in",
)
STANDING_UNKNOWN, NO_METER, NO_BASELINE, NOT_BELOW = (
    "standing_unknown",
    "no_meter",
    "no_baseline",
    "not_below_baseline",
)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """From which day on a home is in a tier of the price, and whether it has solar panels."""

    since: date
    price_tier: int
    has_solar: bool


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What an earlier period came to: its saving, its baseline and its days."""

    saved: int
    baseline: int
    days: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a period came to. Either there are lines, or reasons and shortfalls say why not."""

    reasons: tuple[str, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()
    actual: int | None = None
    baseline: Baseline | None = None
    lines: tuple[tuple[str, int], ...] = ()

    @property
    def total(self) -> int:
        """All lines together."""
        return sum(amount for _, amount in self.lines)


def judge(
    home: Home,
    rule: SavingRule,
    standings: Sequence[Standing],
    earlier: Sequence[Earlier],
    *,
    first_day: date,
    end_day: date,
) -> Found:
    """Judge half-open days; `earlier` are the periods right before, the last one first."""
    reasons = _not_eligible(home, rule, standings, first_day, end_day)
    use = home.metering.use(first_day, end_day)
    if not use.by_point:
        reasons.append(NO_METER)
    if reasons or use.shortfalls:
        named = [*reasons, *sorted({each.reason for each in use.shortfalls})]
        return Found(reasons=tuple(named), shortfalls=use.shortfalls)
    people = sum(person_days(home.stays, first_day, end_day).values())
    if use.total < rule.person_day_least * people:
        return Found(reasons=(EMPTY_HOME,), actual=use.total)
    chosen = _chosen(baselines(home, rule, first_day, end_day), use.total, rule)
    if chosen is None:
        return Found(reasons=(NO_BASELINE,), actual=use.total)
    lines = _lines(home, rule, chosen, use.total, earlier, first_day, end_day)
    return Found(
        reasons=() if lines else (NOT_BELOW,), actual=use.total, baseline=chosen, lines=tuple(lines.items())
    )


def left_out(rule: SavingRule, standings: Sequence[Standing]) -> list[str]:
    """Why a rule leaves homes of such standings out, if it does: their price tier, their solar panels."""
    reasons = []
    if any(each.price_tier > rule.price_tier_most for each in standings):
        reasons.append(PRICE_TIER)
    if rule.solar == EXCLUDED and any(each.has_solar for each in standings):
        reasons.append(SOLAR)
    return reasons


def _not_eligible(
    home: Home, rule: SavingRule, standings: Sequence[Standing], first_day: date, end_day: date
) -> list[str]:
    ruling = _ruling(standings, first_day, end_day)
    reasons = [STANDING_UNKNOWN] if ruling is None else left_out(rule, ruling)
    if not any(person_days(home.stays, first_day, end_day).values()):
        reasons.append(NOBODY)
    return reasons


def _ruling(standings: Sequence[Standing], first_day: date, end_day: date) -> list[Standing] | None:
    """The standings of any day of the period; None where its first day has none."""
    before = [each for each in standings if each.since <= first_day]
    if not before:
        return None
    during = [each for each in standings if first_day < each.since < end_day]
    return [max(before, key=lambda each: each.since), *during]


def _chosen(found: Sequence[Baseline], actual: int, rule: SavingRule) -> Baseline | None:
    """The first baseline; or the first that use is below, where the rule goes on looking."""
    if rule.where_not_below == NEXT:
        below = [each for each in found if actual < each.amount]
        return (below or [*found])[0] if found else None
    return found[0] if found else None


def _lines(
    home: Home,
    rule: SavingRule,
    chosen: Baseline,
    actual: int,
    earlier: Sequence[Earlier],
    first_day: date,
    end_day: date,
) -> dict[str, int]:
    saved = max(0, chosen.amount - actual)
    standard = (city_use(rule, home.stays, first_day, end_day) or 0) * rule.standard_use_permille // 1000
    # Only what lies above the own baseline: below it the same units are in the saving already.
    frugal = max(0, standard - max(actual, chosen.amount))
    held = 0
    if actual <= chosen.amount and saved * 1000 < rule.maintenance_below_permille * chosen.amount:
        held = max(0, _held(rule, earlier, (end_day - first_day).days) - saved - frugal)
    lines = {SAVING: saved, STANDARD_USE: frugal, MAINTENANCE: held}
    return {name: amount for name, amount in lines.items() if amount}


def _held(rule: SavingRule, earlier: Sequence[Earlier], days: int) -> int:
    """The published part of what was saved a day in the successes right before, for so many days."""
    row = earlier[: rule.maintenance_periods]
    if len(row) < rule.maintenance_periods:
        return 0
    if any(each.saved * 1000 < rule.maintenance_below_permille * each.baseline for each in row):
        return 0
    a_day = Fraction(sum(each.saved for each in row), sum(each.days for each in row))
    part = a_day * days * rule.maintenance_permille / 1000
    return part.numerator // part.denominator
