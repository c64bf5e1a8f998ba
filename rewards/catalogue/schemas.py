"""What rewards, prices, groups and queues look like from outside."""

import re
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import marshmallow as ma
from marshmallow import fields
from marshmallow.validate import OneOf

from kernel.http.fields import Gives, Instant, PageQuery, PublicId, Several, Takes, Text, Whole, YesOrNo
from rewards.catalogue.groups import GROUP, MEMBERS_AT_ONCE, GroupTerms
from rewards.catalogue.hours import MINUTES_A_DAY, Opening
from rewards.catalogue.offering import FUNDER, REWARD, Label, Offer, Share, StoreShare, UnitName
from rewards.catalogue.reward_states import LimitPeriod, PlaceState, RewardKind, RewardState
from rewards.catalogue.waiting import PLACE

MOST_FUNDERS, MOST_STORES, MOST_UNITS, MOST_HOURS, MOST_REGIONS = 20, 100, 500, 50, 50
REGION_CODE = r"[A-Z0-9]+(-[A-Z0-9]+)*"
_VERIFIED_AT = re.compile(
    r"https://[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+(?:/[!-~]*)?"
)
"""A name of some domain, no user, no port: what a citizen is sent to says itself where it leads."""
_SOLD = {"sells_from": "2026-11-01T00:00:00+08:00", "sells_until": "2027-11-01T00:00:00+08:00"}
_PAID = {"cost_fen": 500, "funding": [{"funder_id": f"{FUNDER}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z", "parts": 1}]}


@dataclass(frozen=True, kw_only=True)
class NewPrice:
    """A price from an instant on, and why."""

    price_coin_milli: int
    reason: str
    applies_from: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Why a draft is published, and the digest of the picture that was looked at, None where it has none."""

    reason: str
    picture_sha256: str | None


class ShelfQuery(PageQuery):
    """Whose shelf, which of it, and which page."""

    region = Text(required=True, most=32, pattern=REGION_CODE)
    kind = fields.String(load_default=None, validate=OneOf([kind.value for kind in RewardKind]))
    show = fields.String(load_default=None, validate=OneOf(["in_stock", "obtainable"]))


class RewardsQuery(PageQuery):
    """Which of the operators' rewards."""

    state = fields.String(load_default=None, validate=OneOf([state.value for state in RewardState]))


class TakesShare(Takes):
    """A funder's share."""

    into = Share
    funder_id = PublicId(FUNDER, required=True)
    parts = Whole(required=True, least=1, most=1_000_000)


class TakesStoreShare(Takes):
    """What one store has of it."""

    into = StoreShare
    scope_no = Whole(required=True, least=1, most=2**32 - 1)
    stock = Whole(required=True, most=10**9)


class TakesHours(Takes):
    """Hours of one weekday, in minutes since midnight in Shanghai."""

    into = Opening
    weekday = Whole(required=True, least=1, most=7)
    from_minute = Whole(required=True, most=MINUTES_A_DAY - 1)
    until_minute = Whole(required=True, least=1, most=MINUTES_A_DAY)

    @ma.validates_schema
    def _lasts(self, data: dict[str, Any], **_: Any) -> None:
        if data["until_minute"] <= data["from_minute"]:
            raise ma.ValidationError("must lie after from_minute", "until_minute")


class TakesLabel(Takes):
    """A low-carbon label."""

    into = Label
    scheme = Text(required=True, most=80)
    certificate = Text(required=True, most=80)
    verify_url = Text(required=True, most=300)

    @ma.validates_schema
    def _can_be_opened(self, data: dict[str, Any], **_: Any) -> None:
        if not _VERIFIED_AT.fullmatch(data["verify_url"]):
            raise ma.ValidationError("must be https:// and a domain's name", "verify_url")


class TakesUnit(Takes):
    """A seat, a plot."""

    into = UnitName
    name_zh = Text(required=True, most=60)
    name_en = Text(required=True, most=120)


