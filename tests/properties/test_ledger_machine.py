"""A stateful ledger against a small model: any order of deeds ends in the same coins.

The model keeps lots and knows nothing of buckets: coins end lot by lot, holds and spends stand on
the earliest lots, what comes back goes to the latest lots it was taken from.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from kernel.call import Call
from ledger.errors import NotEnough
from ledger.expiry import expire_due
from ledger.holds import release
from ledger.reconciliation import CHECKS, reconcile
from ledger.reversal import Undo, reverse_spend
from tests.conftest import at
from tests.ledger.world import citizen, redeem, shop

CLASSES = ("promotional", "standard")
Parts = dict[str, int]


@dataclass
class Purse:
    """One validity class: unspent lots by day (held coins among them), spent lots, and what is held."""

    lots: dict[date, int] = field(default_factory=dict)
    spent: dict[date, int] = field(default_factory=dict)
    held: int = 0
    ended: int = 0
    latest: date = date.min
    days: set[date] = field(default_factory=set)

    @property
    def available(self) -> int:
        return sum(self.lots.values()) - self.held

    def overdue(self, today: date) -> int:
        """What has passed its day and is not held any more."""
        return max(0, sum(amount for day, amount in self.lots.items() if day <= today) - self.held)

    def earn(self, day: date, amount: int) -> None:
        self.latest = max(self.latest, day)
        self.lots[self.latest] = self.lots.get(self.latest, 0) + amount
        self.days.add(self.latest)

    def take(self, amount: int) -> dict[date, int]:
        """Remove `amount` from the earliest lots."""
        taken = {}
        for day in sorted(self.lots):
            taken[day] = min(amount, self.lots[day])
            self.lots[day] -= taken[day]
            amount -= taken[day]
        return taken

    def spend(self, amount: int) -> None:
        for day, part in self.take(amount).items():
            self.spent[day] = self.spent.get(day, 0) + part
        self.held -= amount

    def return_held(self, amount: int) -> None:
        """A reversal into a new hold: back to the latest lots that were spent."""
        self.held += amount
        for day in sorted(self.spent, reverse=True):
            part = min(amount, self.spent[day])
            self.spent[day] -= part
            self.lots[day] = self.lots.get(day, 0) + part
            amount -= part

    def end(self, today: date) -> None:
        gone = self.overdue(today)
        self.take(gone)
        self.ended += gone


class Ledger(RuleBasedStateMachine):
    """Deeds on one citizen; `ground` is set by the test to the transaction that all runs share."""

    ground: Call
    held: Bundle[tuple[str, Parts]] = Bundle("held")
    paid: Bundle[tuple[str, Parts]] = Bundle("paid")

    @initialize()
    def begin(self) -> None:
        self.savepoint = self.ground.db.begin_nested()
        self.call = self.ground
        self.me, self.till = citizen(self.call), shop(self.call)
        self.purses = {name: Purse() for name in CLASSES}
        self.count = 0

    def teardown(self) -> None:
        self.savepoint.rollback()

    def _name(self) -> str:
        self.count += 1
        return f"fact-{self.count}"

    @rule(days=st.sampled_from((1, 3, 15, 40)), job_runs=st.booleans())
    def time_passes(self, days: int, job_runs: bool) -> None:  # noqa: FBT001 - hypothesis gives the arguments
        self.call = at(self.call, self.call.now + timedelta(days=days))
        for purse in self.purses.values():
            purse.end(self.call.today)
        if job_runs:
            expire_due(self.call)

    @rule(
        name=st.sampled_from(CLASSES),
        amount=st.integers(1, 100),
        days=st.sampled_from((1, 10, 30, 90)),
        times=st.integers(1, 2),
    )
    def earn(self, name: str, amount: int, days: int, times: int) -> None:
        day, reference = self.call.today + timedelta(days=days), self._name()
        for _ in range(times):
            self.me.earn(self.call, amount, reference=reference, ends=day, validity=name)
        self.purses[name].earn(day, amount)

    @rule(target=held, amount=st.integers(1, 150))
    def set_aside(self, amount: int) -> MultipleResults[tuple[str, Parts]] | tuple[str, Parts]:
        reference, rest, parts = self._name(), amount, {}
        if sum(purse.available for purse in self.purses.values()) < amount:
            with pytest.raises(NotEnough), self.call.db.begin_nested():
                self.me.hold(self.call, amount, reference)
            return multiple()
        self.me.hold(self.call, amount, reference)
        for name in CLASSES:
            part = min(rest, self.purses[name].available)
            self.purses[name].held += part
            rest -= part
            parts[name] = part
        return reference, parts

    @rule(target=paid, what=consumes(held))
    def pay(self, what: tuple[str, Parts]) -> tuple[str, Parts]:
        reference, parts = what
        assert redeem(self.call, self.me, self.till, reference) == sum(parts.values())
        for name, part in parts.items():
            self.purses[name].spend(part)
        return what

    @rule(target=held, what=consumes(paid))
    def reverse(self, what: tuple[str, Parts]) -> tuple[str, Parts]:
        reference, parts = what
        again = self._name()
        undo = Undo(
            reference=f"{reference}/r", occurred_at=self.call.now, cause="merchant", held_again_as=again
        )
        reverse_spend(self.call, self.me.set_of(reference), undo)
        for name, part in parts.items():
            self.purses[name].return_held(part)
        return again, parts

    @rule(what=consumes(held), grace=st.sampled_from((None, 1, 5, 30)), waited=st.sampled_from((0, 1, 15)))
    def cancel(self, what: tuple[str, Parts], grace: int | None, waited: int) -> None:
        """Begun days ago where it waited, until somebody's deed of today has ended what was due."""
        reference, parts = what
        begun = at(self.call, self.call.now - timedelta(days=waited))
        if waited:
            expire_due(self.call)
        wanted = None if grace is None else begun.today + timedelta(days=grace)
        back = release(begun, self.me.set_of(reference), cause="cancelled", grace_on=wanted)
        late = 0
        for name, part in parts.items():
            purse = self.purses[name]
            purse.held -= part
            due = purse.overdue(self.call.today)
            late += due
            if wanted is None:
                purse.end(self.call.today)
            elif due:
                purse.take(due)
                # No day ends twice: grace lies behind all that have.
                passed = [each for each in purse.days if each <= self.call.today]
                day = max([wanted, *(each + timedelta(days=1) for each in passed)])
                purse.lots[day] = purse.lots.get(day, 0) + due
                purse.days.add(day)
                # As in the ledger, a day of grace is a day of the class: later credits end no earlier.
                purse.latest = max(purse.latest, day)
                purse.end(self.call.today)
        assert (back.amount, back.ended + back.graced) == (sum(parts.values()), late)

    @invariant()
    def what_is_available_is_what_the_lots_say(self) -> None:
        if hasattr(self, "purses"):
            expected = {name: purse.available for name, purse in self.purses.items()}
            assert self.me.available(self.call) == expected

    @invariant()
    def every_invariant_of_the_ledger_holds(self) -> None:
        if hasattr(self, "purses") and self.count % 5 == 4:
            assert {o.check.name: o.findings for o in reconcile(self.call, CHECKS) if not o.holds} == {}


def test_any_order_of_deeds_leaves_the_coins_that_lots_would_leave(call: Call) -> None:
    machine = type("LedgerHere", (Ledger,), {"ground": call})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=50,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
