"""The inputs that methods take: one name, one unit, one meaning in the whole product."""

from dataclasses import dataclass

from kernel.units import INT64_MAX


@dataclass(frozen=True)
class Input:
    """A whole number with its unit in its name, from zero to `most`."""

    name: str
    unit: str
    title_en: str
    title_zh: str
    most: int = INT64_MAX


DISTANCE = Input("distance_m", "m", "distance travelled by one person", "个人出行距离")
TRIPS = Input("trips", "trip", "trips", "出行次数")
COUNT = Input("count", "piece", "times or pieces", "次数或件数")
MASS = Input("mass_g", "g", "mass", "质量")
BASELINE_ENERGY = Input("baseline_wh", "Wh", "baseline electricity", "基准用电量")
ACTUAL_ENERGY = Input("actual_wh", "Wh", "electricity used", "实际用电量")
SAVED_ENERGY = Input("saved_wh", "Wh", "electricity saved", "节电量")
BASELINE_WATER = Input("baseline_ml", "ml", "baseline water", "基准用水量")
ACTUAL_WATER = Input("actual_ml", "ml", "water used", "实际用水量")
SAVED_WATER = Input("saved_ml", "ml", "water saved", "节水量")
BASELINE_GAS = Input("baseline_gas_ml", "ml", "baseline gas", "基准用气量")
ACTUAL_GAS = Input("actual_gas_ml", "ml", "gas used", "实际用气量")
SAVED_GAS = Input("saved_gas_ml", "ml", "gas saved", "节气量")
BASELINE_HEAT = Input("baseline_kj", "kJ", "baseline heat", "基准用热量")
ACTUAL_HEAT = Input("actual_kj", "kJ", "heat used", "实际用热量")
SAVED_HEAT = Input("saved_kj", "kJ", "heat saved", "节热量")
GENERATED_ENERGY = Input("generated_wh", "Wh", "electricity generated", "发电量")
CHARGED_ENERGY = Input("charged_wh", "Wh", "electricity charged into a vehicle", "充电量")
STEPS = Input("steps", "step", "steps walked", "步数")
MONTHS = Input("months", "month", "whole months in service", "完整运行月数")
GROWTH = Input("growth_l", "L", "growth of stem volume", "林木蓄积增长量", most=INT64_MAX // 1_000)
BUFFER = Input("buffer_permille", "‰", "share of the growth kept back", "缓冲比例", most=1_000)
STANDING_HOURS = Input("standing_hours", "h", "hours on end that a car stood still", "连续停驶小时数")
FUEL_VOLUME = Input("fuel_ml", "ml", "fuel burnt", "燃料用量")
VEHICLE_DISTANCE = Input(
    "vehicle_distance_m", "m", "distance travelled by a vehicle", "车辆行驶距离", most=INT64_MAX // 1_000
)
SHARE = Input("share_permille", "‰", "share of the vehicle that is one person's", "个人分摊比例", most=1_000)
AREA = Input("area_m2", "m2", "area heated", "供暖面积")
VERIFIED_REDUCTION = Input("verified_mg", "mg", "verified reduction", "经核证的减排量")

INPUTS: dict[str, Input] = {
    item.name: item
    for item in (
        DISTANCE,
        TRIPS,
        COUNT,
        MASS,
        BASELINE_ENERGY,
        ACTUAL_ENERGY,
        SAVED_ENERGY,
        BASELINE_WATER,
        ACTUAL_WATER,
        SAVED_WATER,
        BASELINE_GAS,
        ACTUAL_GAS,
        SAVED_GAS,
        BASELINE_HEAT,
        ACTUAL_HEAT,
        SAVED_HEAT,
        GENERATED_ENERGY,
        CHARGED_ENERGY,
        STANDING_HOURS,
        STEPS,
        MONTHS,
        GROWTH,
        BUFFER,
        VERIFIED_REDUCTION,
    )
}
"""Every input of activities by name; a frame of them has one nullable Int64 column for each."""

KNOWN_INPUTS: dict[str, Input] = INPUTS | {
    item.name: item for item in (FUEL_VOLUME, VEHICLE_DISTANCE, SHARE, AREA)
}
"""Every input by name, with those that only footprints take: no activity brings one."""
