"""Why a period brought nothing, in a sentence of each language."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, NamedTuple


class Said(NamedTuple):
    """One thing in two languages."""

    zh: str
    en: str


KIND_WORDS: Mapping[str, Said] = MappingProxyType(
    {
        "electricity": Said("电表", "electricity meter"),
        "water": Said("水表", "water meter"),
        "gas": Said("气表", "gas meter"),
        "heat": Said("热量表", "heat meter"),
    }
)
REASONS: Mapping[str, Said] = MappingProxyType(
    {
        "price_tier_excluded": Said(
            "本户处于不参与的电价档位", "The home is in a tier of the price that takes no part"
        ),
        "solar_excluded": Said(
            "本户装有光伏,另按发电量核算", "The home has solar panels, which are counted by themselves"
        ),
        "nobody_lived_there": Said(
            "这段时间没有登记的居住者", "Nobody who is known lived there in these days"
        ),
        "home_not_lived_in": Said("用量过低,视为无人居住", "So little was used that nobody lived there"),
        "standing_unknown": Said(
            "期初的价格档位未报送", "The tier of the price on the first day is not known"
        ),
        "no_meter": Said("没有登记的表计", "There is no meter"),
        "no_baseline": Said("没有可用的基准", "There is no baseline to compare with"),
        "not_below_baseline": Said("用量未低于基准", "Not less than the baseline was used"),
        "meter_interval_taken": Said(
            "这些日期的用量已由另一条记录登记", "These days of a meter were credited before"
        ),
        "meter_missing": Said("一个计量点没有表计", "has no meter"),
        "reading_missing": Said("缺少读数", "has no reading"),
        "reading_only_estimated": Said("只有估计读数", "has estimated readings only"),
        "readings_too_far_apart": Said("两次读数间隔过长", "has readings too far apart"),
        "register_backwards": Said("读数倒退", "ran backwards"),
        "use_implausible": Said("读数显示的用量不合理", "shows more than can be"),
        "use_ambiguous": Said("读数间隔过长,无法判断表计是否翻转", "may have gone round more than once"),
    }
)
"""By code. The last seven are of one meter, and are told with how many there are."""
_OF_A_METER = frozenset(tuple(REASONS)[-7:])
_COUNTS = ("", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def why(kind: str, figures: Mapping[str, Any]) -> Said | None:
    """The first reason of a period, as a sentence; None where it brought something."""
    if not figures["reasons"]:
        return None
    code = figures["reasons"][0]
    said = REASONS.get(code, Said(code, code))
    if code not in _OF_A_METER:
        return Said(f"{said.zh}。", f"{said.en}.")
    missing = [each for each in figures["shortfalls"] if each["reason"] == code]
    points, lacking = len(figures["points"]), len({each["point"] for each in missing})
    first = min(date.fromisoformat(each["first_day"]) for each in missing)
    meter = KIND_WORDS[kind]
    plural = "s" if points > 1 else ""
    return Said(
        f"{points} 块{meter.zh}中有 {lacking} 块自 {first.year} 年 {first.month} 月 {first.day} 日起"
        f"{said.zh},不能算作节约。",
        f"{_number(lacking)} of {_number(points).lower()} {meter.en}{plural} {said.en} from {first} on:"
        " that is not a saving.",
    )


def _number(count: int) -> str:
    return _COUNTS[count] if count < len(_COUNTS) else str(count)
