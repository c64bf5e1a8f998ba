"""Undoing a redemption: coins and payables are mirrored, and the voucher lives again or ends kindly.

It lives again with new held coins and a new code id while its last day is not over, cycles are left, and
nobody had ended it before a till honoured it without the network; otherwise the coins go back, and those
past their day live on for the days of grace, because a merchant's reversal is nobody's trick to renew coins.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import insert, select

from kernel.actor import ActorKind
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import BrokenInvariant, NotFound, require
from kernel.identifiers import public_id
from kernel.outgoing import announce
from kernel.permission import Permission
from ledger.accounts import find_account
from ledger.chart import Code, Kind, Unit
from ledger.errors import AlreadyReversed
from ledger.posting import Transfer, post
from ledger.reversal import Undo, reverse_spend
from merchants.clerks.errors import ManagerNeeded
from merchants.clerks.shifts import ClerkAtTill, clerk_at_till, require_another
from merchants.errors import RedemptionSettled, ReversalWindowOver
from merchants.redemption import REDEMPTION, merchant_account, payable_reference
from merchants.tables import Redemption, RedemptionReversal, Store
from merchants.terminals import calling_terminal
from rewards.live_codes import new_code_id
from rewards.tables import VoucherStep
from rewards.voucher_states import LAST_CYCLE, State
from rewards.vouchers import (
    PURPOSE,
    Held,
    Key,
    advance,
    back_on_shelf,
    begin_again,
    coins_of,
    free_use,
    take,
)

_STAFF = frozenset({ActorKind.OPERATOR, ActorKind.SYSTEM})


@dataclass(frozen=True, kw_only=True)
class Reversed:
    """A redemption undone: `lives_again` says whether the voucher may be used once more."""

    redemption_id: UUID
    voucher_id: UUID
    coin_milli: int
    payable_fen: int
    lives_again: bool


def reverse(call: Call, redemption_id: UUID, *, reason: str) -> Reversed:
    """Undo a redemption of the calling till's own store, of the caller's merchant, or an operator's region.

    Refuses, in this order: `TerminalNotPaired`, `NotFound`, `ShiftOver`, `ClerkNeeded`, `ManagerNeeded`,
    `OwnVoucher`, `RedemptionSettled`, `AlreadyReversed`, `ReversalWindowOver`.
    """
    redemption = _known(call, redemption_id)
    clerk = _who(call, redemption)
    voucher = take(call, Key(holder_id=redemption.holder_id, voucher_id=redemption.voucher_id))
    settled = voucher.state is State.SETTLED and voucher.cycle == redemption.cycle
    require(not settled, RedemptionSettled())
    standing = voucher.state is State.REDEEMED and voucher.cycle == redemption.cycle
    require(standing, AlreadyReversed())
    require(call.now < redemption.reversible_until, ReversalWindowOver())
    lives_again = call.now < voucher.ends_at and voucher.cycle < LAST_CYCLE and not _was_over(call, voucher)
    if not lives_again:
        free_use(call, voucher)
    _coins_back(call, voucher, lives_again=lives_again)
    _owe_no_more(call, redemption, voucher)
    if lives_again:
        begin_again(call, voucher, reason=reason)
        new_code_id(call, voucher.key, region_id=voucher.region_id, cycle=voucher.cycle + 1)
    else:
        advance(call, voucher, State.EXPIRED, reason=reason)
        back_on_shelf(call, [voucher])
    outcome = State.ISSUED if lives_again else State.EXPIRED
    _record(
        call, redemption, outcome=outcome, reason=reason, clerk_id=None if clerk is None else clerk.clerk_id
    )
    return Reversed(
        redemption_id=redemption.id,
        voucher_id=redemption.voucher_id,
        coin_milli=redemption.coin_milli,
        payable_fen=redemption.cost_fen,
        lives_again=lives_again,
    )


def _was_over(call: Call, voucher: Held) -> bool:
    """Whether it was cancelled or deactivated, and then used by a till that did not know yet."""
    closing = select(VoucherStep.id).where(
        VoucherStep.holder_id == voucher.key.holder_id,
        VoucherStep.voucher_id == voucher.key.voucher_id,
        VoucherStep.cycle == voucher.cycle,
        VoucherStep.to_state == State.CLOSING.value,
    )
    return bool(call.db.scalar(select(closing.exists())))


def _known(call: Call, redemption_id: UUID) -> Redemption:
    redemption = call.db.get(Redemption, redemption_id)
    if redemption is None:
        raise NotFound("no such redemption")
    actor = call.actor
    if actor.kind is ActorKind.TERMINAL:
        own = redemption.store_id == calling_terminal(call).store_id
    elif actor.kind is ActorKind.MERCHANT:
        own = redemption.merchant_id == actor.organisation_id
    else:
        own = actor.kind in _STAFF and redemption.region_id == call.region
    require(own, NotFound("no such redemption"))
    return redemption


def _who(call: Call, redemption: Redemption) -> ClerkAtTill | None:
    """The clerk at the calling till, fit to undo it as the store asks; None of anybody else."""
    manager = call.db.get_one(Store, redemption.store_id).manager_reverses
    if call.actor.kind is ActorKind.TERMINAL:
        clerk = clerk_at_till(call, manager=manager)
        require_another(clerk, redemption.holder_id)
        return clerk
    own = call.actor.kind is ActorKind.MERCHANT and manager
    require(not own or call.actor.permits(Permission.CLERK_MANAGE), ManagerNeeded())
    return None


def _coins_back(call: Call, voucher: Held, *, lives_again: bool) -> None:
    coins = coins_of(voucher.key, cycle=voucher.cycle)
    again = coins_of(voucher.key, cycle=voucher.cycle + 1).reference
    undone = reverse_spend(
        call,
        coins,
        Undo(
            reference=f"{coins.reference}/reversal",
            occurred_at=call.now,
            cause="reversal",
            held_again_as=again if lives_again else None,
            grace_on=None if lives_again else call.today + timedelta(days=voucher.grace_days),
        ),
    )
    if undone.amount != voucher.price_coin_milli or not undone.fresh:
        raise BrokenInvariant("a redemption is mirrored whole and once")


def _owe_no_more(call: Call, redemption: Redemption, voucher: Held) -> None:
    account = merchant_account(call, redemption.merchant_id, Unit.CNY)
    for payable in redemption.payables:
        funder = find_account(call, UUID(payable["funder_id"]), kind=Kind.FUNDER, unit=Unit.CNY)
        first = payable_reference(voucher.key, cycle=voucher.cycle, funder_id=payable["funder_id"])
        post(
            call,
            Transfer(
                account=account,
                contra=funder,
                amount=-payable["cost_fen"],
                code=Code.PAYABLE_REVERSAL,
                source=PURPOSE,
                reference=f"{first}/reversal",
                occurred_at=call.now,
                reverses_id=payable["transfer_id"],
            ),
        )


def _record(
    call: Call, redemption: Redemption, *, outcome: State, reason: str, clerk_id: UUID | None
) -> None:
    call.db.execute(
        insert(RedemptionReversal).values(
            redemption_id=redemption.id,
            region_id=redemption.region_id,
            merchant_id=redemption.merchant_id,
            outcome=outcome,
            reason=reason,
            principal=call.actor.principal,
            clerk_id=clerk_id,
            business_day=call.today,
            reversed_at=call.now,
        )
    )
    subject = public_id(REDEMPTION, redemption.id)
    audit(call, "redemption.reversed", subject=subject, reason=reason)
    announce(
        call, "redemption.reversed", region_id=redemption.region_id, subject=subject, outcome=outcome.value
    )
