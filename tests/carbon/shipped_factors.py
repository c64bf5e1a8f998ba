"""Factors looked up in the shipped bundles, as the database does it in the product."""

from datetime import date
from functools import cache
from pathlib import Path

from carbon.examples import FactorInUse
from carbon.factors.bundle_files import read_bundle, read_shipped_bundle, shipped_bundle_names
from carbon.factors.factor_rows import FactorRow
from kernel.errors import Kind, Refusal

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
