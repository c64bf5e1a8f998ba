"""What the shelf, vouchers and codes look like from outside."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import marshmallow as ma
from marshmallow import fields

from kernel.http.fields import Gives, Instant, PageQuery, PublicId, Several, Takes, Text, Whole
from rewards.catalogue.offering import FUNDER, REWARD, Offer, Share
from rewards.vouchers import VOUCHER

MOST_FUNDERS = 20


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an operator does something, as the citizen will read it."""

    reason: str


class ShelfQuery(PageQuery):
    """Whose shelf, and which page of it."""

    region = Text(required=True, most=32, pattern=r"[A-Z0-9]+(-[A-Z0-9]+)*")


class TakesExchange(Takes):
    """An exchange."""

    examples = MappingProxyType({"A reward": {"reward_id": f"{REWARD}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z"}})
    reward_id = PublicId(REWARD, required=True)


class TakesReason(Takes):
    """A reason."""

    into = Reason
    examples = MappingProxyType({"A reason": {"reason": "the phone was lost"}})
    reason = Text(required=True, least=2, most=300)


class TakesShare(Takes):
    """A funder's share."""

    into = Share
    funder_id = PublicId(FUNDER, required=True)
    parts = Whole(required=True, least=1, most=1_000_000)


class TakesOffer(Takes):
    """A reward to put on the shelf."""

    into = Offer
    examples = MappingProxyType(
        {
            "A loaf": {
                "title_zh": "全麦面包一份",
                "title_en": "A wholemeal loaf",
                "price_coin_milli": 30_000,
                "cost_fen": 500,
                "funding": [{"funder_id": f"{FUNDER}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z", "parts": 1}],
                "valid_days": 30,
                "limit_per_person": 20,
                "stock": 1000,
                "sells_from": "2026-11-01T00:00:00+08:00",
                "sells_until": "2027-11-01T00:00:00+08:00",
            }
        }
    )
    title_zh = Text(required=True, most=60)
    title_en = Text(required=True, most=120)
    price_coin_milli = Whole(required=True, least=1, most=10**12)
    cost_fen = Whole(required=True, most=10**9)
    funding = Several(fields.Nested(TakesShare), most=MOST_FUNDERS, required=True)
    valid_days = Whole(required=True, least=1, most=3660)
    limit_per_person = Whole(required=True, least=1, most=1_000_000)
    stock = Whole(required=True, most=10**9)
    sells_from = Instant(required=True)
    sells_until = Instant(required=True)
    merchant_id = PublicId("mer", load_default=None)
    scope_no = Whole(least=1, most=2**32 - 1, load_default=None)

    @ma.validates_schema
    def _is_sold_for_a_while(self, data: dict[str, Any], **_: Any) -> None:
        if data["sells_until"] <= data["sells_from"]:
            raise ma.ValidationError("must lie after sells_from", "sells_until")


class TakesFunder(Takes):
    """A funder to enter."""

    examples = MappingProxyType({"A fund": {"name_zh": "公共资金", "name_en": "Public fund"}})
    name_zh = Text(required=True, most=60)
    name_en = Text(required=True, most=120)


class GivesFunder(Gives):
    """A funder's id."""

    id = PublicId(FUNDER)


class GivesRewardId(Gives):
    """A reward's id."""

    id = PublicId(REWARD)


class GivesReward(Gives):
    """A reward on the shelf."""

    id = PublicId(REWARD)
    title_zh = Text()
    title_en = Text()
    price_coin_milli = Whole()
    merchant_id = PublicId("mer", allow_none=True)
    valid_days = Whole()
    limit_per_person = Whole()
    remaining = Whole()
    sells_until = Instant()


class GivesShelf(Gives):
    """A page of the shelf."""

    items = fields.List(fields.Nested(GivesReward))
    next = Text(allow_none=True)


class GivesVoucher(Gives):
    """A voucher as its owner sees it."""

    id = PublicId(VOUCHER)
    reward_id = PublicId(REWARD)
    title_zh = Text()
    title_en = Text()
    state = Text()
    cycle = Whole()
    price_coin_milli = Whole()
    issued_at = Instant()
    ends_at = Instant()
    closes_at = Instant(allow_none=True)


class GivesVouchers(Gives):
    """A page of vouchers."""

    items = fields.List(fields.Nested(GivesVoucher))
    next = Text(allow_none=True)


class GivesCode(Gives):
    """One code and when the phone shows it."""

    text = Text()
    shown_from = Instant()
    not_after = Instant()


class GivesCodes(Gives):
    """The next codes."""

    items = fields.List(fields.Nested(GivesCode))


class GivesAlias(Gives):
    """A number to type."""

    digits = Text()
    ends_at = Instant()


class GivesReleased(Gives):
    """What came back: milli-coins in all, of them ended at once, of them given grace.

    Nothing yet where `closes_at` says when: a terminal may have honoured the voucher without asking.
    """

    coin_milli = Whole(attribute="amount")
    ended_coin_milli = Whole(attribute="ended")
    graced_coin_milli = Whole(attribute="graced")
    closes_at = Instant(allow_none=True)