class TakesOffer(Takes):
    """A reward to draft."""

    into = Offer
    examples = MappingProxyType(
        {
            "A loaf": {
                "title_zh": "全麦面包一份",
                "title_en": "A wholemeal loaf",
                "price_coin_milli": 30_000,
                "valid_days": 30,
                "limit_per_person": 20,
                "stock": 1000,
                **_PAID,
                **_SOLD,
            },
            "A lunch on workdays": {
                "kind": "service",
                "title_zh": "社区低碳午餐",
                "title_en": "A low-carbon lunch",
                "description_zh": "当季素菜一份",
                "description_en": "Greens of the season",
                "terms_zh": "每人每周一次",
                "terms_en": "Once a week",
                "price_coin_milli": 20_000,
                "valid_days": 7,
                "limit_per_person": 50,
                "stock": 5000,
                "limit_period": "week",
                "limit_in_period": 1,
                "stock_per_day": 60,
                "exchange_hours": [{"weekday": 1, "from_minute": 480, "until_minute": 1200}],
                "label": {
                    "scheme": "绿色产品标识",
                    "certificate": "DEMO-2026-0017",
                    "verify_url": "https://label.example.org/DEMO-2026-0017",
                },
                **_PAID,
                **_SOLD,
            },
            "Two seats, with a queue": {
                "kind": "unique_item",
                "title_zh": "音乐会座位",
                "title_en": "A concert seat",
                "price_coin_milli": 90_000,
                "valid_days": 30,
                "limit_per_person": 1,
                "stock": 2,
                "units": [
                    {"name_zh": "3排7座", "name_en": "Row 3, seat 7"},
                    {"name_zh": "3排8座", "name_en": "Row 3, seat 8"},
                ],
                "waits": True,
                **_PAID,
                **_SOLD,
            },
        }
    )
    kind = fields.String(
        load_default=RewardKind.GOODS.value, validate=OneOf([kind.value for kind in RewardKind])
    )
    title_zh = Text(required=True, most=60)
    title_en = Text(required=True, most=120)
    description_zh = Text(load_default="", least=0, most=1000)
    description_en = Text(load_default="", least=0, most=2000)
    terms_zh = Text(load_default="", least=0, most=1000)
    terms_en = Text(load_default="", least=0, most=2000)
    price_coin_milli = Whole(required=True, least=1, most=10**12)
    cost_fen = Whole(required=True, most=10**9)
    funding = Several(fields.Nested(TakesShare), most=MOST_FUNDERS, required=True)
    valid_days = Whole(required=True, least=1, most=3660)
    limit_per_person = Whole(required=True, least=1, most=1_000_000)
    limit_period = fields.String(load_default=None, validate=OneOf([period.value for period in LimitPeriod]))
    limit_in_period = Whole(least=1, most=1_000_000, load_default=None)
    stock = Whole(required=True, most=10**9)
    stock_per_day = Whole(least=1, most=10**9, load_default=None)
    stores = Several(fields.Nested(TakesStoreShare), most=MOST_STORES, load_default=[])
    sells_from = Instant(required=True)
    sells_until = Instant(required=True)
    merchant_id = PublicId("mer", load_default=None)
    scope_no = Whole(least=1, most=2**32 - 1, load_default=None)
    regions = Several(Text(most=32, pattern=REGION_CODE), most=MOST_REGIONS, load_default=[])
    group_id = PublicId(GROUP, load_default=None)
    exchange_hours = Several(fields.Nested(TakesHours), most=MOST_HOURS, load_default=[])
    redeem_hours = Several(fields.Nested(TakesHours), most=MOST_HOURS, load_default=[])
    label = fields.Nested(TakesLabel, load_default=None, allow_none=False)
    units = Several(fields.Nested(TakesUnit), most=MOST_UNITS, load_default=[])
    waits = YesOrNo(load_default=False)

    @ma.validates_schema
    def _is_sold_for_a_while(self, data: dict[str, Any], **_: Any) -> None:
        if data["sells_until"] <= data["sells_from"]:
            raise ma.ValidationError("must lie after sells_from", "sells_until")

    @ma.validates_schema
    def _limits_say_their_period(self, data: dict[str, Any], **_: Any) -> None:
        if (data["limit_period"] is None) != (data["limit_in_period"] is None):
            raise ma.ValidationError("limit_period and limit_in_period come together", "limit_in_period")

    @ma.validates_schema
    def _units_are_the_stock(self, data: dict[str, Any], **_: Any) -> None:
        if (data["kind"] == RewardKind.UNIQUE_ITEM) != bool(data["units"]):
            raise ma.ValidationError("a unique_item names its units, and nothing else has any", "units")
        if data["units"] and data["stock"] != len(data["units"]):
            raise ma.ValidationError("must be the number of units", "stock")

    @ma.validates_schema
    def _stores_share_a_merchant(self, data: dict[str, Any], **_: Any) -> None:
        scopes = [share.scope_no for share in data["stores"]]
        if len(set(scopes)) != len(scopes):
            raise ma.ValidationError("name each store once", "stores")
        if scopes and (data["merchant_id"] is None or data["scope_no"] is not None):
            raise ma.ValidationError("shares of stores need merchant_id and no scope_no", "stores")

    @ma.validates_schema
    def _who_waits_waits_for_one_stock(self, data: dict[str, Any], **_: Any) -> None:
        if data["waits"] and (data["stores"] or data["stock_per_day"] is not None):
            raise ma.ValidationError("nobody queues for what is counted by day or store", "waits")


