"""How an explained activity is shown: figures short enough to look at, arithmetic exact and grouped.

Plain values for the page `/why/…`, in one language; nothing here knows HTML.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from app.public.rule_words import coins_in_words, grams_in_words
from app.public.scenario_words import Words, scenario_words
from kernel.clock import SHANGHAI

LANGUAGES = ("zh", "en")
_ICONS: Mapping[str, str] = MappingProxyType(
    {
        "metro_ride": "metro",
        "bus_ride": "bus",
        "bus_ride_measured": "bus",
        "shared_bike_ride": "bike",
        "shared_ebike_ride": "bike",
        "bike_ride": "bike",
        "walk": "walk",
        "steps_walked": "walk",
        "household_electricity_saving": "bolt",
        "solar_generation": "bolt",
        "nev_ride": "bolt",
        "household_water_saving": "drop",
        "household_gas_saving": "flame",
        "household_heat_saving": "flame",
    }
)
"""Pictures of the page by scenario; a leaf for every other."""
_SHOWN_IN: Mapping[str, tuple[int, Words]] = MappingProxyType(
    {
        "person-m": (1_000, Words("公里", "km")),
        "Wh": (1_000, Words("度电", "kWh")),
        "ml": (1_000, Words("升", "litres")),
        "kJ": (1_000, Words("兆焦", "MJ")),
        "g": (1_000, Words("千克", "kg")),
        "trip": (1, Words("次", "trips")),
        "piece": (1, Words("件（次）", "pieces")),
        "step": (1, Words("步", "steps")),
        "day": (1, Words("天", "days")),
        "month": (1, Words("个月", "months")),
    }
)
"""What people say instead of a quantity's base unit, and how many of it make one."""
_UNITS_ZH: Mapping[str, str] = MappingProxyType(
    {"milli-coin": "毫碳币", "person-m": "人米", "trip": "次", "piece": "件", "step": "步", "month": "月"}
)
_DIFFERS: Mapping[str, Words] = MappingProxyType(
    {
        "reference": Words("记录的归属", "whose record it is"),
        "day": Words("业务日", "the business day"),
        "reason": Words("未入账的原因", "why nothing came"),
        "factor": Words("因子", "the factor"),
        "coin_rate": Words("兑换率", "the coin rate"),
        "cap": Words("上限", "the cap"),
        "evidence": Words("证据等级", "the evidence tier"),
        "hold": Words("核查", "the hold"),
        "entry": Words("账上的入账", "the entry in the ledger"),
        "kilograms": Words("减排量", "the kilograms"),
        "digest": Words("摘要", "the digest"),
        "coins": Words("碳币", "the coins"),
    }
)
_GASES: Mapping[str, Words] = MappingProxyType(
    {"CO2": Words("二氧化碳", "CO₂ not emitted"), "CO2e": Words("二氧化碳当量", "CO₂e not emitted")}
)
_AFTER_CHINESE = re.compile(r"(?<=[\u4e00-\u9fff])[,;:]")
_WIDE = MappingProxyType({",": "，", ";": "；", ":": "："})
_LONG = re.compile(r"(?<![\d.\w])\d{5,}")


def why_shown(explained: Mapping[str, Any], *, lang: str, now: datetime) -> dict[str, Any]:
    """What the page says of an explained activity; `now` is when it was gone through again."""
    coins, replay = explained["coins"], explained["replay"]
    before = coins["before_cap_milli"] or 0
    return {
        "lang": lang,
        "explained": explained,
        "tree": explained["tree"],
        "factor": explained["factor"],
        "action": scenario_words(explained["scenario"]),
        "icon_name": _ICONS.get(explained["scenario"], "leaf"),
        "quantity": _quantity(explained["steps"]),
        "mass": grams_in_words(explained["carbon_mg"]),
        "gases": _GASES[explained["factor"]["gas_set"]],
        "coins": coins_in_words(coins["credited_milli"]),
        "before": coins_in_words(before),
        "cut": coins_in_words(coins["cut_milli"]) if coins["cut_milli"] else None,
        "kept_permille": 1000 if not before else coins["credited_milli"] * 1000 // before,
        "rate": _rate(coins["rate"]),
        "equal": replay["equal"],
        "digest": replay["digest"] or explained["digest"],
        "differs": [_DIFFERS[name] for name in replay["differs"]],
        "replayed_at": now.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M"),
        "ends_on": datetime.fromisoformat(explained["link_ends_at"])
        .astimezone(SHANGHAI)
        .strftime("%Y-%m-%d %H:%M"),
    }


def arithmetic_in(lang: str, text: str) -> str:
    """A line of arithmetic with its long figures grouped, and its units in the language."""
    text = _LONG.sub(lambda found: f"{int(found[0]):,}", text)
    if lang == "zh":
        for unit, zh in _UNITS_ZH.items():
            text = re.sub(rf"(?<![\w-]){unit}(?![\w-])", zh, text)
    return text


def punctuated(text: str, lang: str) -> str:
    """A sentence with the marks of its language; the JSON keeps the narrow ones."""
    return text if lang != "zh" else _AFTER_CHINESE.sub(lambda found: _WIDE[found[0]], text)


def link_of(url: str | None) -> str | None:
    """Only what a browser opens as a page is made a link."""
    return url if url is not None and url.startswith(("https://", "http://")) else None


def _rate(rate: Mapping[str, Any]) -> Words:
    if rate["per_mg"] is None:
        return Words("兑换率无法复核", "the coin rate does not hold")
    mass, coins = grams_in_words(rate["per_mg"]), coins_in_words(rate["coins_milli"])
    return Words(f"{mass.zh} = {coins.zh}", f"{mass.en} = {coins.en}")


def _quantity(steps: list[Mapping[str, Any]]) -> Words | None:
    """The quantity in the unit that people use, exact; None where it could not be computed."""
    if not steps:
        return None
    value, unit = int(steps[0]["value_after"]), steps[0]["unit"]
    size, words = _SHOWN_IN.get(unit, (1, Words(unit, unit)))
    figure = _decimal(Fraction(value, size))
    return Words(f"{figure} {words.zh}", f"{figure} {words.en}")


def _decimal(value: Fraction) -> str:
    """A fraction of a thousand as people write it (`10`, `0.5`)."""
    whole, rest = divmod(int(value * 1000), 1000)
    return f"{whole:,}" + (f".{rest:03d}".rstrip("0") if rest else "")
