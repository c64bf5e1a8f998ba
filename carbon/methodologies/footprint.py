"""Footprints: what was used, times what that gives off. They count emissions and are never credited.

An institution's year is a sum of footprints; a reduction that a document states as two emission factors is
their difference, what would have been used less what was (`carbon.examples`). A credit leads back to one
published row, so nobody is credited by two: such a reduction comes in verified, or as a row that states the
difference. Of a vehicle's kilometre one person's share counts, in parts per thousand, the whole being 1000
(an occupancy of 1.6 is a share of 625); it is stated even where it is the whole, and rounded down to metres.
"""

from collections.abc import Mapping

import polars as pl

from carbon.methodologies.inputs import (
    ACTUAL_ENERGY,
    ACTUAL_HEAT,
    AREA,
    DISTANCE,
    FUEL_VOLUME,
    MASS,
    SHARE,
    VEHICLE_DISTANCE,
)
from carbon.methodologies.method import InputSet, Method, stated
from carbon.methodologies.unit_algebra import Measure

WHOLE_PERMILLE = SHARE.most
_GUIDE = "公共机构碳排放核算指南 JS/T 303-2026 (its form as given by others): E = Σ AD × EF"


def _metres_of_one(inputs: Mapping[str, int]) -> int:
    return inputs[VEHICLE_DISTANCE.name] * inputs[SHARE.name] // WHOLE_PERMILLE


ELECTRICITY = Method(
    name="emission_electricity",
    version=1,
    title_en="electricity used × grid factor; never credited",
    title_zh="用电量 × 电力排放因子(仅计排放,不计减排)",
    measure=Measure.WATT_HOUR,
    source=_GUIDE,
    input_sets=(stated(ACTUAL_ENERGY),),
    credits=False,
)
HEAT = Method(
    name="emission_heat",
    version=1,
    title_en="heat used × factor of bought heat; never credited",
    title_zh="用热量 × 外购热力排放因子(仅计排放,不计减排)",
    measure=Measure.KILOJOULE,
    source=_GUIDE,
    input_sets=(stated(ACTUAL_HEAT),),
    credits=False,
)
FUEL_BY_VOLUME = Method(
    name="emission_fuel_volume",
    version=1,
    title_en="volume of fuel burnt × factor of burning it; never credited",
    title_zh="燃料体积 × 燃烧排放因子(仅计排放,不计减排)",
    measure=Measure.MILLILITRE,
    source=_GUIDE,
    input_sets=(stated(FUEL_VOLUME),),
    credits=False,
)
FUEL_BY_MASS = Method(
    name="emission_fuel_mass",
    version=1,
    title_en="mass of fuel burnt × factor of burning it; never credited",
    title_zh="燃料质量 × 燃烧排放因子(仅计排放,不计减排)",
    measure=Measure.GRAM,
    source="企业温室气体核算与报告指南, 国家发改委, 2015: fuel × heating value × carbon × oxidised × 44/12",
    input_sets=(stated(MASS),),
    credits=False,
)
PASSENGER = Method(
    name="emission_person_km",
    version=1,
    title_en="distance × emission per person-kilometre; never credited",
    title_zh="出行距离 × 每人公里排放量(仅计排放,不计减排)",
    measure=Measure.PERSON_METRE,
    source="碳普惠项目减排量核算技术规范 低碳出行, DB11/T 3043-2024: PE = EF × PD",
    input_sets=(stated(DISTANCE),),
    credits=False,
)
VEHICLE = Method(
    name="emission_vehicle_km",
    version=1,
    title_en="share of a vehicle's distance × emission per vehicle-kilometre; never credited",
    title_zh="车辆行驶距离 × 个人分摊比例 × 每车公里排放量(仅计排放,不计减排)",
    measure=Measure.VEHICLE_METRE,
    source="UK Government GHG Conversion Factors for Company Reporting: cars per vehicle-kilometre",
    input_sets=(
        InputSet(
            inputs=(VEHICLE_DISTANCE, SHARE),
            quantity=_metres_of_one,
            quantity_expression=lambda: pl.col(VEHICLE_DISTANCE.name) * pl.col(SHARE.name) // WHOLE_PERMILLE,
            expression=f"⌊{{{VEHICLE_DISTANCE.name}}} × {{{SHARE.name}}} ÷ {WHOLE_PERMILLE} ‰⌋",
        ),
    ),
    credits=False,
)
AREA_HEATED = Method(
    name="emission_area",
    version=1,
    title_en="area heated × emission per square metre and season; never credited",
    title_zh="供暖面积 × 每平方米每季排放量(仅计排放,不计减排)",
    measure=Measure.SQUARE_METRE,
    source="河北省农村地区清洁取暖降碳产品方法学 V01 (read in a third party's file): BE = DE × A",
    input_sets=(stated(AREA),),
    credits=False,
)
