"""When coins end equals a model that keeps every single coin: what is free, held, past its day, in grace."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta

from kernel.call import Call
from kernel.errors import Refusal
from ledger.endings import FIRST_PLACE, coins_ending_on, endings, laid_out
from ledger.expiry import expire_due
from ledger.holds import release
from ledger.statements import expirable
from tests.conftest import at
from tests.ledger.world import Citizen, citizen, redeem, shop

START = date(2026, 1, 1)
HISTORIES = 20_000
Days = dict[date, tuple[int, int]]


@dataclass
class Purse:
    """Coin by coin, each with its day, the earliest first; as many of the first as are held are held."""

    coins: list[date] = field(default_factory=list)
    held: int = 0

    def end(self, today: date) -> None:
        free = [day for day in self.coins[self.held :] if day > today]
        self.coins = self.coins[: self.held] + free

    def earn(self, day: date, amount: int) -> None:
        self.coins = sorted([*self.coins, *[day] * amount])

    def spend_held(self, amount: int) -> None:
        self.coins, self.held = self.coins[amount:], self.held - amount

    def release(self, amount: int, today: date, grace_on: date | None) -> None:
        self.held -= amount
        late = sum(day <= today for day in self.coins[self.held :])
        self.end(today)
        if grace_on is not None:
            self.earn(grace_on, late)

    @property
    def free(self) -> int:
        return len(self.coins) - self.held

    def days(self, today: date) -> Days:
        free, held = Counter(self.coins[self.held :]), Counter(self.coins[: self.held])
        return {day: (free[day], held[day]) for day in {*free, *held} if day > today}

    def past(self, today: date) -> int:
        return sum(day <= today for day in self.coins[: self.held])


@dataclass
class Row:
    """What the ledger keeps of the same: sums and buckets."""

    posted: int = 0
    held: int = 0
    buckets: Counter[date] = field(default_factory=Counter)

    def expirable(self, today: date) -> int:
        return expirable(self.posted - self.held, list(self.buckets.items()), on=today)

    def end(self, today: date) -> None:
        for day in sorted(day for day in self.buckets if day <= today):
            self.posted -= self.expirable(day)

    def days(self, today: date) -> Days:
        coming = [(day, credited) for day, credited in self.buckets.items() if day > today]
        laid = laid_out(coming, posted=self.posted, held=self.held, today=today)
        return {day: (amount, held) for day, amount, held in laid}


def test_days_equal_coins_kept_one_by_one_over_twenty_thousand_histories() -> None:
    graced = 0
    for seed in range(HISTORIES):
        dice = random.Random(seed)  # noqa: S311 - a repeatable history
        purse, row, today, latest = Purse(), Row(), START, START
        holds: list[int] = []
        for _ in range(dice.randint(1, 14)):
            today += timedelta(days=dice.choice((0, 0, 1, 5, 30)))
            purse.end(today)
            if dice.random() < 0.5:
                row.end(today)  # the job comes now and then
            deed, amount = dice.random(), dice.randint(1, 12)
            if deed < 0.45:
                latest = max(latest, today + timedelta(days=dice.choice((1, 3, 20, 60))))
                purse.earn(latest, amount)
                row.posted += amount
                row.buckets[latest] += amount
            elif deed < 0.7 or not holds:
                row.end(today)
                amount = min(amount, purse.free)
                purse.held += amount
                row.held += amount
                holds.append(amount)
            elif deed < 0.8:
                amount = holds.pop(dice.randrange(len(holds)))
                purse.spend_held(amount)
                row.posted, row.held = row.posted - amount, row.held - amount
            else:
                row.end(today)
                amount = holds.pop(dice.randrange(len(holds)))
                grace_on = today + timedelta(days=dice.choice((2, 30))) if dice.random() < 0.5 else None
                purse.release(amount, today, grace_on)
                row.held -= amount
                late = row.expirable(today)
                if grace_on is None:
                    row.posted -= late
                elif late:
                    row.buckets[grace_on] += late
                    latest = max(latest, grace_on)
                    graced += 1
            found = row.days(today)
            assert found == purse.days(today), seed
            assert sum(free for free, _ in found.values()) == purse.free, seed
            assert row.held - sum(held for _, held in found.values()) == purse.past(today), seed
    assert graced > HISTORIES // 50


def _lived(call: Call, me: Citizen, seed: int) -> int:
    """A random life in the real ledger beside the model; how many days with coins were compared."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable history
    till, today, purse, compared = shop(call), call, Purse(), 0
    waiting: dict[str, int] = {}
    for step in range(14):
        today = at(today, today.now + timedelta(days=dice.choice((0, 1, 9, 30))))
        day, name, amount = today.today, f"{seed}-{step}", dice.randint(1, 40)
        purse.end(day)
        if dice.random() < 0.4:
            expire_due(today)
        deed = dice.random()
        chosen = dice.choice(sorted(waiting)) if waiting else ""
        if deed < 0.45:
            ends = day + timedelta(days=dice.choice((2, 20, 60)))
            purse.earn(me.earn(today, amount, reference=name, ends=ends).expires_on or ends, amount)
        elif deed < 0.75 or not waiting:
            try:
                with call.db.begin_nested():
                    me.hold(today, amount, name)
                purse.held += amount
                waiting[name] = amount
            except Refusal:
                assert amount > purse.free
        elif deed < 0.85:
            purse.spend_held(waiting.pop(chosen))
            redeem(today, me, till, chosen)
        else:
            grace_on = None if dice.random() < 0.5 else day + timedelta(days=30)
            release(today, me.set_of(chosen), cause="withdrawn" if grace_on else "citizen", grace_on=grace_on)
            purse.release(waiting.pop(chosen), day, grace_on)
        compared += _compare(today, me, purse)
    return compared


def _compare(call: Call, me: Citizen, purse: Purse) -> int:
    [standard] = [each for each in endings(call, me.id) if each.validity_class == "standard"]
    days = {each.expires_on: (each.amount, each.held) for each in standard.days}
    assert days == purse.days(call.today)
    assert standard.available == purse.free == me.available(call)["standard"]
    assert standard.available == sum(each.amount for each in standard.days)
    assert standard.held == standard.held_past_day + sum(each.held for each in standard.days)
    assert standard.held_past_day == purse.past(call.today)
    for day, (amount, _) in days.items():
        [due] = coins_ending_on(call, day, after=FIRST_PLACE, most=9)
        assert (due.holder_id, due.amount) == (me.id, amount)
    return len(days)


def test_days_in_the_real_ledger_equal_coins_kept_one_by_one(call: Call) -> None:
    compared = 0
    for seed in range(80):
        with call.db.begin_nested() as life:
            compared += _lived(call, citizen(call), seed)
            life.rollback()
    assert compared > 1000
