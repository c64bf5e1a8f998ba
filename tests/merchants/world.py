"""A merchant with two stores and paired tills, ready to scan."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from kernel.actor import ActorKind
from kernel.call import Call
from ledger.reconciliation import CHECKS as LEDGER
from ledger.reconciliation import reconcile
from merchants.onboarding import add_merchant, add_store
from merchants.reconciliation import CHECKS
from merchants.terminals import new_terminal, pair
from rewards.exchange import exchange
from rewards.live_codes import live_codes
from rewards.vouchers import Key
from tests.ledger.world import Citizen
from tests.rewards.world import acting, actor, as_citizen, publish_rules, rich_citizen, shelf


@dataclass(frozen=True)
class Market:
    """Ids of what stands in the city; `till` and `second_till` share a store, `far_till` does not."""

    merchant_id: UUID
    scope_no: int
    till: UUID
    second_till: UUID
    far_till: UUID
    reward_id: UUID
    funders: tuple[UUID, UUID]

    def at_till(self, call: Call, till: UUID | None = None) -> Call:
        """The same unit of work, asked by a till."""
        caller = actor(ActorKind.TERMINAL, till or self.till, self.merchant_id)
        return replace(call, actor=caller)


def market(call: Call, *, stock: int = 1000, valid_days: int = 30) -> Market:
    """Rules, a merchant with two stores and three tills, and a reward any merchant honours."""
    publish_rules(call)
    merchant = add_merchant(call, name_zh="示例面包店", name_en="Example bakery")
    near = add_store(call, merchant, name_zh="一店", name_en="First")
    far = add_store(call, merchant, name_zh="二店", name_en="Second")
    made = shelf(call, stock=stock, valid_days=valid_days)
    return Market(
        merchant_id=merchant,
        scope_no=near.scope_no,
        till=_till(call, near.id),
        second_till=_till(call, near.id),
        far_till=_till(call, far.id),
        reward_id=made.reward_id,
        funders=made.funders,
    )


def _till(call: Call, store_id: UUID) -> UUID:
    return pair(call, new_terminal(call, store_id, label="till").code).terminal_id


def customer(call: Call, coins: int = 10_000) -> Citizen:
    """A citizen with coins."""
    return rich_citizen(call, coins)


def bought(call: Call, place: Market, who: Citizen) -> Key:
    """A voucher just exchanged."""
    return exchange(as_citizen(call, who), place.reward_id)


def code_of(call: Call, who: Citizen, key: Key) -> str:
    """What the phone shows now."""
    return live_codes(as_citizen(call, who), key.voucher_id)[0].text


def refused_rows(call: Call, work: Callable[[Call], object]) -> str | None:
    """Run work as the door does: a refusal rolls back to the savepoint, then its trace is kept."""
    from kernel.errors import Refusal  # noqa: PLC0415 - only here

    savepoint = call.db.begin_nested()
    try:
        work(call)
        savepoint.commit()
    except Refusal as refusal:
        savepoint.rollback()
        for record in call.aftermath:
            record(call)
        call.aftermath.clear()
        call.db.flush()
        return refusal.code
    return None


def sound(call: Call) -> None:
    """Every invariant of the ledger and of vouchers holds."""
    outcomes = reconcile(call, (*LEDGER, *CHECKS))
    assert {o.check.name: o.findings for o in outcomes if not o.holds} == {}


__all__ = ["Market", "acting", "bought", "code_of", "customer", "market", "refused_rows", "sound"]