class TakesPublication(Takes):
    """Why a draft is published, and which picture was looked at: null where it has none."""

    into = Publication
    examples = MappingProxyType(
        {"Without a picture": {"reason": "内容已核对 / contents were checked", "picture_sha256": None}}
    )
    reason = Text(required=True, least=2, most=300)
    picture_sha256 = Text(required=True, allow_none=True, least=64, most=64, pattern=r"[0-9a-f]{64}")


class TakesPrice(Takes):
    """A new price."""

    into = NewPrice
    examples = MappingProxyType(
        {"From now on": {"price_coin_milli": 25_000, "reason": "春季促销 / spring sale"}}
    )
    price_coin_milli = Whole(required=True, least=1, most=10**12)
    reason = Text(required=True, least=2, most=300)
    applies_from = Instant(load_default=None, allow_none=True)


class TakesFunder(Takes):
    """A funder to enter."""

    examples = MappingProxyType({"A fund": {"name_zh": "公共资金", "name_en": "Public fund"}})
    name_zh = Text(required=True, most=60)
    name_en = Text(required=True, most=120)


class TakesGroup(Takes):
    """A group to enter."""

    into = GroupTerms
    examples = MappingProxyType(
        {
            "Students": {
                "name_zh": "在校学生",
                "name_en": "Students",
                "terms_zh": "凭本市学校出具的在读证明",
                "terms_en": "Whoever a school of the city confirms",
            }
        }
    )
    name_zh = Text(required=True, most=60)
    name_en = Text(required=True, most=120)
    terms_zh = Text(required=True, most=500)
    terms_en = Text(required=True, most=1000)


class TakesMembers(Takes):
    """Citizens to take in, or to let go."""

    examples = MappingProxyType({"One": {"citizen_ids": ["ctz_01KA8Y2V7E8Q9N3M5R6T7W8X9Z"]}})
    citizen_ids = Several(PublicId("ctz"), least=1, most=MEMBERS_AT_ONCE, required=True)


class GivesFunder(Gives):
    """A funder's id."""

    id = PublicId(FUNDER)


class GivesRewardId(Gives):
    """A reward's id."""

    id = PublicId(REWARD)


class GivesOpening(Gives):
    """Hours of one weekday."""

    weekday = Whole()
    from_minute = Whole()
    until_minute = Whole()


class GivesLabel(Gives):
    """A low-carbon label."""

    scheme = Text()
    certificate = Text()
    verify_url = Text()


