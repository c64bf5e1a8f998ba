"""Who began before midnight and came to a balance after somebody else's deed of the new day.

The day of a unit of work is fixed when it begins. Coins that ended meanwhile have ended for it too: what
comes back ends or has its days of grace, and what is taken back is un-ended, once.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from kernel.call import Call
from ledger.expiry import expire_due
from ledger.holds import Released, release, release_late
from ledger.posting import Posted
from ledger.reconciliation import CHECKS, reconcile
from ledger.reversal import TakenBack, Undo, reverse_spend, take_back
from tests.conftest import at
from tests.ledger.world import Citizen, citizen, redeem, shop

BEFORE, AFTER = (datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC) + timedelta(seconds=n) for n in (0, 2))
FIRST, SECOND, THIRD = (date(2026, 12, day) for day in (1, 2, 3))
COMING = date(2027, 1, 1)
DAY = timedelta(days=1)
comings = pytest.mark.parametrize("coming", [0, 50], ids=["nothing comes", "more comes"])


def rich(call: Call, *, coming: int = 0, floor: int = 0) -> tuple[Citizen, Posted]:
    """Coins that end with this day, and some that end later; the credit of the former."""
    me = citizen(call, floor=floor)
    credit = me.earn(call, 100, reference="ride", ends=FIRST)
    if coming:
        me.earn(call, coming, reference="later", ends=COMING)
    return me, credit


def held(call: Call, *, coming: int = 0) -> Citizen:
    """40 of the former are held when the others end."""
    before, after = at(call, BEFORE), at(call, AFTER)
    me, _ = rich(before, coming=coming)
    me.hold(before, 40, "v")
    assert expire_due(after) == (1, 60)
    return me


def buckets(call: Call, me: Citizen) -> dict[date, tuple[int, int]]:
    """What was credited and what ended, by day."""
    rows = call.db.execute(text("SELECT * FROM coin_bucket WHERE holder_id = :me"), {"me": me.id})
    return {row.expires_on: (row.credited, row.expired) for row in rows}


def standard(call: Call, me: Citizen) -> int:
    return me.available(call)["standard"]


def sound(call: Call) -> None:
    broken: dict[str, Any] = {o.check.name: o.findings for o in reconcile(call, CHECKS) if not o.holds}
    assert broken == {}


@comings
def test_what_its_citizen_gives_back_ends_with_the_rest(call: Call, coming: int) -> None:
    me = held(call, coming=coming)
    back = release(at(call, BEFORE), me.set_of("v"), cause="cancelled", grace_on=None)
    assert back == Released(40, 40, 0)
    after = at(call, AFTER)
    assert standard(after, me) == coming
    assert buckets(call, me)[FIRST] == (100, 100)
    sound(after)
    assert expire_due(after) == (0, 0)


@comings
@pytest.mark.parametrize("days", [1, 30])
def test_what_others_give_back_lives_to_a_day_that_has_not_ended(call: Call, coming: int, days: int) -> None:
    me = held(call, coming=coming)
    before, after = at(call, BEFORE), at(call, AFTER)
    grace_on = before.today + timedelta(days=days)
    back = release(before, me.set_of("v"), cause="deactivated", grace_on=grace_on)
    assert back == Released(40, 0, 40)
    lives = max(grace_on, SECOND)
    assert (standard(after, me), buckets(call, me)[lives]) == (40 + coming, (40, 0))
    sound(after)
    then = at(call, AFTER + (lives - FIRST))
    assert expire_due(then) == (1, 40)
    assert standard(then, me) == coming
    sound(then)


def test_grace_of_a_day_is_given_midnight_after_midnight(call: Call) -> None:
    me = held(call)
    for night, lives in enumerate((SECOND, THIRD, date(2026, 12, 4))):
        before, after = at(call, BEFORE + night * DAY), at(call, AFTER + night * DAY)
        if night:
            me.hold(before, 40, "v" * (night + 1))
            assert expire_due(after) == (1, 0)
        back = release(before, me.set_of("v" * (night + 1)), cause="released", grace_on=before.today + DAY)
        assert (back, buckets(call, me)[lives]) == (Released(40, 0, 40), (40, 0))
        sound(after)
    last = at(call, AFTER + 3 * DAY)
    assert expire_due(last) == (1, 40)
    assert standard(last, me) == 0
    sound(last)


@comings
@pytest.mark.parametrize("days", [1, 30])
def test_what_comes_back_late_lives_to_a_day_that_has_not_ended(call: Call, coming: int, days: int) -> None:
    me = held(call, coming=coming)
    before, after = at(call, BEFORE), at(call, AFTER)
    grace_on = before.today + timedelta(days=days)
    back = release_late(before, me.set_of("v"), cause="expired", since=before.today - DAY, grace_on=grace_on)
    assert back == Released(40, 0, 40)
    lives = max(grace_on, SECOND)
    assert (standard(after, me), buckets(call, me)[lives]) == (40 + coming, (40, 0))
    sound(after)
    then = at(call, AFTER + (lives - FIRST))
    assert expire_due(then) == (1, 40)
    sound(then)


def test_what_a_reversal_gives_back_lives_to_a_day_that_has_not_ended(call: Call) -> None:
    before, after = at(call, BEFORE), at(call, AFTER)
    me, _ = rich(before)
    me.hold(before, 40, "v")
    redeem(before, me, shop(call), "v")
    assert expire_due(after) == (1, 60)
    undo = Undo(reference="v/r", occurred_at=before.now, cause="reversal", grace_on=before.today + DAY)
    assert reverse_spend(before, me.set_of("v"), undo).amount == 40
    assert (standard(after, me), buckets(call, me)[SECOND]) == (40, (40, 0))
    sound(after)
    then = at(call, AFTER + DAY)
    assert expire_due(then) == (1, 40)
    sound(then)


@comings
@pytest.mark.parametrize(
    ("held_coins", "amount", "taken", "revived"), [(0, 10, 10, 10), (40, 10, 10, 10), (40, 80, 80, 60)]
)
def test_what_is_taken_back_is_not_lost_twice(
    call: Call, coming: int, held_coins: int, amount: int, taken: int, revived: int
) -> None:
    before, after = at(call, BEFORE), at(call, AFTER)
    me, credit = rich(before, coming=coming, floor=-1_000)
    if held_coins:
        me.hold(before, held_coins, "v")
    expire_due(after)
    account = me.accounts.coins["standard"]
    back = take_back(
        before, account, credit_id=credit.transfer_id, amount=amount, source="take-back", reference="t"
    )
    assert back == TakenBack(back.transfer_id, taken, revived, 0, fresh=True)
    ended = 100 - held_coins - revived
    assert buckets(call, me)[FIRST] == (100 - taken, ended)
    assert standard(after, me) == coming - (taken - revived)
    sound(after)
