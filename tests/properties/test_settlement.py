"""Whatever happens to a month of shopping, what merchants are settled for is what the ledger says."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from kernel.call import Call
from kernel.paging import PageRequest
from ledger.reconciliation import CHECKS as LEDGER
from ledger.reconciliation import reconcile
from merchants.reconciliation import CHECKS
from merchants.settlement.adjustments import Correction, adjustments, decide
from merchants.settlement.agreement import REJECTED, UPHELD, Named, answer, confirm, confirm_silent, dispute
from merchants.settlement.closing import close_next
from merchants.settlement.lines import all_lines
from merchants.settlement.payment import pay
from merchants.settlement.records import Told, settlements
from merchants.settlement.rederiving import rederive
from merchants.settlement.states import Standing, State, What
from tests.conftest import NOW, at
from tests.ledger.world import Citizen
from tests.merchants.settlement_world import clerk, merchant_has, operator, publish_terms, undone, used
from tests.merchants.world import Market, customer, market

A_DAY = timedelta(days=1)


@dataclass
class Month:
    """A merchant's life, day by day, and how often what happened."""

    call: Call
    place: Market
    dice: Random
    me: Citizen
    now: datetime = NOW
    standing: dict[UUID, datetime] = field(default_factory=dict)
    deeds: int = 0

    def live(self, days: int, work: Callable[[], Any]) -> None:
        for _ in range(days):
            for _ in range(self.dice.randrange(1, 5)):
                self.now += timedelta(minutes=self.dice.randrange(1, 90))
                done = used(self.call, self.place, self.me, now=self.now)
                self.standing[done.id] = self.now
            self.undo_some()
            work()
            self.now = NOW + ((self.now - NOW) // A_DAY + 1) * A_DAY

    def undo_some(self) -> None:
        for redemption, since in list(self.standing.items()):
            if self.now - since < A_DAY and self.dice.random() < 0.3:
                undone(self.call, self.place, redemption, now=self.now)
                del self.standing[redemption]
                self.deeds += 1

    def close(self) -> None:
        while close_next(at(self.call, self.now), self.place.merchant_id, most=self.dice.randrange(1, 7)):
            pass

    def agree_or_not(self) -> None:
        """What is closed is confirmed, disputed whole or by lines, or left to silence."""
        for told in self.all("closed"):
            chance = self.dice.random()
            if told.dispute_until is not None and self.now >= told.dispute_until:
                continue
            if chance < 0.5:
                self.disagree(told)
            elif chance < 0.7:
                confirm(self.by(clerk(self.place)), told.id)
        confirm_silent(at(self.call, self.now))

    def disagree(self, told: Told) -> None:
        lines = list(all_lines(self.call, told.id))
        some = [] if self.dice.random() < 0.3 else self.dice.sample(lines, min(2, len(lines)))
        named = [Named(what=line.what, subject_id=line.subject_id) for line in some]
        dispute(self.by(clerk(self.place)), told.id, lines=named, reason="not all is right")
        self.deeds += 1
        corrections = [self.correction(line) for line in lines[:2]] if self.dice.random() < 0.6 else []
        ruling = UPHELD if corrections else REJECTED
        answer(self.by(operator()), told.id, ruling=ruling, reason="looked at", corrections=corrections)

    def correction(self, line: Any) -> Correction:
        taken = {each.redemption_id for each in adjustments(self.call, PageRequest(limit=200)).items}
        if line.what is What.REDEMPTION and line.subject_id in self.standing and line.subject_id not in taken:
            return Correction(reason="taken back", redemption_id=line.subject_id)
        fen = self.dice.choice((-130, -1, 7, 260))
        return Correction(reason="by hand", funder_id=self.dice.choice(self.place.funders), payable_fen=fen)

    def decide_some(self) -> None:
        for proposed in adjustments(self.call, PageRequest(limit=200), state="proposed").items:
            to = Standing.APPROVED if self.dice.random() < 0.8 else Standing.REJECTED
            decide(self.by(operator()), proposed.id, decision=to, reason="seen")
            if to is Standing.APPROVED and proposed.redemption_id is not None:
                del self.standing[proposed.redemption_id]

    def pay_some(self) -> None:
        for told in self.all("confirmed"):
            pay(self.by(operator()), told.id, bank_statement_id=f"BANK-{str(told.id).upper()}")

    def all(self, state: str | None = None) -> list[Told]:
        return list(settlements(self.call, PageRequest(limit=200), state=state).items)

    def by(self, who: Any) -> Call:
        return replace(at(self.call, self.now), actor=who)

    def sound(self) -> None:
        outcomes = reconcile(at(self.call, self.now), (*LEDGER, *CHECKS))
        assert {o.check.name: o.findings for o in outcomes if not o.holds} == {}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fifty_random_reversals_and_disputes_leave_every_sum_equal_to_the_ledger(
    call: Call, seed: int
) -> None:
    """A month and more, closed every few days, of which each settlement is made again from the ledger."""
    dice = Random(seed)  # noqa: S311 - a test's own dice
    place = market(call)
    publish_terms(
        call,
        period=("daily", "weekly", "weekly")[seed % 3],
        last_day=1 + seed % 7 if seed % 3 else 1,
        close_days=dice.randrange(1, 4),
        fee_basis_points=dice.randrange(0, 300),
        fee_fen_each=dice.randrange(0, 9),
        fee_bearer=dice.choice(("merchant", "funders")),
        subsidy_basis_points=dice.randrange(0, 200),
        subsidy_fen_each=dice.randrange(0, 20),
        subsidy_bearer=dice.choice(("funders", "centre")),
    )
    month = Month(call, place, dice, customer(call, 10_000_000))

    def a_day() -> None:
        for work in (month.close, month.agree_or_not, month.decide_some, month.pay_some):
            work()

    while month.deeds < 50:
        month.live(7, a_day)
        month.sound()
    month.now += 40 * A_DAY
    for _ in range(3):
        a_day()
        month.now += 9 * A_DAY
    month.sound()
    _settled_to_the_last(month)


def _settled_to_the_last(month: Month) -> None:
    """Nothing is left but what adjustments took that nothing since could bear."""
    call, told = month.call, month.all()
    assert {each.state for each in told} <= {State.PAID, State.CONFIRMED, State.CLOSED}
    waiting = [
        each
        for each in adjustments(call, PageRequest(limit=200), state="approved").items
        if each.settled_in is None
    ]
    left = (sum(each.coin_milli for each in waiting), sum(each.payable_fen for each in waiting))
    assert merchant_has(call, month.place) == left
    for each in told:
        made = rederive(call, each.id)
        assert made.equal, made.differing
    lines = [line for each in told for line in all_lines(call, each.id)]
    assert len({(line.what, line.subject_id) for line in lines}) == len(lines)
    coins = sum(each.coin_milli or 0 for each in told)
    assert coins + left[0] == 3000 * len(month.standing)
