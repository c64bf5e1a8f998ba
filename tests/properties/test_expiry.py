"""The expiry formula equals first-expiring-first-out lots, and a late job equals one on time."""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

from kernel.call import Call
from kernel.errors import Refusal
from ledger.expiry import expire_due
from ledger.holds import release
from ledger.reconciliation import CHECKS, reconcile
from ledger.statements import expirable
from tests.conftest import at
from tests.ledger.world import Citizen, citizen, redeem, shop

START = date(2026, 1, 1)
HISTORIES = 20_000


@dataclass
class Lots:
    """The naive model: lots by day, spent from the earliest."""

    lots: dict[date, int] = field(default_factory=dict)

    def earn(self, day: date, amount: int) -> None:
        self.lots[day] = self.lots.get(day, 0) + amount

    def spend(self, amount: int) -> None:
        for day in sorted(self.lots):
            part = min(amount, self.lots[day])
            self.lots[day] -= part
            amount -= part
        assert amount == 0

    def end(self, today: date) -> int:
        gone = sum(amount for day, amount in self.lots.items() if day <= today)
        self.lots = {day: amount for day, amount in self.lots.items() if day > today}
        return gone

    @property
    def total(self) -> int:
        return sum(self.lots.values())


@dataclass
class Formula:
    """What the ledger keeps: one balance and buckets that no spend touches."""

    available: int = 0
    buckets: list[tuple[date, int]] = field(default_factory=list)

    def end(self, today: date) -> int:
        gone = 0
        for day in sorted({day for day, _ in self.buckets if day <= today}):
            part = expirable(self.available, self.buckets, on=day)
            self.available -= part
            gone += part
        return gone


def test_the_formula_equals_lots_over_twenty_thousand_histories() -> None:
    for seed in range(HISTORIES):
        dice = random.Random(seed)  # noqa: S311 - a repeatable history
        lots, on_time, late = Lots(), Formula(), Formula()
        today, latest = START, START
        for _ in range(dice.randint(1, 12)):
            today += timedelta(days=dice.choice((0, 0, 1, 5, 30)))
            lots.end(today)
            on_time.end(today)
            if dice.random() < 0.6:
                latest = max(latest, today + timedelta(days=dice.choice((1, 3, 20, 60))))
                amount = dice.randint(1, 100)
                lots.earn(latest, amount)
                for formula in (on_time, late):
                    formula.buckets.append((latest, amount))
                    formula.available += amount
            else:
                # A spend first posts what is due on its own account, so the late one catches up here.
                late.end(today)
                amount = dice.randint(0, lots.total)
                lots.spend(amount)
                on_time.available -= amount
                late.available -= amount
            assert on_time.available == lots.total, seed
            assert late.available - expirable(late.available, late.buckets, on=today) == lots.total, seed


def _live(call: Call, me: Citizen, seed: int, *, on_time: bool) -> tuple[dict[str, int], int, int]:
    """A random life in the real ledger; returns what is available, posted ends and refusals."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable history
    till, today, refused = shop(call), call, 0
    waiting: list[str] = []
    for step in range(14):
        today = at(today, today.now + timedelta(days=dice.choice((0, 1, 9, 30))))
        if on_time:
            expire_due(today)
        deed, amount, name = dice.random(), dice.randint(1, 100), f"{seed}-{step}"
        ends = today.today + timedelta(days=dice.choice((2, 20, 60)))
        pick = dice.randrange(len(waiting)) if waiting else -1
        if deed < 0.45:
            me.earn(today, amount, reference=name, ends=ends)
        elif deed < 0.7 or not waiting:
            try:
                with call.db.begin_nested():
                    me.hold(today, amount, name)
                waiting.append(name)
            except Refusal:
                refused += 1
        elif deed < 0.85:
            redeem(today, me, till, waiting.pop(pick))
        else:
            # Begun days ago where it waited for somebody's deed of today: what that ended has ended.
            begun = at(today, today.now - timedelta(days=dice.choice((0, 1, 9))))
            release(begun, me.set_of(waiting.pop(pick)), cause="citizen", grace_on=None)
    expire_due(today)
    assert {o.check.name: o.findings for o in reconcile(today, CHECKS) if not o.holds} == {}
    ended = sum(row for row in _ended(today, me))
    return me.available(today), ended, refused


def _ended(call: Call, me: Citizen) -> list[int]:
    from sqlalchemy import text  # noqa: PLC0415 - one query

    rows = call.db.execute(
        text("SELECT -amount AS ended FROM ledger_transfer WHERE holder_id = :me AND code = 'EXPIRE'"),
        {"me": me.id},
    )
    return [row.ended for row in rows]


def test_a_late_expiry_job_equals_one_on_time_in_the_real_ledger(call: Call) -> None:
    for seed in range(40):
        outcomes = []
        for on_time in (True, False):
            with call.db.begin_nested() as life:
                outcomes.append(_live(call, citizen(call), seed, on_time=on_time))
                life.rollback()
        assert outcomes[0] == outcomes[1], seed
