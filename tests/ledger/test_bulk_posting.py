"""One posting and many postings are the same posting."""

import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from sqlalchemy import event, text

from kernel.call import Call
from kernel.database import create_engine
from kernel.errors import BrokenInvariant
from kernel.identifiers import new_id
from ledger.accounts import institution
from ledger.bulk_accounts import open_citizen_accounts
from ledger.bulk_posting import BatchClaimed, CreditRun, post_batch
from ledger.chart import Code, Kind, Unit
from ledger.posting import Transfer, post
from ledger.reconciliation import CHECKS, reconcile
from tests.conftest import Database, at
from tests.ledger.world import REGION, Citizen, citizen

BATCH = new_id()


def transfers(call: Call, cases: list[tuple[Citizen, int, str]], policy: date) -> list[Transfer]:
    issuance = institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN)
    return [
        Transfer(
            account=who.accounts.coins["standard"],
            contra=issuance,
            amount=amount,
            code=Code.CREDIT,
            source="batch",
            reference=reference,
            occurred_at=call.now,
            expires_on=policy,
            batch_id=BATCH,
        )
        for who, amount, reference in cases
    ]


def in_bulk(call: Call, wanted: list[Transfer]) -> BatchClaimed:
    run = CreditRun(
        code=Code.CREDIT,
        unit=Unit.COIN,
        validity_class="standard",
        contra=wanted[0].contra,
        source="batch",
        batch_id=BATCH,
        expires_on=wanted[0].expires_on,
    )
    frame = pl.DataFrame(
        {
            "holder_id": [str(one.account.holder_id) for one in wanted],
            "amount": [one.amount for one in wanted],
            "reference": [one.reference for one in wanted],
            "payload_hash": [one.payload_hash for one in wanted],
            "occurred_at": [one.occurred_at for one in wanted],
        }
    )
    accounts = open_citizen_accounts(call, frame["holder_id"], region_id=REGION)
    return post_batch(call, run, frame, accounts)


PICTURES = (
    "SELECT amount, unit, code, reference, expires_on, occurred_at FROM ledger_transfer"  # noqa: ISC004 - one query
    " WHERE holder_id = :who ORDER BY reference",
    "SELECT posted, held, next_expiry FROM ledger_balance WHERE holder_id = :who ORDER BY account_id",
    "SELECT expires_on, credited, expired FROM coin_bucket WHERE holder_id = :who ORDER BY 1",
    "SELECT source, reference FROM ledger_reference WHERE holder_id = :who ORDER BY 2",
)


def picture(call: Call, people: list[Citizen]) -> list[Any]:
    """All that stands for these people, with ids left out."""
    return [
        tuple(row)
        for who in people
        for statement in PICTURES
        for row in call.db.execute(text(statement), {"who": who.id})
    ]


def test_random_credits_in_bulk_leave_the_same_rows_as_one_by_one(call: Call) -> None:
    for seed in range(10):
        pictures = []
        for bulk in (False, True):
            dice = random.Random(seed)  # noqa: S311 - a repeatable history
            people = [citizen(call) for _ in range(4)]
            today = call
            for round_ in range(3):
                today = at(call, call.now + timedelta(days=40 * round_))
                policy = today.today + timedelta(days=dice.choice((10, 50, 400)))
                cases = [
                    (dice.choice(people), dice.randint(1, 10**9), f"{seed}/{round_}/{number}")
                    for number in range(30)
                ]
                wanted = transfers(today, cases, policy)
                if bulk:
                    assert in_bulk(today, wanted).ours.height == 30
                else:
                    assert not any(post(today, one).replayed for one in wanted)
            pictures.append(picture(call, people))
        assert pictures[0] == pictures[1], seed
    assert {o.check.name: o.findings for o in reconcile(call, CHECKS) if not o.holds} == {}


