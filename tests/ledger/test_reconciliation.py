"""Break one invariant by hand in a copy of the database, and reconciliation names it."""

from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from kernel.call import Call
from kernel.database import create_engine
from kernel.identifiers import new_id
from ledger.accounts import institution, open_account
from ledger.chart import Code, Kind, Unit
from ledger.expiry import expire_due
from ledger.holds import release
from ledger.posting import Movement, Transfer, move, post, roll_pending_legs
from ledger.reconciliation import CHECKS, reconcile
from ledger.reversal import Undo, reverse_spend
from tests.conftest import NOW, Database
from tests.ledger.world import REGION, citizen, redeem, shop

LATER = NOW + timedelta(days=30)


def history(call: Call) -> None:
    """A bit of everything: classes, holds, redemption, reversal, expiry, grace, a donation."""
    me, till = citizen(call), shop(call)
    me.earn(call, 1000, reference="a", ends=date(2026, 12, 1))
    me.earn(call, 2000, reference="b", ends=date(2027, 12, 1))
    me.hold(call, 500, "v/0")
    redeem(call, me, till, "v/0")
    again = Undo(reference="v/0/reversal", occurred_at=call.now, cause="merchant", held_again_as="v/1")
    reverse_spend(call, me.set_of("v/0"), again)
    me.hold(call, 300, "w/0")
    donor = open_account(call, new_id(), kind=Kind.DONOR, unit=Unit.CARBON, region_id=REGION)
    source = institution(call, REGION, kind=Kind.SOURCE, unit=Unit.CARBON)
    pool = institution(call, REGION, kind=Kind.POOL, unit=Unit.CARBON)
    post(
        call,
        Transfer(
            account=donor,
            contra=source,
            amount=900,
            code=Code.CREDIT_CARBON,
            source="project",
            reference="p",
            occurred_at=call.now,
        ),
    )
    for number in range(2):
        gift = Movement(
            giver=donor,
            taker=pool,
            amount=100,
            code=Code.DONATE,
            source="donation",
            reference=f"d{number}",
            occurred_at=call.now,
        )
        move(call, gift, region_id=REGION)
    roll_pending_legs(call, pool, region_id=REGION, code=Code.DONATE)
    move(
        call,
        Movement(
            giver=pool,
            taker=me.accounts.carbon,
            amount=50,
            code=Code.ALLOCATE,
            source="allocation",
            reference="1",
            occurred_at=call.now,
        ),
        region_id=REGION,
    )


def end_some(call: Call) -> None:
    """Thirty days on, the first coins end, and a cancelled hold ends with grace."""
    expire_due(call)
    holder = call.db.execute(text("SELECT holder_id FROM ledger_hold LIMIT 1")).scalar_one()
    from ledger.holds import HoldSet  # noqa: PLC0415 - this helper alone rebuilds a set by hand

    held = HoldSet(holder_id=holder, purpose="voucher", reference="w/0")
    release(call, held, cause="deactivated", grace_on=date(2027, 1, 19))


@dataclass(frozen=True)
class Break:
    """A wrong deed at the owner's hand and the checks that must speak."""

    deed: str
    named: set[str]


BREAKS = {
    "a balance grows by itself": Break(
        "UPDATE ledger_balance SET posted = posted + 1 WHERE posted = 50", {"L1", "L2"}
    ),
    "a transfer leaves the chart": Break(
        "UPDATE ledger_transfer SET code = 'PAID' WHERE code = 'CREDIT'", {"L1"}
    ),
    "two balances swap a coin": Break(
        "UPDATE ledger_balance b SET posted = posted + CASE WHEN n = 1 THEN 1 ELSE -1 END"
        " FROM (SELECT account_id, row_number() OVER (ORDER BY posted) AS n FROM ledger_balance"
        " JOIN ledger_account a ON a.id = account_id WHERE a.unit = 'carbon' AND posted > 0 LIMIT 2) x"
        " WHERE x.account_id = b.account_id",
        {"L2"},
    ),
    "more is held than there is": Break(
        "ALTER TABLE ledger_balance DROP CONSTRAINT ck_ledger_balance_available_stands_on_the_floor;"
        " UPDATE ledger_balance SET held = posted + 1 WHERE held > 0",
        {"L3", "L4"},
    ),
    "a hold loses its record": Break("DELETE FROM ledger_hold WHERE reference = 'v/1'", {"L4"}),
    "a bucket shrinks": Break(
        "UPDATE coin_bucket SET credited = credited - 1 WHERE expires_on = '2027-12-01'", {"L4"}
    ),
    "coins are made immortal": Break(
        "UPDATE ledger_balance SET next_expiry = '9999-12-31';"
        " UPDATE coin_bucket SET expires_on = '2026-11-01' WHERE expires_on = '2027-12-01'",
        {"L4"},
    ),
    "a reference is lost": Break("DELETE FROM ledger_reference WHERE source = 'activity'", {"L5"}),
    "a reference names nothing": Break(
        "UPDATE ledger_reference SET transfer_id = 7 WHERE source = 'activity' AND reference = 'a'", {"L5"}
    ),
    "one fact is credited twice": Break(
        "INSERT INTO ledger_transfer SELECT holder_id, account_id, id + 1, contra_id, amount, unit, code,"
        " reference, movement_id, hold_id, batch_id, reverses_id, expires_on, occurred_at, recorded_at"
        " FROM ledger_transfer"
        " WHERE code = 'CREDIT' AND reference = 'activity/b';"
        " UPDATE ledger_balance SET posted = posted + 2000 WHERE posted > 1000;"
        " UPDATE coin_bucket SET credited = credited + 2000 WHERE expires_on = '2027-12-01'",
        {"L5"},
    ),
    "a reversal gives back too much": Break(
        "UPDATE ledger_transfer SET amount = amount + 1 WHERE code = 'REDEEM_REVERSAL';"
        " UPDATE ledger_balance SET posted = posted + 1 WHERE posted > 1000",
        {"L4", "L6"},
    ),
    "a reversal forgets its original": Break(
        "UPDATE ledger_transfer SET reverses_id = 7 WHERE code = 'REDEEM_REVERSAL'", {"L6"}
    ),
    "more ended than was credited": Break(
        "UPDATE coin_bucket SET credited = expired - 1 WHERE expired > 0", {"L4", "L6"}
    ),
    "an ended coin is not marked": Break("UPDATE coin_bucket SET expired = 0", {"L6"}),
    "a pending leg is lost": Break("DELETE FROM ledger_pending_leg", {"L12"}),
    "a pending leg grows": Break(
        "UPDATE ledger_pending_leg SET amount = amount + 1 WHERE rolled_into IS NOT NULL", {"L12"}
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_invariant_is_named(database: Database, name: str) -> None:
    database.run(history)
    database.run(end_some, now=LATER)
    before = database.run(lambda call: reconcile(call, CHECKS), now=LATER)
    assert {outcome.check.name: outcome.findings for outcome in before if not outcome.holds} == {}
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        for deed in BREAKS[name].deed.split(";"):
            assert connection.execute(text(deed)).rowcount != 0
    owner.dispose()
    after = database.run(lambda call: reconcile(call, CHECKS), now=LATER)
    assert {outcome.check.name for outcome in after if not outcome.holds} == BREAKS[name].named
