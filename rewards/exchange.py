"""Exchange: a hold on the citizen's coins, one item of the stock and a voucher, all or nothing.

Two round trips: one reads the reward and the day's rules, one writes everything. Rows are locked in
one order everywhere: use of the reward, voucher, balance, place in a queue, stock, unit. A new voucher is
seen by nobody before the commit, so inserting it last takes no lock that others wait for.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Row, text

from kernel.call import Call
from kernel.clock import day_bounds
from kernel.errors import BrokenInvariant, Refusal, require
from kernel.identifiers import new_id
from kernel.publications.rules import STANDARD
from ledger.errors import NotEnough
from ledger.posting import run_posting
from rewards.catalogue.eligibility import ASKED, ASKED_FROM, judged, require_eligible, require_open
from rewards.catalogue.errors import (
    OthersWait,
    OutOfStockAtStore,
    OutOfStockToday,
    PeriodLimitReached,
    PriceChanged,
    StoreWanted,
    UnitTaken,
    UnitUnknown,
)
from rewards.catalogue.offering import split
from rewards.catalogue.periods import periods_of
from rewards.catalogue.prices import PRICE_IN_FORCE
from rewards.catalogue.reward_states import RewardKind, RewardState
from rewards.errors import OutOfStock, RewardLimitReached, RewardNotOnSale
from rewards.live_codes import fresh_code_id
from rewards.policy import VoucherPolicy, voucher_policy
from rewards.stock import PLENTY, chance_of, day_part, store_part
from rewards.tables import WHOLE
from rewards.voucher_states import State
from rewards.vouchers import Key, Owned

_RULES = ("prepare_lock", "reversal_window", "grace", "spending_order")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the buyer says beside the reward: the price they were shown, a store, a seat or plot."""

    price_coin_milli: int | None = None
    scope_no: int | None = None
    unit_no: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Sale:
    """A reward on sale now, the rules a voucher of it would live under, and what it counts against."""

    reward: Row[Any]
    policy: VoucherPolicy
    wanted: Wanted
    ends_at: datetime
    parts: list[str]
    periods: list[str]

    @property
    def limits(self) -> list[int]:
        """The most of each period."""
        whole, inside = self.reward.limit_per_person, self.reward.limit_in_period
        return [whole if period == WHOLE else inside for period in self.periods]

    @property
    def scope_no(self) -> int | None:
        """The one store that honours the voucher, if only one does."""
        return self.wanted.scope_no if self.reward.stores else self.reward.scope_no


def exchange(call: Call, reward_id: UUID, wanted: Wanted | None = None) -> Key:
    """Buy one voucher for the calling citizen; returns its key. Refuses as `buy`."""
    return Key(holder_id=call.actor.known_id, voucher_id=buy(call, reward_id, wanted).id)


def buy(call: Call, reward_id: UUID, wanted: Wanted | None = None) -> Owned:
    """Buy one voucher for the calling citizen; returns it as its owner sees it.

    Refuses, in this order: `NotFound`, `RewardNotOnSale`, `NoRuleInForce`, `RewardForOtherRegions`,
    `RewardForGroup`, `RewardClosedNow`, `StoreWanted`, `UnitUnknown`, `PriceChanged`, `PeriodLimitReached`,
    `RewardLimitReached`, `AccountFrozen`, `NotEnough`, `OutOfStockToday`, `OutOfStockAtStore`, `OutOfStock`,
    `OthersWait`, `UnitTaken`.
    """
    sale = _sale(call, reward_id, wanted or Wanted())
    reward, key = sale.reward, Key(holder_id=call.actor.known_id, voucher_id=new_id())
    outcome = run_posting(call, _EXCHANGE, _written(call, sale, key))[0].outcome
    if outcome != "issued":
        raise _refusal(outcome, sale)
    return Owned(
        id=key.voucher_id,
        reward_id=reward_id,
        title_zh=reward.title_zh,
        title_en=reward.title_en,
        state=State.ISSUED,
        cycle=0,
        price_coin_milli=reward.price_coin_milli,
        issued_at=call.now,
        ends_at=sale.ends_at,
    )


def _sale(call: Call, reward_id: UUID, wanted: Wanted) -> _Sale:
    values = {
        "reward": reward_id,
        "holder": call.actor.known_id,
        "region": call.region,
        "now": call.now,
        "day": call.today,
        "kinds": list(_RULES),
        "subject": STANDARD,
    }
    reward = call.db.execute(_OFFER, values).one_or_none()
    asked = judged(call, reward)
    if reward is None:
        raise BrokenInvariant("what was judged is there")
    on_sale = asked.state == RewardState.PUBLISHED and asked.sells_from <= call.now < asked.sells_until
    require(on_sale, RewardNotOnSale())
    policy = _policy(call, reward.region_id, reward.rules or {})
    require_eligible(asked)
    require_open(call, asked)
    _require_named(reward, wanted)
    _require_price(reward, wanted)
    _, ends_at = day_bounds(call.today + timedelta(days=reward.valid_days))
    return _Sale(
        reward=reward,
        policy=policy,
        wanted=wanted,
        ends_at=ends_at,
        parts=_parts(reward, wanted, call.today),
        periods=periods_of(reward.limit_period, call.today),
    )


