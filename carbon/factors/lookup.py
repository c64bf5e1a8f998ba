"""(scenario, region, business day) -> exactly one published row, or NoFactorInForce. Never a nearest one.

Another region's row is taken only where a published fallback rule of this scenario says so, and the
result says how it was found. Rows of footprints count emissions: whoever credits finds none of them,
worked examples do.
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from carbon.examples import FactorInUse, FindFactor
from carbon.factors.errors import NoFactorInForce
from carbon.factors.tables import Factor
from carbon.methodologies.assessment import MethodFactor
from carbon.methodologies.registry import FOOTPRINTS, METHODS, find_method
from kernel.call import Call
from kernel.errors import BrokenInvariant
from kernel.publications.rules import fallback
from kernel.publications.tables import Publication

OWN_REGION = "region"
CREDITING = tuple(name for name in METHODS if name not in FOOTPRINTS)


@dataclass(frozen=True, kw_only=True)
class FoundFactor:
    """The row, what a method needs of it, and how it was found: `region`, or `fallback:` and the region."""

    row: Factor
    in_use: FactorInUse
    found_by: str


def factor_in_force(call: Call, *, scenario: str, region_id: str, day: date) -> FoundFactor:
    """The one factor of a scenario, region and business day; refuses NoFactorInForce."""
    row = _row_in_force(call, scenario, region_id, day)
    if row is not None:
        return FoundFactor(row=row, in_use=in_use(row), found_by=OWN_REGION)
    rule = fallback(call, region_id, scenario=scenario, day=day)
    row = None if rule is None else _row_in_force(call, scenario, rule.region_id, day)
    if row is None:
        raise NoFactorInForce(
            f"{scenario} in {region_id} on {day}", scenario=scenario, region=region_id, day=day.isoformat()
        )
    return FoundFactor(row=row, in_use=in_use(row), found_by=f"fallback:{row.region_id}")


def in_use(row: Factor) -> FactorInUse:
    """The method and the factor of a row, as published."""
    method = find_method(row.method, row.method_version)
    factor = MethodFactor(
        value=row.value,
        unit=row.unit,
        value_ng=row.value_ng,
        measure=method.measure,
        quantity_min=row.quantity_min,
        quantity_max=row.quantity_max,
    )
    return FactorInUse(method, factor)


def finder(call: Call) -> FindFactor:
    """The lookup as worked examples ask it: footprints too."""

    def find(scenario: str, region_id: str, day: date) -> FactorInUse:
        row = _row_in_force(call, scenario, region_id, day, methods=FOOTPRINTS)
        if row is not None:
            return in_use(row)
        return factor_in_force(call, scenario=scenario, region_id=region_id, day=day).in_use

    return find


def is_known_scenario(call: Call, scenario: str) -> bool:
    """Whether any published row, of any region and time, credits the scenario."""
    credited = select(Factor.id).where(Factor.scenario == scenario, Factor.method.in_(CREDITING))
    return call.db.scalar(credited.limit(1)) is not None


def _row_in_force(
    call: Call, scenario: str, region_id: str, day: date, *, methods: tuple[str, ...] = CREDITING
) -> Factor | None:
    found = call.db.scalars(
        select(Factor)
        .join(Publication, Publication.id == Factor.publication_id)
        .where(
            Factor.scenario == scenario,
            Factor.region_id == region_id,
            Factor.method.in_(methods),
            Factor.valid_from <= day,
            Factor.valid_to.is_(None) | (Factor.valid_to > day),
            Publication.state == "published",
            Publication.effective_from <= day,
            Publication.ends_on.is_(None) | (Publication.ends_on > day),
        )
    ).all()
    if len(found) > 1:
        raise BrokenInvariant(f"{len(found)} factors rule {scenario} in {region_id} on {day}")
    return found[0] if found else None
