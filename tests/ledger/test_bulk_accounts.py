"""Many accounts opened at once are the accounts that one by one would give."""

from uuid import UUID

import polars as pl
from sqlalchemy import text

from kernel.call import Call
from kernel.identifiers import new_id
from ledger.accounts import citizen_accounts
from ledger.bulk_accounts import open_citizen_accounts
from tests.conftest import REGION, Database


def as_text(people: list[UUID]) -> pl.Series:
    return pl.Series([str(person) for person in people], dtype=pl.String)


def test_many_opened_at_once_equal_one_by_one(call: Call) -> None:
    old, new = new_id(), new_id()
    standing = citizen_accounts(call, old, region_id=REGION, floor=-7)
    opened = open_citizen_accounts(call, as_text([new, old, new]), region_id=REGION, floor=-5)
    by_holder = {row["holder_id"]: row for row in opened.frame.iter_rows(named=True)}
    assert set(by_holder) == {str(old), str(new)}
    for holder in (old, new):
        accounts = citizen_accounts(call, holder, region_id=REGION)
        found = by_holder[str(holder)]
        assert {name: account.id for name, account in accounts.coins.items()} | {
            "carbon": accounts.carbon.id
        } == {name: value for name, value in found.items() if name != "holder_id"}
    assert by_holder[str(old)]["standard"] == standing.coins["standard"].id
    rows = call.db.execute(
        text(
            "SELECT holder_id, a.unit, validity_class, expires_into IS NOT NULL, floor FROM ledger_account a"
            " JOIN ledger_balance b USING (holder_id) WHERE a.id = b.account_id AND holder_id = ANY (:all)"
        ),
        {"all": [old, new]},
    )
    assert {tuple(row) for row in rows} == {
        (holder, *row)
        for holder, floor in ((old, -7), (new, -5))
        for row in (
            ("coin", "promotional", True, floor),
            ("coin", "standard", True, floor),
            ("carbon", "-", False, 0),
        )
    }


def test_opening_for_a_thousand_takes_a_handful_of_statements(database: Database) -> None:
    people = [new_id() for _ in range(1000)]
    opened = database.run(lambda call: open_citizen_accounts(call, as_text(people), region_id=REGION))
    assert opened.frame.height == 1000
    assert database.rows("SELECT count(*) AS n FROM ledger_balance")[0].n == 3000