def _require_named(reward: Row[Any], wanted: Wanted) -> None:
    """The buyer names a store exactly where stores have shares, and a unit that is there."""
    scopes = [share["scope_no"] for share in reward.stores]
    fits = wanted.scope_no in scopes if scopes else wanted.scope_no is None
    require(fits, StoreWanted(pointer="/body/scope_no", scopes=scopes))
    most = reward.stock_total if reward.kind == RewardKind.UNIQUE_ITEM else 0
    known = wanted.unit_no is None or wanted.unit_no <= most
    require(known, UnitUnknown(pointer="/body/unit_no"))


def _require_price(reward: Row[Any], wanted: Wanted) -> None:
    require(reward.price_coin_milli is not None, RewardNotOnSale())
    shown = wanted.price_coin_milli in {None, reward.price_coin_milli}
    require(shown, PriceChanged(price_coin_milli=reward.price_coin_milli))


def _parts(reward: Row[Any], wanted: Wanted, today: date) -> list[str]:
    """The counters an item is drawn from, in the order of their names."""
    by_day = [] if reward.stock_per_day is None else [day_part(today)]
    by_store = [store_part(wanted.scope_no)] if reward.stores and wanted.scope_no else []
    return sorted([*by_day, *by_store, WHOLE])


def _policy(call: Call, region_id: str, rules: dict[str, Any]) -> VoucherPolicy:
    if rules.keys() != set(_RULES):
        return voucher_policy(call, region_id, day=call.today)  # it names the rule that is missing
    return VoucherPolicy(
        lock_s=rules["prepare_lock"]["seconds"],
        reversal_window_s=rules["reversal_window"]["hours"] * 3600,
        grace_days=rules["grace"]["days"],
        spending_order=tuple(rules["spending_order"]["classes"]),
    )


def _written(call: Call, sale: _Sale, key: Key) -> dict[str, Any]:
    reward, policy = sale.reward, sale.policy
    return {
        "holder": key.holder_id,
        "voucher": key.voucher_id,
        "reward": reward.id,
        "region": reward.region_id,
        "periods": sale.periods,
        "limits": sale.limits,
        "classes": list(policy.spending_order),
        "price": reward.price_coin_milli,
        "price_no": reward.price_no,
        "cost": reward.cost_fen,
        "funding": Jsonb(split(reward.cost_fen, reward.funding)),
        "merchant": reward.merchant_id,
        "scope": sale.scope_no,
        "parts": sale.parts,
        "per_day": reward.stock_per_day,
        "waits": reward.waits,
        "units": reward.kind == RewardKind.UNIQUE_ITEM,
        "unit": sale.wanted.unit_no,
        "lock_s": policy.lock_s,
        "window_s": policy.reversal_window_s,
        "grace_days": policy.grace_days,
        "ends_at": sale.ends_at,
        "code": fresh_code_id(),
        "step": new_id(),
        "principal": call.actor.principal,
        "chance": chance_of(key.voucher_id),
        "plenty": PLENTY,
        "today": call.today,
        "now": call.now,
    }


def _refusal(outcome: str, sale: _Sale) -> Refusal:
    reward = sale.reward
    said: dict[str, Refusal] = {
        f"limit/{WHOLE}": RewardLimitReached(limit=reward.limit_per_person),
        "no_account": NotEnough(),
        f"stock/{WHOLE}": OutOfStock(),
        "stock/others_wait": OthersWait(),
        "unit": OutOfStock() if sale.wanted.unit_no is None else UnitTaken(unit_no=sale.wanted.unit_no),
        "withdrawn": RewardNotOnSale(),
    }
    if outcome in said:
        return said[outcome]
    if outcome.startswith("limit/"):
        return PeriodLimitReached(limit=reward.limit_in_period, period=reward.limit_period)
    if outcome.startswith("stock/day/"):
        return OutOfStockToday()
    if outcome.startswith("stock/store/"):
        return OutOfStockAtStore()
    raise BrokenInvariant(f"an exchange came to {outcome}")


_OFFER = text(
    "SELECT r.id, r.kind, r.title_zh, r.title_en, v.price_coin_milli, v.no AS price_no, r.cost_fen,"  # noqa: S608 - our own text
    " r.funding, r.merchant_id, r.scope_no, r.stores, r.valid_days, r.limit_per_person, r.limit_period,"
    f" r.limit_in_period, r.stock_total, r.stock_per_day, {ASKED},"
    " (SELECT jsonb_object_agg(p.kind, p.content) FROM publication p WHERE p.region_id = r.region_id"
    "  AND p.kind = ANY (CAST(:kinds AS text[])) AND p.subject = :subject AND p.state = 'published'"
    "  AND p.effective_from <= :day AND (p.ends_on IS NULL OR p.ends_on > :day)) AS rules"
    f" {ASKED_FROM} LEFT JOIN LATERAL ({PRICE_IN_FORCE}) v ON true WHERE r.id = :reward"
)
_EXCHANGE = text(
    "SELECT voucher_exchange(:holder, :voucher, :reward, :region, CAST(:periods AS text[]),"
    " CAST(:limits AS integer[]), CAST(:classes AS text[]), :price, :price_no, :cost, :funding,"
    " CAST(:merchant AS uuid), CAST(:scope AS bigint), CAST(:parts AS text[]), CAST(:per_day AS bigint),"
    " :waits, :units, CAST(:unit AS integer), :lock_s, :window_s, :grace_days, :ends_at, :code, :step,"
    " :principal, :chance, :plenty, :today, :now) AS outcome"
)
