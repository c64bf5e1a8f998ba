"""What the pages of the catalogue show: the shelf of a region, and one reward with all that belongs to it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from app.public.rule_words import coins_in_words
from app.public.scenario_words import Words
from kernel.call import Call
from kernel.clock import business_day
from kernel.identifiers import public_id
from kernel.paging import PageRequest
from kernel.tenancy import known_region
from rewards.catalogue.offering import REWARD
from rewards.catalogue.prices import price_history
from rewards.catalogue.reward_states import RewardKind
from rewards.catalogue.shelf import Asked, OnShelf, one_reward, shelf, units_of
from rewards.catalogue.tables import RewardPrice

REWARDS_A_PAGE = 24
_LAST_INSTANT = timedelta(microseconds=1)
"""Before an end that no longer counts."""
KINDS = {
    RewardKind.GOODS: Words("实物", "goods"),
    RewardKind.DISCOUNT: Words("优惠", "discount"),
    RewardKind.TRANSIT_TICKET: Words("乘车票", "transit ticket"),
    RewardKind.PARKING_TICKET: Words("停车券", "parking ticket"),
    RewardKind.SERVICE: Words("服务", "service"),
    RewardKind.CHARITY: Words("公益", "charity"),
    RewardKind.UNIQUE_ITEM: Words("限定席位", "unique items"),
}
_LIMITS = {"day": Words("每天", "day"), "week": Words("每周", "week"), "month": Words("每月", "month")}
_WEEKDAYS = (
    *(Words("周一", "Mon"), Words("周二", "Tue"), Words("周三", "Wed"), Words("周四", "Thu")),
    *(Words("周五", "Fri"), Words("周六", "Sat"), Words("周日", "Sun")),
)


class PriceStanding(StrEnum):
    """What a version of a price is now."""

    COMING = "coming"
    PAID = "paid"
    OVER = "over"
    TAKEN_BACK = "taken_back"


def shelf_shown(call: Call, asked: Asked, *, after: str | None) -> dict[str, Any]:
    """A page of a region's shelf; refuses NotFound (region), WrongCursor."""
    region = known_region(call.db, asked.region_id)
    found = shelf(call, asked, PageRequest(REWARDS_A_PAGE, after))
    return {
        "region": Words(region.name_zh, region.name_en),
        "region_id": asked.region_id,
        "kinds": [{"id": kind.value, "words": words} for kind, words in KINDS.items()],
        "kind": asked.kind,
        "rewards": [_shown(item) for item in found.items],
        "next": found.next,
        "first": after is None,
    }


def reward_shown(call: Call, reward_id: UUID) -> dict[str, Any]:
    """One reward; refuses NotFound."""
    item = one_reward(call, reward_id)
    region = known_region(call.db, item.region_id)
    prices = price_history(call, reward_id)
    standing = standing_of_prices(prices, call.now)
    return {
        "region": Words(region.name_zh, region.name_en),
        "region_id": item.region_id,
        "reward": _shown(item),
        "prices": [
            {
                "no": each.no,
                "price": coins_in_words(each.price_coin_milli),
                "day": business_day(each.applies_from),
                "standing": stands.value,
            }
            for each, stands in zip(prices, standing, strict=True)
        ],
        "units": units_of(call, reward_id),
    }


def standing_of_prices(prices: Sequence[RewardPrice], now: datetime) -> list[PriceStanding]:
    """What each version is now, newest first as they come: of those that have begun the last one is paid.

    One that was written later and begins no later takes a version back before it is ever paid.
    """
    found = []
    later_ones_begin: datetime | None = None
    for each in prices:
        begins = each.applies_from
        if later_ones_begin is not None and later_ones_begin <= begins:
            found.append(PriceStanding.TAKEN_BACK)
        elif begins > now:
            found.append(PriceStanding.COMING)
        else:
            found.append(PriceStanding.OVER if PriceStanding.PAID in found else PriceStanding.PAID)
        later_ones_begin = begins if later_ones_begin is None else min(begins, later_ones_begin)
    return found


def _shown(item: OnShelf) -> dict[str, Any]:
    left = item.remaining if item.remaining_today is None else min(item.remaining, item.remaining_today)
    return {
        "id": public_id(REWARD, item.id),
        "kind": KINDS[RewardKind(item.kind)],
        "title": Words(item.title_zh, item.title_en),
        "description": Words(item.description_zh, item.description_en or item.description_zh),
        "terms": Words(item.terms_zh, item.terms_en or item.terms_zh),
        "price": None if item.price_coin_milli is None else coins_in_words(item.price_coin_milli),
        "left": left,
        "stock": item.stock,
        "few": 0 < left <= max(3, (item.stock_per_day or item.stock) // 20),
        "today": item.remaining_today is not None,
        "waits": item.waits,
        "withdrawn": item.state == "withdrawn",
        "group": None if item.group_zh is None else Words(item.group_zh, item.group_en or item.group_zh),
        "limits": limits_in_words(item),
        "valid_days": item.valid_days,
        "exchange_hours": hours_in_words(item.exchange_hours),
        "redeem_hours": hours_in_words(item.redeem_hours),
        "label": item.label,
        "label_host": None if item.label is None else urlsplit(item.label.verify_url).hostname,
        "picture": item.picture,
        "stores": [
            {"name": Words(store["name_zh"], store["name_en"]), "left": store["remaining"]}
            for store in item.stores
        ],
        "last_day": business_day(item.sells_until - _LAST_INSTANT),
    }


def limits_in_words(item: OnShelf) -> Words:
    """How many one person may have."""
    zh, en = f"每人最多 {item.limit_per_person} 份", f"at most {item.limit_per_person} a person"
    if item.limit_period is None:
        return Words(zh, en)
    period = _LIMITS[item.limit_period]
    return Words(
        f"{zh}，{period.zh}最多 {item.limit_in_period} 份", f"{en}, {item.limit_in_period} a {period.en}"
    )


def hours_in_words(hours: Sequence[dict[str, Any]]) -> Words | None:
    """Weekly hours, days with the same hours together; None where it is always open."""
    if not hours:
        return None
    by_day: dict[int, list[str]] = {}
    for each in hours:
        span = f"{_clock(each['from_minute'])}–{_clock(each['until_minute'])}"
        by_day.setdefault(each["weekday"], []).append(span)
    runs: list[tuple[int, int, str]] = []
    for weekday, spans in sorted(by_day.items()):
        said = ", ".join(spans)
        if runs and runs[-1][1] == weekday - 1 and runs[-1][2] == said:
            runs[-1] = (runs[-1][0], weekday, said)
        else:
            runs.append((weekday, weekday, said))
    return Words(
        "；".join(f"{_days(first, last).zh} {said.replace(', ', '、')}" for first, last, said in runs),
        "; ".join(f"{_days(first, last).en} {said}" for first, last, said in runs),
    )


def _days(first: int, last: int) -> Words:
    begins, ends = _WEEKDAYS[first - 1], _WEEKDAYS[last - 1]
    if first == last:
        return begins
    return Words(f"{begins.zh}至{ends.zh}", f"{begins.en}–{ends.en}")


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
