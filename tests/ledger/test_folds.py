"""A folded account is a checkpoint and what was posted behind it; nobody slips in between."""

from functools import partial
from time import monotonic, sleep

import pytest
from sqlalchemy import text

from kernel.call import Call
from kernel.database import create_engine
from kernel.errors import BrokenInvariant
from ledger.accounts import institution
from ledger.chart import Kind, Unit
from ledger.folds import Rolled, fold_balance, roll_checkpoints
from ledger.reconciliation import CHECKS, reconcile
from tests.conftest import Database, make_call
from tests.ledger.world import REGION, citizen, redeem, shop
from tests.plans import fill, pages_read, reads_of, rows_read

LONGEST_WAIT_S = 120


def issued(call: Call) -> int:
    return fold_balance(call, institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN))


def named(call: Call) -> set[str]:
    return {outcome.check.name for outcome in reconcile(call, CHECKS) if not outcome.holds}


def settle(database: Database) -> None:
    """Wait until all that was posted is behind the watermark.

    The watermark is the whole cluster's: a transaction that another worker's test still has open
    holds it back, as a long transaction would in production.
    """
    behind = (
        "SELECT coalesce(max(xact) < pg_snapshot_xmin(pg_current_snapshot()), true) AS yes"
        " FROM ledger_transfer"
    )
    deadline = monotonic() + LONGEST_WAIT_S
    while not database.rows(behind)[0].yes:
        assert monotonic() < deadline, "a transaction stays open"
        sleep(0.05)


def test_a_folded_account_mirrors_what_stands_against_it(call: Call) -> None:
    me, till = citizen(call), shop(call)
    me.earn(call, 1000, reference="a")
    me.hold(call, 400, "v/0")
    redeem(call, me, till, "v/0")
    assert (issued(call), fold_balance(call, till)) == (-1000, 400)


def test_a_guarded_account_is_not_folded(call: Call) -> None:
    with pytest.raises(BrokenInvariant):
        fold_balance(call, citizen(call).accounts.carbon)


def test_a_fold_is_the_same_before_and_after_its_checkpoint(database: Database) -> None:
    me, till = database.run(citizen), database.run(shop)

    def pay(call: Call, name: str) -> None:
        me.earn(call, 100, reference=name)
        me.hold(call, 40, name)
        redeem(call, me, till, name)

    for number in range(3):
        database.run(partial(pay, name=f"v{number}"))
        before = (-100 * (number + 1), 40 * (number + 1))
        assert database.run(lambda call: (issued(call), fold_balance(call, till))) == before
        settle(database)
        assert database.run(roll_checkpoints).accounts == 2
        assert database.run(lambda call: (issued(call), fold_balance(call, till))) == before
    assert database.run(roll_checkpoints).accounts == 0
    assert database.run(named) == set()


def test_a_checkpoint_stops_before_a_transaction_that_is_still_running(database: Database) -> None:
    me, other = database.run(citizen), database.run(citizen)
    database.run(lambda call: me.earn(call, 100, reference="first"))
    settle(database)
    with database.sessions() as slow:
        me.earn(make_call(slow), 10, reference="slow")
        database.run(lambda call: other.earn(call, 1000, reference="fast"))
        assert database.run(roll_checkpoints).accounts == 1
        counted = database.rows("SELECT amount FROM ledger_checkpoint")
        assert [row.amount for row in counted] == [-100]
        assert database.run(issued) == -1100
        slow.commit()
    assert database.run(issued) == -1110
    assert isinstance(database.run(roll_checkpoints), Rolled)
    assert database.run(issued) == -1110
    assert database.run(named) == set()


@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE ledger_checkpoint SET amount = amount + 1",
        "UPDATE ledger_transfer SET xact = '3' WHERE reference = 'activity/b'",
    ],
)
def test_a_checkpoint_that_does_not_tell_the_truth_is_named(database: Database, deed: str) -> None:
    me = database.run(citizen)
    database.run(lambda call: me.earn(call, 100, reference="a"))
    settle(database)
    database.run(roll_checkpoints)
    database.run(lambda call: me.earn(call, 100, reference="b"))
    assert database.run(named) == set()
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text(deed))
    owner.dispose()
    assert database.run(named) == {"L1"}


def test_folds_and_checkpoints_read_no_accounts_of_citizens_and_one_checkpoint_for_the_mark(
    database: Database,
) -> None:
    me, till = database.run(citizen), database.run(shop)
    database.run(lambda call: me.earn(call, 100, reference="a"))
    settle(database)
    fill(
        database,
        "INSERT INTO ledger_account (holder_id, id, kind, unit, validity_class, region_id, opened_at)"
        " SELECT gen_random_uuid(), 1000000 + n, 'citizen', 'carbon', '-', 'CN-GD-SZ', now()"
        " FROM generate_series(1, 20000) n",
        # Marks of a former life of the tills, below every transfer.
        "INSERT INTO ledger_checkpoint (account_id, up_to_xact, amount, recorded_at)"
        " SELECT 2000000 + n % 100, CAST(CAST(n / 100 + 3 AS text) AS xid8), 0, now()"
        " FROM generate_series(0, 19999) n",
    )
    rolled = reads_of(database, roll_checkpoints)
    folded = database.rows("SELECT FROM ledger_account WHERE kind IN ('issuance', 'expired', 'merchant')")
    assert 0 < rows_read(rolled, "ledger_account") <= len(folded), rolled
    assert pages_read(rolled, "ledger_account") <= 20, rolled
    assert rows_read(rolled, "ledger_checkpoint") <= 2, rolled  # the mark; the account had none
    summed = reads_of(database, lambda call: fold_balance(call, till))
    assert rows_read(summed, "ledger_checkpoint") <= 2, summed
    assert max(pages_read(reads, "ledger_checkpoint") for reads in (rolled, summed)) <= 20, (rolled, summed)
    assert database.run(issued) == -100
    assert database.run(roll_checkpoints).accounts == 1
    assert database.run(issued) == -100
