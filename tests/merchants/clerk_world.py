"""A market whose clerks have numbers and PINs, and tills with somebody at them."""

from dataclasses import dataclass, replace
from uuid import UUID

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import Refusal
from merchants.clerks.roster import StoreAsks, ask_of_clerks, enter
from merchants.clerks.shifts import Shift, known_shift, sign_in
from merchants.terminals import calling_terminal
from tests.merchants.world import Market
from tests.rewards.world import acting

PIN, OTHER_PIN, WRONG_PIN = "274051", "618240", "905163"


@dataclass(frozen=True)
class Staff:
    """A cashier and a manager of a market's merchant."""

    cashier: UUID
    manager: UUID


def staff_of(call: Call, place: Market) -> Staff:
    """Number 07 is a cashier, number 01 a manager."""
    own = acting(call, ActorKind.MERCHANT, organisation=place.merchant_id)
    return Staff(
        cashier=enter(own, place.merchant_id, number="07", role="cashier", pin=PIN),
        manager=enter(own, place.merchant_id, number="01", role="manager", pin=OTHER_PIN),
    )


def signed_in(call: Call, place: Market, number: str = "07", *, till: UUID | None = None) -> Call:
    """The same unit of work, asked by a till at which a clerk has just signed in."""
    at_till = place.at_till(call, till)
    shift = sign_in(at_till, number=number, pin=PIN if number == "07" else OTHER_PIN)
    assert isinstance(shift, Shift), shift
    return with_shift(at_till, shift)


def with_shift(at_till: Call, shift: Shift) -> Call:
    """What the door makes of a till's secret with a shift's behind it."""
    found = known_shift(at_till.db, at_till.actor.known_id, shift.token)
    assert found is not None
    return replace(at_till, actor=replace(at_till.actor, clerk_id=found.clerk_id, shift_id=found.id))


def ask(call: Call, place: Market, **asked: bool) -> None:
    """What the market's first store asks of its clerks."""
    store = calling_terminal(place.at_till(call)).store_id
    nothing = {"clerk_required": False, "linked_clerks_only": False, "manager_reverses": False}
    ask_of_clerks(call, store, StoreAsks(**{**nothing, **asked}))
    call.db.flush()


def refused_as(outcome: object) -> str:
    """The code of a refusal that was given back."""
    assert isinstance(outcome, Refusal), outcome
    return outcome.code
