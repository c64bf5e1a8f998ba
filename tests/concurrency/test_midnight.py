"""Two deeds on one citizen's coins, one begun before midnight and one after, in every order of their steps.

Whichever gets the balance first: coins end once, and none is left without an end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from kernel.call import Call
from kernel.errors import Refusal
from ledger.expiry import expire_due
from ledger.holds import release, release_late
from ledger.posting import Posted
from ledger.reversal import take_back
from tests.concurrency.interleaving import Work, stage
from tests.conftest import Database
from tests.ledger.test_clocks_behind import AFTER, BEFORE, rich, sound
from tests.ledger.world import Citizen

TAKEN = 80


@dataclass(frozen=True)
class Eve:
    """100 coins that end at midnight, 40 of them held, and 50 that come later."""

    me: Citizen
    credit: Posted


def eve(call: Call) -> Eve:
    made = Eve(*rich(call, coming=50, floor=-1_000))
    made.me.hold(call, 40, "v")
    return made


def cancel(call: Call, of: Eve) -> None:
    release(call, of.me.set_of("v"), cause="cancelled", grace_on=None)


def deactivate(call: Call, of: Eve) -> None:
    release(call, of.me.set_of("v"), cause="deactivated", grace_on=call.today + timedelta(days=1))


def run_out(call: Call, of: Eve) -> None:
    day = timedelta(days=1)
    since, grace_on = call.today - day, call.today + day
    release_late(call, of.me.set_of("v"), cause="expired", since=since, grace_on=grace_on)


def correct(call: Call, of: Eve) -> None:
    account, credit = of.me.accounts.coins["standard"], of.credit.transfer_id
    take_back(call, account, credit_id=credit, amount=TAKEN, source="take-back", reference="t")


def end(call: Call, _: Eve) -> None:
    expire_due(call)


def set_aside(call: Call, of: Eve) -> None:
    of.me.hold(call, 5, "w")


def played(does: Callable[[Call, Eve], None], of: Eve) -> Work:
    def work(call: Call) -> str:
        does(call, of)
        return "done"

    return work


def at_last(call: Call, of: Eve) -> None:
    """Give back what is still held, and let all end."""
    for name in ("v", "w"):
        try:
            with call.db.begin_nested():
                release(call, of.me.set_of(name), cause="cancelled", grace_on=None)
        except Refusal:
            continue  # it was never held
    expire_due(call)


@pytest.mark.parametrize("later", [end, set_aside])
@pytest.mark.parametrize("earlier", [cancel, deactivate, run_out, correct])
def test_across_midnight_coins_end_once(
    database: Database, earlier: Callable[[Call, Eve], None], later: Callable[[Call, Eve], None]
) -> None:
    taken = TAKEN if earlier is correct else 0
    with stage(database.url) as on:
        # The one of the new day is stopped for the other: at its end, it has the balance and the other waits.
        first = database.run(eve, now=BEFORE)
        on.alone(played(later, first), now=AFTER)
        for stop in list(on.first.points()):
            of = database.run(eve, now=BEFORE)
            works = played(later, of), played(earlier, of)
            assert on.interleaved(*works, at=(AFTER, BEFORE), stop=stop) == ("done", "done")
            database.run(sound, now=AFTER)
            database.run(lambda call, of=of: at_last(call, of), now=AFTER + timedelta(days=60))  # type: ignore[misc]  # a default argument
            (row,) = database.rows(
                "SELECT posted, held, next_expiry::text AS next FROM ledger_balance b"
                " JOIN ledger_account a ON a.id = b.account_id AND a.holder_id = b.holder_id"
                " WHERE b.holder_id = :me AND a.validity_class = 'standard'",
                me=of.me.id,
            )
            assert tuple(row) == (0, 0, "9999-12-31")
            (ended,) = database.rows(
                "SELECT -sum(amount) AS coins FROM ledger_transfer WHERE holder_id = :me"
                " AND code IN ('EXPIRE', 'EXPIRE_REVERSAL')",
                me=of.me.id,
            )
            assert ended.coins == 150 - taken
            database.run(sound, now=AFTER + timedelta(days=60))
