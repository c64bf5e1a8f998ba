"""Saving against a given baseline: what was used below the baseline, never negative.

Using more than the baseline is no saving and no debt: the quantity is zero. Where the source states
the saving itself, that is the quantity. Whether a baseline is fair is not decided here.
"""

from collections.abc import Mapping

import polars as pl

from carbon.methodologies.inputs import (
    ACTUAL_ENERGY,
    ACTUAL_WATER,
    BASELINE_ENERGY,
    BASELINE_WATER,
    SAVED_ENERGY,
    SAVED_WATER,
    Input,
)
from carbon.methodologies.method import InputSet, Method, stated
from carbon.methodologies.unit_algebra import Measure


def _below(*, baseline: Input, actual: Input) -> InputSet:
    def quantity(inputs: Mapping[str, int]) -> int:
        return max(inputs[baseline.name] - inputs[actual.name], 0)

    def quantity_expression() -> pl.Expr:
        saved = pl.col(baseline.name) - pl.col(actual.name)
        return pl.when(saved < 0).then(pl.lit(0, pl.Int64)).otherwise(saved)

    return InputSet(
        inputs=(baseline, actual),
        quantity=quantity,
        quantity_expression=quantity_expression,
        expression=f"max({{{baseline.name}}} − {{{actual.name}}}, 0)",
    )


ELECTRICITY = Method(
    name="saving_electricity",
    version=1,
    title_en="electricity below the baseline × grid factor",
    title_zh="低于基准的用电量 × 电力排放因子",
    measure=Measure.WATT_HOUR,
    input_sets=(_below(baseline=BASELINE_ENERGY, actual=ACTUAL_ENERGY), stated(SAVED_ENERGY)),
)
WATER = Method(
    name="saving_water",
    version=1,
    title_en="water below the baseline × factor of tap water",
    title_zh="低于基准的用水量 × 自来水排放因子",
    measure=Measure.MILLILITRE,
    input_sets=(_below(baseline=BASELINE_WATER, actual=ACTUAL_WATER), stated(SAVED_WATER)),
)