def test_what_stands_already_is_left_out_and_other_content_is_named(call: Call) -> None:
    me = citizen(call)
    first = transfers(call, [(me, 100, "a"), (me, 200, "b")], date(2028, 1, 1))
    posted = in_bulk(call, first).ours
    ids = dict(zip(posted["reference"], posted["transfer_id"], strict=True))
    again = in_bulk(call, transfers(call, [(me, 100, "a"), (me, 201, "b"), (me, 300, "c")], date(2028, 1, 1)))
    assert again.ours["reference"].to_list() == ["c"]
    assert dict(zip(again.replayed["reference"], again.replayed["transfer_id"], strict=True)) == {
        "a": ids["a"]
    }
    assert again.differing["reference"].to_list() == ["b"]
    assert me.available(call)["standard"] == 600
    assert {o.check.name: o.findings for o in reconcile(call, CHECKS) if not o.holds} == {}


def test_a_chunk_that_only_repeats_posts_nothing(call: Call) -> None:
    me = citizen(call)
    wanted = transfers(call, [(me, 100, "a"), (me, 200, "b")], date(2028, 1, 1))
    in_bulk(call, wanted)
    again = in_bulk(call, wanted)
    assert (again.ours.height, again.replayed.height, again.differing.height) == (0, 2, 0)


def test_lines_are_written_anew_where_others_moved_the_day_on_which_coins_end(database: Database) -> None:
    me, other = database.run(citizen), database.run(citizen)
    later, moved = date(2029, 6, 1), list[str]()
    database.run(lambda call: other.earn(call, 5, reference="first", ends=date(2028, 1, 1)))

    def meanwhile(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        """Once, between a chunk's look at the days and its locks, one of its citizens is credited."""
        if "ledger_credit_many" in statement and not moved:
            moved.append(statement)
            database.run(lambda call: me.earn(call, 7, reference="meanwhile", ends=later))

    event.listen(database.engine, "before_cursor_execute", meanwhile)
    try:
        cases = [(me, 100, "a"), (other, 200, "b"), (me, 300, "c")]
        database.run(lambda call: in_bulk(call, transfers(call, cases, date(2028, 1, 1))))
    finally:
        event.remove(database.engine, "before_cursor_execute", meanwhile)
    lines = database.rows("SELECT reference, amount, expires_on FROM ledger_transfer ORDER BY reference")
    assert moved
    assert [tuple(line) for line in lines] == [
        ("activity/first", 5, date(2028, 1, 1)),
        ("activity/meanwhile", 7, later),
        ("batch/a", 100, later),
        ("batch/b", 200, date(2028, 1, 1)),
        ("batch/c", 300, later),
    ]
    assert database.run(me.available)["standard"] == 407
    assert database.run(lambda call: [o for o in reconcile(call, CHECKS) if not o.holds]) == []


def test_an_account_without_a_balance_ends_the_chunk(database: Database) -> None:
    me = database.run(citizen)
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text("DELETE FROM ledger_balance WHERE holder_id = :me"), {"me": me.id})
    owner.dispose()
    with pytest.raises(BrokenInvariant, match="no balance in coin"):
        database.run(lambda call: in_bulk(call, transfers(call, [(me, 100, "a")], date(2028, 1, 1))))
    assert database.rows("SELECT count(*) AS n FROM ledger_transfer")[0].n == 0


def test_a_reference_twice_in_one_chunk_is_a_bug(call: Call) -> None:
    me = citizen(call)
    with pytest.raises(BrokenInvariant, match="twice"):
        in_bulk(call, transfers(call, [(me, 100, "a"), (me, 100, "a")], date(2028, 1, 1)))


@pytest.mark.parametrize("ends", [date(2026, 11, 20), date(2037, 1, 1), None])
def test_a_chunk_whose_coins_have_no_sensible_last_day_is_a_bug(call: Call, ends: date | None) -> None:
    me = citizen(call)
    wanted = [replace(one, expires_on=ends) for one in transfers(call, [(me, 1, "a")], date(2028, 1, 1))]
    with pytest.raises(BrokenInvariant):
        in_bulk(call, wanted)


def test_amounts_that_could_leave_sixty_four_bits_together_are_a_bug(call: Call) -> None:
    me = citizen(call)
    cases = [(me, 2**62, "a"), (me, 2**62, "b")]
    with pytest.raises(BrokenInvariant, match="64 bits"):
        in_bulk(call, transfers(call, cases, date(2028, 1, 1)))
