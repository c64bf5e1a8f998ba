"""Two do something to one voucher, in every schedule with one preemption: never two outcomes.

Each ordered pair of operations is played in both orders, one after the other; then the first is stopped at
every point of its way for the second. What both are told and what stands afterwards must be what one of the
two orders gave, and every refusal is one of the named ones.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from tests.concurrency.interleaving import REFUSED, Stage, Stop, stage
from tests.concurrency.voucher_operations import (
    OPERATIONS,
    Case,
    Operation,
    Since,
    World,
    found,
    found_world,
    new_case,
    sweep,
)
from tests.conftest import Database
from tests.merchants.world import sound

Outcome = tuple[str, str, dict[str, Any]]
REFUSALS = {
    *("already_reversed", "redemption_settled", "code_seen", "code_too_old", "session_over"),
    *("voucher_redeemed", "voucher_locked", "voucher_closing", "voucher_ended", "voucher_past_its_day"),
}
"""What may be said to who came second."""
NEVER_MEET = {Since.REDEEMED, Since.CLOSING}
"""What is closing was not redeemed: there is nothing to reverse."""


@dataclass(frozen=True)
class Play:
    """One pair on a stage of its own."""

    database: Database
    on: Stage
    world: World
    first: Operation
    second: Operation

    def _case(self) -> Case:
        self.database.run(sweep)
        since = max(self.first.wants, self.second.wants)
        sort = max(self.first.of, self.second.of)
        of_all = self.first.of_all or self.second.of_all
        return self.database.run(lambda call: new_case(call, self.world, since, sort, of_all=of_all))

    def in_turn(self, *, backwards: bool) -> Outcome:
        case = self._case()
        one, other = (
            self.on.alone(partial(each.does, of), now=each.at(case))
            for each, of in self._order(case, backwards=backwards)
        )
        if backwards:
            one, other = other, one
        return one, other, found(self.database, case)

    def _order(self, case: Case, *, backwards: bool) -> list[tuple[Operation, Case]]:
        order = [(self.first, case), (self.second, _at_other_till(case))]
        return order[::-1] if backwards else order

    def points(self) -> list[Stop]:
        """Where the first can be stopped, seen in a run of its own."""
        case = self._case()
        self.on.alone(partial(self.first.does, case), now=self.first.at(case))
        return list(self.on.first.points())

    def stopped(self, stop: Stop) -> Outcome:
        case = self._case()
        works = partial(self.first.does, case), partial(self.second.does, _at_other_till(case))
        one, other = self.on.interleaved(*works, at=(self.first.at(case), self.second.at(case)), stop=stop)
        return one, other, found(self.database, case)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_schedule_with_one_preemption_has_one_outcome(name: str, database: Database) -> None:
    world, refused = database.run(found_world), set[str]()
    with stage(database.url) as on:
        for other, second in OPERATIONS.items():
            pair = Play(database, on, world, OPERATIONS[name], second)
            if {pair.first.wants, pair.second.wants} == NEVER_MEET:
                continue
            serial = [pair.in_turn(backwards=backwards) for backwards in (False, True)]
            stops = pair.points()
            assert len(stops) > 1, "what is stopped nowhere was not heard"
            for stop in stops:
                assert pair.stopped(stop) in serial, f"{name}, stopped at {stop} for {other}"
            refused |= {told for outcome in serial for told in outcome[:2] if told.startswith(REFUSED)}
    assert {told.removeprefix(REFUSED) for told in refused} <= REFUSALS
    database.run(sweep)
    database.run(sound)


def _at_other_till(case: Case) -> Case:
    return replace(case, scans=case.scans[::-1])
