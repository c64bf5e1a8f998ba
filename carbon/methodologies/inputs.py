"""The inputs that methods take: one name, one unit, one meaning in the whole product."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Input:
    """A whole number with its unit in its name."""

    name: str
    unit: str
    title_en: str
    title_zh: str


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
        VERIFIED_REDUCTION,
    )
}
"""Every input by name; a frame of activities has one nullable Int64 column for each."""
