"""Exchange: a hold on the citizen's coins, one item of the stock and a voucher, all or nothing.

Two round trips: one reads the reward and the day's rules, one writes everything. Rows are locked in
one order everywhere: use of the reward, voucher, balance, stock. A new voucher is seen by nobody
before the commit, so inserting it last takes no lock that others wait for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Row, text

from kernel.call import Call
from kernel.clock import day_bounds
from kernel.errors import BrokenInvariant, NotFound, Refusal, require
from kernel.identifiers import new_id
from kernel.publications.rules import STANDARD
from ledger.errors import NotEnough
from ledger.posting import run_posting
from rewards.catalogue.offering import split
from rewards.errors import OutOfStock, RewardLimitReached, RewardNotOnSale
from rewards.live_codes import fresh_code_id
from rewards.policy import VoucherPolicy, voucher_policy
from rewards.stock import PLENTY, chance_of
from rewards.voucher_states import State
from rewards.vouchers import Key, Owned

_RULES = ("prepare_lock", "reversal_window", "grace", "spending_order")


@dataclass(frozen=True, kw_only=True)
class _Sale:
    """A reward on sale now and the rules a voucher of it would live under."""

    reward: Row[Any]
    policy: VoucherPolicy
    ends_at: datetime


def exchange(call: Call, reward_id: UUID) -> Key:
    """Buy one voucher for the calling citizen; returns its key. Refuses as `buy`."""
    return Key(holder_id=call.actor.known_id, voucher_id=buy(call, reward_id).id)


def buy(call: Call, reward_id: UUID) -> Owned:
    """Buy one voucher for the calling citizen; returns it as its owner sees it.

    Refuses, in this order: `NotFound`, `RewardNotOnSale`, `NoRuleInForce`, `RewardLimitReached`,
    `AccountFrozen`, `NotEnough`, `OutOfStock`.
    """
    sale = _sale(call, reward_id)
    reward, key = sale.reward, Key(holder_id=call.actor.known_id, voucher_id=new_id())
    outcome = run_posting(call, _EXCHANGE, _written(call, sale, key))[0].outcome
    if outcome != "issued":
        raise _refusal(outcome, reward)
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


def _sale(call: Call, reward_id: UUID) -> _Sale:
    values = {"reward": reward_id, "day": call.today, "kinds": list(_RULES), "subject": STANDARD}
    reward = call.db.execute(_OFFER, values).one_or_none()
    if reward is None or reward.region_id != call.region:
        raise NotFound("no such reward")
    on_sale = reward.state == "on_sale" and reward.sells_from <= call.now < reward.sells_until
    require(on_sale, RewardNotOnSale())
    _, ends_at = day_bounds(call.today + timedelta(days=reward.valid_days))
    return _Sale(reward=reward, policy=_policy(call, reward.rules or {}), ends_at=ends_at)


def _policy(call: Call, rules: dict[str, Any]) -> VoucherPolicy:
    if rules.keys() != set(_RULES):
        return voucher_policy(call, call.region, day=call.today)  # it names the rule that is missing
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
        "limit": reward.limit_per_person,
        "classes": list(policy.spending_order),
        "price": reward.price_coin_milli,
        "cost": reward.cost_fen,
        "funding": Jsonb(split(reward.cost_fen, reward.funding)),
        "merchant": reward.merchant_id,
        "scope": reward.scope_no,
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


def _refusal(outcome: str, reward: Row[Any]) -> Refusal:
    if outcome == "limit":
        return RewardLimitReached(limit=reward.limit_per_person)
    if outcome == "no_account":
        return NotEnough()
    if outcome == "sold_out":
        return OutOfStock()
    raise BrokenInvariant(f"an exchange came to {outcome}")


_OFFER = text(
    "SELECT r.id, r.region_id, r.title_zh, r.title_en, r.price_coin_milli, r.cost_fen, r.funding,"
    " r.merchant_id, r.scope_no, r.valid_days, r.limit_per_person, r.state, r.sells_from, r.sells_until,"
    " (SELECT jsonb_object_agg(p.kind, p.content) FROM publication p WHERE p.region_id = r.region_id"
    "  AND p.kind = ANY (CAST(:kinds AS text[])) AND p.subject = :subject AND p.state = 'published'"
    "  AND p.effective_from <= :day AND (p.ends_on IS NULL OR p.ends_on > :day)) AS rules"
    " FROM reward r WHERE r.id = :reward"
)
_EXCHANGE = text(
    "SELECT voucher_exchange(:holder, :voucher, :reward, :region, :limit, CAST(:classes AS text[]), :price,"
    " :cost, :funding, CAST(:merchant AS uuid), CAST(:scope AS bigint), :lock_s, :window_s, :grace_days,"
    " :ends_at, :code, :step, :principal, :chance, :plenty, :today, :now) AS outcome"
)
