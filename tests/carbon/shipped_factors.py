"""Factors looked up in the shipped bundles, as the database does it in the product."""

from dataclasses import fields
from datetime import date
from functools import cache
from pathlib import Path

from carbon.examples import FactorInUse
from carbon.factors.bundle_files import read_bundle, read_shipped_bundle, shipped_bundle_names
from carbon.factors.factor_rows import FactorRow
from carbon.households.baselines import SavingRule
from kernel.errors import Kind, Refusal
from kernel.publications.errors import NoRuleInForce
from kernel.publications.shapes import SHAPES

SHANGHAI_HOMES = {**SHAPES["household_saving"].example, "price_tier_most": 2, "solar": "excluded"}
"""SHCER02010022024II leaves out the third tier and homes with panels; the rest is the platform's example."""
ILLUSTRATIVE = Path(__file__).resolve().parents[1] / "vectors" / "illustrative_factors.yaml"


class NoShippedFactor(Refusal):
    """No shipped bundle has exactly one factor for this scenario, region and day."""

    kind = Kind.INVALID
    title_zh = "随附的因子表中没有唯一适用的因子"


@cache
def shipped_rows() -> tuple[FactorRow, ...]:
    """Every row of every shipped factor table."""
    return tuple(row for name in shipped_bundle_names() for row in read_shipped_bundle(name).rows)


def find_factor_of_examples(scenario: str, region: str, on: date) -> FactorInUse:
    """The same, or one that an example makes up; refuses NoShippedFactor."""
    for row in read_bundle(ILLUSTRATIVE.read_bytes(), form="yaml").rows:
        if (row.scenario, row.region) == (scenario, region) and row.holds_on(on):
            return row.in_use()
    return find_shipped_factor(scenario, region, on)


def find_shipped_factor(scenario: str, region: str, on: date) -> FactorInUse:
    """The one factor of the bundles; refuses NoShippedFactor."""
    found = [
        row for row in shipped_rows() if (row.scenario, row.region) == (scenario, region) and row.holds_on(on)
    ]
    if len(found) != 1:
        raise NoShippedFactor(f"{len(found)} factors for {scenario} in {region} on {on}")
    return found[0].in_use()


def find_rule_of_examples(scenario: str, region: str, on: date) -> SavingRule:
    """What Shanghai's methodology says of who may save; no other rule is published, refuses NoRuleInForce."""
    if (scenario, region) != ("household_electricity_saving", "CN-SH"):
        raise NoRuleInForce(f"{scenario} in {region} on {on}")
    return SavingRule(**{each.name: SHANGHAI_HOMES[each.name] for each in fields(SavingRule)})
