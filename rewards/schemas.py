"""What vouchers and codes look like from outside."""

from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from marshmallow import fields

from kernel.http.fields import Gives, Instant, PublicId, Takes, Text, Whole
from rewards.catalogue.offering import REWARD
from rewards.vouchers import VOUCHER


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an operator does something, as the citizen will read it."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Order:
    """An exchange: the reward, and what its buyer says beside it."""

    reward_id: UUID
    price_coin_milli: int | None = None
    scope_no: int | None = None
    unit_no: int | None = None


class TakesExchange(Takes):
    """An exchange; with the price that was shown, another one is refused."""

    into = Order
    examples = MappingProxyType({"A reward": {"reward_id": f"{REWARD}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z"}})
    reward_id = PublicId(REWARD, required=True)
    price_coin_milli = Whole(least=1, most=10**12, load_default=None)
    scope_no = Whole(least=1, most=2**32 - 1, load_default=None)
    unit_no = Whole(least=1, most=1_000_000, load_default=None)


class TakesReason(Takes):
    """A reason."""

    into = Reason
    examples = MappingProxyType({"A reason": {"reason": "the phone was lost"}})
    reason = Text(required=True, least=2, most=300)


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
    unit_no = Whole(allow_none=True)
    unit_zh = Text(allow_none=True)
    unit_en = Text(allow_none=True)


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
