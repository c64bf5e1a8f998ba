"""Posting what has ended, account by account: a call reads as much as it posts, in the order of holders."""

from datetime import date, timedelta
from functools import partial

from ledger.expiry import expire_due
from tests.conftest import NOW, Database
from tests.ledger.world import citizen
from tests.plans import fill, reads_of, rows_read

ENDS = date(2026, 12, 1)
THEN = NOW + timedelta(days=30)
ACCOUNTS, AT_ONCE = 20_000, 100


def balances(first: int, last: int, next_expiry: str) -> str:
    """Balances of holders whose ids rise with their number."""
    return (
        "INSERT INTO ledger_balance (holder_id, account_id, next_expiry)"  # noqa: S608 - figures above
        f" SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), n, '{next_expiry}'"
        f" FROM generate_series({first}, {last}) n"
    )


def test_a_call_reads_no_account_that_earlier_calls_have_posted(database: Database) -> None:
    half = ACCOUNTS // 2
    fill(database, balances(1, half, "9999-12-31"), balances(half + 1, ACCOUNTS, "2026-12-01"))
    reads = reads_of(database, partial(expire_due, most=AT_ONCE), now=THEN)
    assert rows_read(reads, "ledger_balance") == AT_ONCE, reads
    assert database.run(partial(expire_due, most=AT_ONCE), now=THEN) == (AT_ONCE, 0)


def test_who_waits_longest_comes_first_and_rows_are_locked_in_the_order_of_holders(
    database: Database,
) -> None:
    holders = [database.run(citizen) for _ in range(8)]
    for place, who in enumerate(sorted(holders, key=lambda who: who.id, reverse=True)):
        ends = ENDS + timedelta(days=place)  # the greatest id ends first
        database.run(partial(who.earn, amount=100, reference="a", ends=ends))
    assert database.run(partial(expire_due, most=5), now=THEN) == (5, 500)
    ended = database.rows("SELECT holder_id FROM ledger_transfer WHERE code = 'EXPIRE' ORDER BY id")
    last = sorted(who.id for who in holders)[3:]
    assert [row.holder_id for row in ended] == last
    assert database.run(expire_due, now=THEN) == (3, 300)
