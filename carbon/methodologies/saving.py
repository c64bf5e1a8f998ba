"""Saving against a given baseline: what was used below the baseline, never negative.

Using more than the baseline is no saving and no debt: the quantity is zero. Where the source states
the saving itself, that is the quantity. Whether a baseline is fair is not decided here. Electricity is
counted in Wh, water and gas in ml at the meter, heat in kJ; water and gas never share a name, because
one account may have a meter of each.
"""

from collections.abc import Mapping

import polars as pl

from carbon.methodologies.inputs import (
    ACTUAL_ENERGY,
    ACTUAL_GAS,
    ACTUAL_HEAT,
    ACTUAL_WATER,
    BASELINE_ENERGY,
    BASELINE_GAS,
    BASELINE_HEAT,
    BASELINE_WATER,
    SAVED_ENERGY,
    SAVED_GAS,
    SAVED_HEAT,
    SAVED_WATER,
    Input,
)
from carbon.methodologies.method import InputSet, Method, stated
from carbon.methodologies.unit_algebra import Measure

_BELOW_BASELINE = "深圳市居民低碳用电碳普惠方法学(试行), 2022: (BL − AL) × EF where AL is below BL"


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
    source=_BELOW_BASELINE,
    input_sets=(_below(baseline=BASELINE_ENERGY, actual=ACTUAL_ENERGY), stated(SAVED_ENERGY)),
)
WATER = Method(
    name="saving_water",
    version=1,
    title_en="water below the baseline × factor of tap water",
    title_zh="低于基准的用水量 × 自来水排放因子",
    measure=Measure.MILLILITRE,
    source=f"{_BELOW_BASELINE}; taken over for water",
    input_sets=(_below(baseline=BASELINE_WATER, actual=ACTUAL_WATER), stated(SAVED_WATER)),
)
GAS = Method(
    name="saving_gas",
    version=1,
    title_en="gas below the baseline × factor of burning it",
    title_zh="低于基准的用气量 × 燃气燃烧排放因子",
    measure=Measure.MILLILITRE,
    source=f"{_BELOW_BASELINE}; taken over for gas",
    input_sets=(_below(baseline=BASELINE_GAS, actual=ACTUAL_GAS), stated(SAVED_GAS)),
)
HEAT = Method(
    name="saving_heat",
    version=1,
    title_en="heat below the baseline × factor of bought heat",
    title_zh="低于基准的用热量 × 外购热力排放因子",
    measure=Measure.KILOJOULE,
    source=f"{_BELOW_BASELINE}; taken over for heat",
    input_sets=(_below(baseline=BASELINE_HEAT, actual=ACTUAL_HEAT), stated(SAVED_HEAT)),
)
