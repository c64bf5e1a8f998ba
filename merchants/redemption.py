"""Redemption: the held coins go to the merchant and each funder owes its share, in one transaction.

`prepare` reserves a voucher for a till for a short while and says what would be used, `confirm` uses
it; `redeem` does both at once for simple tills. A voucher and cycle is redeemed at most once: the row
lock decides, UNIQUE (voucher_id, cycle) and the ledger's reference stand behind it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import text

from kernel.call import Call
from kernel.errors import BrokenInvariant, require
from kernel.identifiers import new_id, public_id
from ledger.accounts import Account, holder_accounts
from ledger.chart import Code, Kind, Unit
from ledger.errors import AccountUnknown
from ledger.holds import spend_hash
from ledger.posting import Transfer, check_move, run_posting
from merchants.asks.asking import ask_owner, note_use, require_unasked, require_yes
from merchants.errors import SessionOver
from merchants.scanning import at_till, refusals_noted, require_standing, scan
from merchants.terminals import TERMINAL, KnownTerminal, terminal_at_door
from rewards.presented_codes import Shown, reserved
from rewards.voucher_states import TRANSITIONS, State
from rewards.vouchers import PURPOSE, Key, coins_of

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
    answer_by: datetime | None
    """Until when the owner, who is asked first, has time to say yes."""


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
    terminal = terminal_at_door(call)
    voucher = scan(call, terminal, code)
    session, until = _reserve(call, terminal, voucher)
    asked = voucher.asks_owner_s is not None
    answer_by = ask_owner(call, terminal, voucher, session, ends=until) if asked else None
    return Prepared(
        session=session,
        voucher_id=voucher.key.voucher_id,
        title_zh=voucher.title_zh,
        title_en=voucher.title_en,
        coin_milli=voucher.price_coin_milli,
        confirm_before=until,
        answer_by=answer_by,
    )


def confirm(call: Call, session: UUID) -> Redeemed:
    """Use the voucher that the calling till reserved.

    Refuses, in this order: what `require_standing` refuses, `SessionOver` (lapsed, used, or another till's),
    `CitizenNotConfirmed`, `AccountFrozen`.
    """
    terminal = terminal_at_door(call)
    with refusals_noted(call, terminal) as seen:
        voucher = reserved(call, session, till=at_till(terminal))
        if voucher is not None:
            require_standing(voucher)
        if voucher is None or voucher.lock_by != terminal.id:
            raise SessionOver
        seen.append(voucher.key.voucher_id)
        require(voucher.locked(call.now), SessionOver())
        if voucher.asks_owner_s is not None:
            require_yes(call, session)
    done = honour(call, terminal, voucher)
    if voucher.asks_owner_s is not None:
        note_use(call, session, done.id)
    return done


def redeem(call: Call, code: str) -> Redeemed:
    """Use the voucher that `code` shows at the calling till, at once.

    Refuses, in this order: what `scan` refuses, `OwnerAskedFirst`, `AccountFrozen`.
    """
    terminal = terminal_at_door(call)
    voucher = scan(call, terminal, code)
    with refusals_noted(call, terminal) as seen:
        seen.append(voucher.key.voucher_id)
        require_unasked(voucher)
    return honour(call, terminal, voucher)


def _reserve(call: Call, terminal: KnownTerminal, voucher: Shown) -> tuple[UUID, datetime]:
    """Keep a taken voucher for one till; the session, and when the reservation lapses."""
    if State.LOCKED not in TRANSITIONS[voucher.state]:
        raise BrokenInvariant(f"a voucher never goes from {voucher.state} to locked")
    # Who is asked has time to answer, and the till as long again as any other.
    seconds = voucher.lock_s + (voucher.asks_owner_s or 0)
    session, until = new_id(), call.now + timedelta(seconds=seconds)
    moved = {
        **_advanced(call, terminal, voucher),
        "holder": voucher.key.holder_id,
        "to": State.LOCKED.value,
        "session": session,
        "until": until,
        "by": terminal.id,
        "reason": "scanned",
        "now": call.now,
    }
    call.db.execute(_RESERVE, moved)
    return session, until


def payable_reference(key: Key, *, cycle: int, funder_id: str) -> str:
    """The ledger reference of what one funder owes for one use."""
    return f"{key.voucher_id}/{cycle}/payable/{funder_id}"


def merchant_account(call: Call, merchant_id: UUID, unit: Unit) -> Account:
    """A merchant's account in a unit."""
    for account in holder_accounts(call, merchant_id):
        if account.kind is Kind.MERCHANT and account.unit is unit:
            return account
    raise BrokenInvariant("a merchant has its accounts from the first moment")


def honour(call: Call, terminal: KnownTerminal, voucher: Shown) -> Redeemed:
    """Use a taken voucher that may be used, at a till; refuses `AccountFrozen`."""
    if State.REDEEMED not in TRANSITIONS[voucher.state]:
        raise BrokenInvariant(f"a voucher never goes from {voucher.state} to redeemed")
    redemption = new_id()
    reversible_until = call.now + timedelta(seconds=voucher.reversal_window_s)
    with refusals_noted(call, terminal) as seen:
        seen.append(voucher.key.voucher_id)
        written = {
            **_spent(call, terminal, voucher),
            **_advanced(call, terminal, voucher),
            **_recorded(terminal, voucher),
            "payables": Jsonb(_payables(call, terminal, voucher)),
            "redemption": redemption,
            "reversible_until": reversible_until,
        }
        run_posting(call, _REDEEM, written)
    return Redeemed(
        id=redemption,
        voucher_id=voucher.key.voucher_id,
        cycle=voucher.cycle,
        title_zh=voucher.title_zh,
        title_en=voucher.title_en,
        coin_milli=voucher.price_coin_milli,
        payable_fen=voucher.cost_fen,
        redeemed_at=call.now,
        reversible_until=reversible_until,
    )


def _spent(call: Call, terminal: KnownTerminal, voucher: Shown) -> dict[str, Any]:
    coins = coins_of(voucher.key, cycle=voucher.cycle)
    return {
        "holder": coins.holder_id,
        "price": voucher.price_coin_milli,
        "till": terminal.coin_account.id,
        "spend_hash": spend_hash(coins, terminal.coin_account, code=Code.REDEEM),
        "owed": terminal.yuan_account.id,
        "today": call.today,
        "now": call.now,
    }


def _payables(call: Call, terminal: KnownTerminal, voucher: Shown) -> list[dict[str, Any]]:
    """One payable a funder, as frozen at exchange."""
    return [_payable(call, terminal, voucher, share) for share in voucher.funding if share["cost_fen"] != 0]


def _payable(call: Call, terminal: KnownTerminal, voucher: Shown, share: dict[str, Any]) -> dict[str, Any]:
    funder_id, contra_id = share["funder_id"], voucher.funder_accounts.get(share["funder_id"])
    if contra_id is None:
        raise AccountUnknown
    transfer = Transfer(
        account=terminal.yuan_account,
        contra=Account(holder_id=UUID(funder_id), id=contra_id, kind=Kind.FUNDER, unit=Unit.CNY),
        amount=share["cost_fen"],
        code=Code.PAYABLE,
        source=PURPOSE,
        reference=payable_reference(voucher.key, cycle=voucher.cycle, funder_id=funder_id),
        occurred_at=call.now,
    )
    check_move(transfer)
    return {**share, "contra": contra_id, "hash": transfer.payload_hash.hex()}


def _advanced(call: Call, terminal: KnownTerminal, voucher: Shown) -> dict[str, Any]:
    return {
        "voucher": voucher.key.voucher_id,
        "from": voucher.state.value,
        "cycle": voucher.cycle,
        "step": new_id(),
        "principal": call.actor.principal,
        "reason": f"at {public_id(TERMINAL, terminal.id)}",
    }


def _recorded(terminal: KnownTerminal, voucher: Shown) -> dict[str, Any]:
    return {
        "region": terminal.region_id,
        "reward": voucher.reward_id,
        "merchant": terminal.merchant_id,
        "store": terminal.store_id,
        "terminal": terminal.id,
        "clerk": terminal.clerk_id,
        "cost": voucher.cost_fen,
        "news": new_id(),
        "subject": voucher.key.public,
        "news_region": voucher.region_id,
    }


_REDEEM = text(
    "SELECT voucher_redeem(:holder, :voucher, :from, :cycle, :price, :till, :spend_hash, :owed, :merchant,"
    " :payables, :step, :principal, :reason, :redemption, :region, :reward, :store, :terminal, :clerk, :cost,"
    " :reversible_until, :news, :subject, :news_region, :today, :now)"
)
_RESERVE = text(
    "SELECT voucher_advance(:holder, :voucher, :from, :cycle, :to, :session, :until, :by, :step, :principal,"
    " :reason, :now)"
)
