"""What scenarios, measures and standings are called on pages; a code without words stands for itself."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from app.public.emission_words import EMISSION_NAMES
from carbon.methodologies.unit_algebra import Measure


class Words(NamedTuple):
    """One thing in two languages."""

    zh: str
    en: str


SCENARIOS: Mapping[str, Words] = MappingProxyType(
    {
        "metro_ride": Words("地铁出行", "metro ride"),
        "bus_ride": Words("公交出行", "bus ride"),
        "bus_ride_measured": Words("公交出行(按里程)", "bus ride, by distance"),
        "shared_bike_ride": Words("共享单车", "shared bicycle"),
        "shared_ebike_ride": Words("共享电单车", "shared e-bike"),
        "bike_ride": Words("骑行", "bicycle ride"),
        "nev_ride": Words("新能源汽车", "electric car"),
        "walk": Words("步行", "walk"),
        "household_electricity_saving": Words("家庭节电", "household electricity saving"),
        "household_water_saving": Words("家庭节水", "household water saving"),
        "household_gas_saving": Words("家庭节气", "household gas saving"),
        "household_heat_saving": Words("家庭节热", "household heat saving"),
        "car_free_day": Words("少开一天车", "car-free day"),
        "solar_generation": Words("光伏发电", "solar generation"),
        "forest_growth": Words("林木生长", "forest growth"),
        "steps_walked": Words("步行(按步)", "steps walked"),
        "own_shopping_bag": Words("自带购物袋", "own shopping bag"),
        "garment_not_bought": Words("少买一件衣服", "garment not bought"),
        "grain_not_wasted": Words("节约粮食", "grain not wasted"),
        "parcel_box_returned": Words("快递箱回收", "parcel box returned"),
    }
    | {scenario: Words(*both) for scenario, both in EMISSION_NAMES.items()}
)
TIERS: Mapping[str, Words] = MappingProxyType(
    {
        "device_verified": Words("设备核验", "device-verified"),
        "self_check_in": Words("自主打卡", "self check-in"),
        "photo_reviewed": Words("照片审核", "photo reviewed"),
    }
)
MEASURES: Mapping[Measure, Words] = MappingProxyType(
    {
        Measure.PERSON_METRE: Words("人·米", "person-metre"),
        Measure.VEHICLE_METRE: Words("车·米", "vehicle-metre"),
        Measure.TRIP: Words("次", "trip"),
        Measure.PIECE: Words("件", "piece"),
        Measure.GRAM: Words("克", "gram"),
        Measure.WATT_HOUR: Words("瓦时", "watt-hour"),
        Measure.MILLILITRE: Words("毫升", "millilitre"),
        Measure.KILOJOULE: Words("千焦", "kilojoule"),
        Measure.VERIFIED_MILLIGRAM: Words("核证毫克", "verified milligram"),
        Measure.TWELVE_DAYS: Words("12 天", "12 days"),
        Measure.HOUR: Words("小时", "hour"),
        Measure.MONTH: Words("月", "month"),
        Measure.STEP: Words("步", "step"),
        Measure.SQUARE_METRE: Words("平方米", "square metre"),
        Measure.TREE_YEAR: Words("株·年", "tree-year"),
    }
)
STANDINGS: Mapping[str, Words] = MappingProxyType(
    {
        "in_force": Words("生效中", "in force"),
        "coming": Words("待生效", "coming"),
        "superseded": Words("已结束", "ended"),
        "withdrawn": Words("已撤回", "withdrawn"),
        "corrected": Words("已被更正", "corrected"),
    }
)


def scenario_words(scenario: str) -> Words:
    """A scenario's name, or its code."""
    return SCENARIOS.get(scenario, Words(scenario, scenario))


def tier_words(tier: str) -> Words:
    """An evidence tier's name, or its code."""
    return TIERS.get(tier, Words(tier, tier))


def listed(several: list[Words]) -> Words:
    """Several things in one breath."""
    return Words("、".join(each.zh for each in several), ", ".join(each.en for each in several))