class GivesStoreShare(Gives):
    """What a store has left."""

    scope_no = Whole()
    name_zh = Text()
    name_en = Text()
    remaining = Whole()


class GivesReward(Gives):
    """A reward on the shelf; `cannot` is a refusal's code, for a citizen who is signed in."""

    id = PublicId(REWARD)
    region_id = Text()
    kind = Text()
    state = Text()
    title_zh = Text()
    title_en = Text()
    description_zh = Text(least=0)
    description_en = Text(least=0)
    terms_zh = Text(least=0)
    terms_en = Text(least=0)
    price_coin_milli = Whole(allow_none=True)
    merchant_id = PublicId("mer", allow_none=True)
    scope_no = Whole(allow_none=True)
    valid_days = Whole()
    limit_per_person = Whole()
    limit_period = Text(allow_none=True)
    limit_in_period = Whole(allow_none=True)
    stock = Whole()
    stock_per_day = Whole(allow_none=True)
    remaining = Whole()
    remaining_today = Whole(allow_none=True)
    waits = YesOrNo()
    regions = fields.List(Text())
    group_id = PublicId(GROUP, allow_none=True)
    group_zh = Text(allow_none=True)
    group_en = Text(allow_none=True)
    exchange_hours = fields.List(fields.Nested(GivesOpening))
    redeem_hours = fields.List(fields.Nested(GivesOpening))
    label = fields.Nested(GivesLabel, allow_none=True)
    picture = Text(allow_none=True)
    sells_from = Instant()
    sells_until = Instant()
    stores = fields.List(fields.Nested(GivesStoreShare))
    cannot = Text(allow_none=True)


class GivesShelf(Gives):
    """A page of the shelf."""

    items = fields.List(fields.Nested(GivesReward))
    next = Text(allow_none=True)


class GivesPrice(Gives):
    """One version of a price."""

    no = Whole()
    price_coin_milli = Whole()
    applies_from = Instant()
    reason = Text()
    recorded_at = Instant()


class GivesUnit(Gives):
    """A seat or plot, and whether it is free."""

    no = Whole()
    name_zh = Text()
    name_en = Text()
    free = YesOrNo()


class GivesOneReward(GivesReward):
    """A reward with the history of its prices, newest first, and its units."""

    prices = fields.List(fields.Nested(GivesPrice))
    units = fields.List(fields.Nested(GivesUnit))


class GivesRewardStep(Gives):
    """A step of a reward's life."""

    state = Text()
    reason = Text()
    recorded_at = Instant()
    by = Text()


class GivesOperatorsReward(GivesOneReward):
    """The same with its life, and the digest of its picture, which a publication names."""

    picture_sha256 = Text(allow_none=True)
    steps = fields.List(fields.Nested(GivesRewardStep))


class GivesPicture(Gives):
    """Where a picture is served, and the digest of its bytes."""

    picture = Text()
    sha256 = Text()


class GivesGroup(Gives):
    """A group and how many belong to it."""

    id = PublicId(GROUP)
    name_zh = Text()
    name_en = Text()
    terms_zh = Text()
    terms_en = Text()
    members = Whole()


class GivesGroups(Gives):
    """A page of groups."""

    items = fields.List(fields.Nested(GivesGroup))
    next = Text(allow_none=True)


class GivesGroupId(Gives):
    """A group's id."""

    id = PublicId(GROUP)


class GivesCount(Gives):
    """How many it changed something for."""

    changed = Whole()


class GivesPlace(Gives):
    """A place in a queue as its owner sees it; `ahead` counts who waits before them."""

    id = PublicId(PLACE)
    reward_id = PublicId(REWARD)
    title_zh = Text()
    title_en = Text()
    state = fields.String(validate=OneOf([state.value for state in PlaceState]))
    ahead = Whole()
    joined_at = Instant()
    held_until = Instant(allow_none=True)


class GivesPlaces(Gives):
    """A page of places."""

    items = fields.List(fields.Nested(GivesPlace))
    next = Text(allow_none=True)
