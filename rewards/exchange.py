"""Exchange: a hold on the citizen's coins, one item of the stock and a voucher, all or nothing.

Rows are locked in one order everywhere: use of the reward, voucher, balance, stock. A new voucher is
seen by nobody before the commit, so inserting it last takes no lock that others wait for.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from kernel.call import Call
from kernel.clock import day_bounds
from kernel.errors import NotFound, require
from kernel.identifiers import new_id
from ledger.accounts import Account, holder_accounts
from ledger.chart import Kind, Unit
from ledger.errors import NotEnough
from ledger.holds import hold
from rewards.catalogue import split
from rewards.errors import RewardLimitReached, RewardNotOnSale
from rewards.live_codes import new_code_id
from rewards.policy import VoucherPolicy, voucher_policy
from rewards.stock import draw
from rewards.tables import Reward, Voucher
from rewards.voucher_states import State
from rewards.vouchers import Key, coins_of, note_step


def exchange(call: Call, reward_id: UUID) -> Key:
    """Buy one voucher for the calling citizen; returns its key.

    Refuses, in this order: `NotFound`, `RewardNotOnSale`, `NoRuleInForce`, `RewardLimitReached`,
    `AccountFrozen`, `NotEnough`, `OutOfStock`.
    """
    reward = call.db.get(Reward, reward_id)
    if reward is None or reward.region_id != call.region:
        raise NotFound("no such reward")
    on_sale = reward.state == "on_sale" and reward.sells_from <= call.now < reward.sells_until
    require(on_sale, RewardNotOnSale())
    policy = voucher_policy(call, call.region, day=call.today)
    key = Key(holder_id=call.actor.known_id, voucher_id=new_id())
    _count_use(call, key.holder_id, reward)
    coins = coins_of(key, cycle=0)
    accounts = _in_order(holder_accounts(call, key.holder_id), policy.spending_order)
    require(accounts, NotEnough())
    hold(call, coins, accounts, amount=reward.price_coin_milli, until=None)
    draw(call, reward.id, chance=key.voucher_id.int & 0xFFFF)
    _insert(call, key, reward, policy)
    new_code_id(call, key, region_id=reward.region_id, cycle=0)
    note_step(call, key, region_id=reward.region_id, cycle=0, to=State.ISSUED, reason="exchange")
    return key


def _count_use(call: Call, holder_id: UUID, reward: Reward) -> None:
    done = call.db.execute(
        _USE,
        {
            "holder": holder_id,
            "reward": reward.id,
            "region": reward.region_id,
            "limit": reward.limit_per_person,
        },
    )
    require(done.rowcount == 1, RewardLimitReached(limit=reward.limit_per_person))  # type: ignore[attr-defined]  # cursor results have it


def _in_order(accounts: list[Account], order: tuple[str, ...]) -> list[Account]:
    coins = {
        account.validity_class: account
        for account in accounts
        if account.kind is Kind.CITIZEN and account.unit is Unit.COIN
    }
    return [coins[validity_class] for validity_class in order if validity_class in coins]


def _insert(call: Call, key: Key, reward: Reward, policy: VoucherPolicy) -> None:
    _, ends_at = day_bounds(call.today + timedelta(days=reward.valid_days))
    call.db.execute(
        insert(Voucher).values(
            holder_id=key.holder_id,
            id=key.voucher_id,
            region_id=reward.region_id,
            reward_id=reward.id,
            state=State.ISSUED,
            cycle=0,
            price_coin_milli=reward.price_coin_milli,
            cost_fen=reward.cost_fen,
            funding=split(reward.cost_fen, reward.funding),
            merchant_id=reward.merchant_id,
            scope_no=reward.scope_no,
            lock_s=policy.lock_s,
            reversal_window_s=policy.reversal_window_s,
            grace_days=policy.grace_days,
            issued_at=call.now,
            ends_at=ends_at,
        )
    )


_USE = text(
    "INSERT INTO reward_use AS u (holder_id, reward_id, region_id, used)"
    " VALUES (:holder, :reward, :region, 1)"
    " ON CONFLICT (holder_id, reward_id) DO UPDATE SET used = u.used + 1 WHERE u.used < :limit"
)
