"""What other things a kilogram or a kilowatt-hour stands for: standard coal, trees. Shown, never credited.

Published figures with their sources, as factors have them, but of no region and no day: they rule nothing.
A comparison that is shown is rounded down, so that it never says more than there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import polars as pl

from carbon.equivalences.amounts import check_amounts
from carbon.equivalences.shipped import by_scenario, shown
from carbon.methodologies.unit_algebra import Measure, convert_factor
from kernel.errors import BrokenInvariant
from kernel.units import INT64_MAX, NANOGRAMS_PER_MILLIGRAM

STANDARD_COAL, TREES = "standard_coal", "trees"
RESULT_UNITS = {STANDARD_COAL: "kgce", TREES: "trees"}
CARBON = "carbon_mg"
_NANOGRAMS_PER_KILOGRAM = 10**12
_INPUTS = {
    Measure.WATT_HOUR: "actual_wh",
    Measure.GRAM: "mass_g",
    Measure.MILLILITRE: "fuel_ml",
    Measure.KILOJOULE: "actual_kj",
    Measure.TREE_YEAR: CARBON,
}


@dataclass(frozen=True)
class Equivalence:
    """One published figure: `ratio_ng` is what it says in nanograms a base unit of what it is counted in."""

    scenario: str
    code: str
    method: str
    name_zh: str
    name_en: str
    value: str
    unit: str
    basis: str
    verified: bool
    source: Mapping[str, str]
    example: Mapping[str, Any]
    ratio_ng: int
    input: str

    def of(self, inputs: Mapping[str, int]) -> Fraction:
        """Kilograms of standard coal, or years of a tree, exactly.

        Refuses InputUnknown, InputMissing, InputNotWhole, InputNegative, InputTooLarge.
        """
        check_amounts(inputs, of=self.code, most={self.input: self.most})
        amount = inputs[self.input]
        if self.method == TREES:
            return Fraction(amount * NANOGRAMS_PER_MILLIGRAM, self.ratio_ng)
        return Fraction(amount * self.ratio_ng, _NANOGRAMS_PER_KILOGRAM)

    @property
    def most(self) -> int:
        """The largest input: what many rows at once compute stays below 2^63."""
        return INT64_MAX // (NANOGRAMS_PER_MILLIGRAM if self.method == TREES else self.ratio_ng)

    def floor(self, inputs: Mapping[str, int]) -> int:
        """Whole milligrams of standard coal, or whole years of a tree, rounded down."""
        exact = self.of(inputs)
        return int(exact if self.method == TREES else exact * 10**6)

    def floor_expression(self) -> pl.Expr:
        """The same for many rows; only inputs from zero to `most` may be used."""
        amount = pl.col(self.input)
        if self.method == TREES:
            return amount * NANOGRAMS_PER_MILLIGRAM // self.ratio_ng
        return amount * self.ratio_ng // NANOGRAMS_PER_MILLIGRAM


@cache
def shipped_equivalences() -> Mapping[str, Equivalence]:
    """The shipped figures by what they are asked as."""
    return by_scenario("figures", _read)


def _read(row: Mapping[str, Any]) -> Equivalence:
    mass, _, thing = row["unit"].partition("/")
    if mass != ("kgce" if row["method"] == STANDARD_COAL else "kgCO2"):
        raise BrokenInvariant(f"{row['code']} is in {row['unit']}")
    # A kilogram of standard coal is a mass like any other, and never one of carbon dioxide.
    converted = convert_factor(row["value"], f"kg/{thing}")
    return Equivalence(
        **{**row, "verified": row["verified"] == "yes"},
        ratio_ng=converted.value_ng,
        input=_INPUTS[converted.measure],
    )


def compared(carbon_mg: int | None) -> dict[str, Any]:
    """Every figure, with what some milligrams of carbon dioxide come to where it compares them."""
    return {
        CARBON: carbon_mg,
        "items": [
            {
                **shown(each),
                "whole": None
                if carbon_mg is None or each.input != CARBON
                else each.floor({CARBON: carbon_mg}),
            }
            for each in shipped_equivalences().values()
        ],
    }
