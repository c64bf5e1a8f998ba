"""Redemption: the held coins go to the merchant and each funder owes its share, in one transaction.

`prepare` reserves a voucher for a till for a short while and says what would be used, `confirm` uses
it; `redeem` does both at once for simple tills. A voucher and cycle is redeemed at most once: the row
lock decides, UNIQUE (voucher_id, cycle) and the ledger's reference stand behind it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from kernel.call import Call
from kernel.errors import BrokenInvariant, require
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
from ledger.accounts import Account, find_account, holder_accounts
from ledger.chart import Code, Kind, Unit
from ledger.holds import spend
from ledger.posting import Transfer, post
from merchants.errors import SessionOver
from merchants.scanning import refusals_noted, scan
from merchants.tables import Redemption
from merchants.terminals import KnownTerminal, calling_terminal
from rewards.tables import Reward
from rewards.voucher_states import State
from rewards.vouchers import PURPOSE, Held, Key, advance, coins_of, lock, take_session

REDEMPTION = "red"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What would be used, and until when it is reserved for this till."""

    session: UUID
    voucher_id: UUID
    title_zh: str
    title_en: str
    coin_milli: int
    confirm_before: datetime


@dataclass(frozen=True, kw_only=True)
class Redeemed:
    """A redemption that stands; `payable_fen` is what the merchant is owed for it."""

    id: UUID
    voucher_id: UUID
    cycle: int
    title_zh: str
    title_en: str
    coin_milli: int
    payable_fen: int
    redeemed_at: datetime
    reversible_until: datetime


def prepare(call: Call, code: str) -> Prepared:
    """Reserve the voucher that `code` shows for the calling till; refuses as `redeem`."""
    terminal = calling_terminal(call)
    voucher = scan(call, terminal, code)
    session, until = lock(call, voucher, by=terminal.id, reason="scanned")
    reward = call.db.get_one(Reward, voucher.reward_id)
    return Prepared(
        session=session,
        voucher_id=voucher.key.voucher_id,
        title_zh=reward.title_zh,
        title_en=reward.title_en,
        coin_milli=voucher.price_coin_milli,
        confirm_before=until,
    )


def confirm(call: Call, session: UUID) -> Redeemed:
    """Use the voucher that the calling till reserved.

    Refuses, in this order: `TerminalNotPaired`, `SessionOver` (lapsed, used, or another till's),
    `AccountFrozen`.
    """
    terminal = calling_terminal(call)
    with refusals_noted(call, terminal) as seen:
        voucher = take_session(call, session)
        if voucher is None or voucher.lock_by != terminal.id:
            raise SessionOver
        seen.append(voucher.key.voucher_id)
        require(voucher.locked(call.now), SessionOver())
    return _honour(call, terminal, voucher)


def redeem(call: Call, code: str) -> Redeemed:
    """Use the voucher that `code` shows at the calling till, at once.

    Refuses, in this order: `TerminalNotPaired`, what `scan` refuses, `AccountFrozen`.
    """
    terminal = calling_terminal(call)
    return _honour(call, terminal, scan(call, terminal, code))


def payable_reference(key: Key, *, cycle: int, funder_id: str) -> str:
    """The ledger reference of what one funder owes for one use."""
    return f"{key.voucher_id}/{cycle}/payable/{funder_id}"


def merchant_account(call: Call, merchant_id: UUID, unit: Unit) -> Account:
    """A merchant's account in a unit."""
    for account in holder_accounts(call, merchant_id):
        if account.kind is Kind.MERCHANT and account.unit is unit:
            return account
    raise BrokenInvariant("a merchant has its accounts from the first moment")


def _honour(call: Call, terminal: KnownTerminal, voucher: Held) -> Redeemed:
    with refusals_noted(call, terminal) as seen:
        seen.append(voucher.key.voucher_id)
        coins = coins_of(voucher.key, cycle=voucher.cycle)
        till = merchant_account(call, terminal.merchant_id, Unit.COIN)
        spent = spend(call, coins, till, code=Code.REDEEM, reference=coins.reference, occurred_at=call.now)
    if spent.amount != voucher.price_coin_milli or not spent.fresh:
        raise BrokenInvariant("a live voucher's hold is its price and was never spent")
    payables = _owe(call, terminal, voucher)
    advance(call, voucher, State.REDEEMED, reason=f"at {public_id('trm', terminal.id)}")
    return _record(call, terminal, voucher, payables)


def _owe(call: Call, terminal: KnownTerminal, voucher: Held) -> list[dict[str, Any]]:
    """One payable row a funder, as frozen at exchange."""
    account = merchant_account(call, terminal.merchant_id, Unit.CNY)
    payables = []
    for share in voucher.funding:
        if share["cost_fen"] == 0:
            continue
        funder = find_account(call, UUID(share["funder_id"]), kind=Kind.FUNDER, unit=Unit.CNY)
        posted = post(
            call,
            Transfer(
                account=account,
                contra=funder,
                amount=share["cost_fen"],
                code=Code.PAYABLE,
                source=PURPOSE,
                reference=payable_reference(voucher.key, cycle=voucher.cycle, funder_id=share["funder_id"]),
                occurred_at=call.now,
            ),
        )
        payables.append({**share, "transfer_id": posted.transfer_id})
    return payables


def _record(call: Call, terminal: KnownTerminal, voucher: Held, payables: list[dict[str, Any]]) -> Redeemed:
    redemption = new_id()
    reversible_until = call.now + timedelta(seconds=voucher.reversal_window_s)
    reward = call.db.get_one(Reward, voucher.reward_id)
    call.db.execute(
        insert(Redemption).values(
            id=redemption,
            region_id=terminal.region_id,
            holder_id=voucher.key.holder_id,
            voucher_id=voucher.key.voucher_id,
            cycle=voucher.cycle,
            reward_id=voucher.reward_id,
            merchant_id=terminal.merchant_id,
            store_id=terminal.store_id,
            terminal_id=terminal.id,
            coin_milli=voucher.price_coin_milli,
            cost_fen=voucher.cost_fen,
            payables=payables,
            business_day=call.today,
            redeemed_at=call.now,
            reversible_until=reversible_until,
        )
    )
    announce(call, "voucher.redeemed", region_id=voucher.region_id, subject=voucher.key.public)
    return Redeemed(
        id=redemption,
        voucher_id=voucher.key.voucher_id,
        cycle=voucher.cycle,
        title_zh=reward.title_zh,
        title_en=reward.title_en,
        coin_milli=voucher.price_coin_milli,
        payable_fen=voucher.cost_fen,
        redeemed_at=call.now,
        reversible_until=reversible_until,
    )
